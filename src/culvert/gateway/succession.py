"""From monitor to monitor: what a gateway that restarts gives to the process that follows it.

    old monitor                                          new monitor (the code now on disk)
    starts it; where and with what, and descriptors ──>
                                                    <──  refused: its configuration is wrong …
                                                    <──  prepared: its worker is there
    lets its worker hand over (`culvert.gateway.handover`)
                                                    <──  over: serves

Sockets, the TUN, the control socket and the line to the old worker go along (SCM_RIGHTS). Nothing
in it is secret: group keys and passwords the new one reads from the configuration as at any start.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from culvert.changes.owner import Owner
from culvert.driver.handing import Codec
from culvert.driver.message import MessageError, object_in
from culvert.driver.process_end import kill
from culvert.gateway import keeper
from culvert.inet.address import Address

TUN = "tun"
"""What its further queues are called among the sockets, each by its name and number."""

FORM = 1
"""Of the messages between monitors. One of another form is followed by a cold start."""

SUCCESSOR = (sys.executable, "-m", "culvert.gateway.successor")
LONGEST = 1 << 20
MOST_DESCRIPTORS = 253  # SCM_MAX_FD: hundreds of addresses to listen on
STARTING = 30.0
"""Seconds for the new process to read its configuration and start its worker."""
SERVING = 10.0
"""Seconds from the old worker's end to the new process's word."""


@dataclass(frozen=True, slots=True)
class Options:
    """How the gateway was started."""

    path: str
    state_dir: str
    socket: str
    quiet: bool
    engine: str

    @property
    def command(self) -> list[str]:
        """The same from a shell."""
        words = [sys.executable, "-m", "culvert", "gateway", "run", "-c", self.path]
        words += ["--state-dir", self.state_dir] if self.state_dir else []
        words += ["--socket", self.socket] if self.socket else []
        words += ["--quiet"] if self.quiet else []
        return words + (["--engine", self.engine] if self.engine else [])


@dataclass(frozen=True, slots=True)
class Given:
    """Sockets by what they are for and where; the rest by name. ``served``: what the machine was
    set up for; ``owner``: in whose name."""

    options: Options
    sockets: tuple[tuple[str, Address], ...]
    tun: tuple[str, bool, tuple[str, ...]]
    owner: Owner
    served: str
    attempt: int


@dataclass(slots=True)
class Inheritance:
    """What a new monitor got. ``before``: the line to the old worker; ``warden``: the pipe to the
    process whose id others know."""

    given: Given
    baton: socket.socket
    sockets: dict[tuple[str, Address], int]
    tun: int
    control: int
    before: int
    warden: int

    def take(self, kind: str, local: Address) -> socket.socket | None:
        """The socket for that, if the old process had it."""
        found = self.sockets.pop((kind, local), None)
        return None if found is None else socket.socket(fileno=found)

    def queues(self, tun: str) -> list[int]:
        """The lanes of the device of this name, in order."""
        known = sorted(lane for kind, (name, lane) in self.sockets if (kind, name) == (TUN, tun))
        return [self.sockets.pop((TUN, (tun, lane))) for lane in known]

    def drop(self) -> None:
        """What the new configuration does not want any more."""
        for one in self.sockets.values():
            os.close(one)
        self.sockets.clear()

    def say(self, **what: object) -> None:
        self.baton.send(json.dumps(what).encode())


# --- the old one -------------------------------------------------------------------------------


class Heir:
    """The process that is to follow."""

    def __init__(self, process: asyncio.subprocess.Process, baton: socket.socket) -> None:
        self._process = process
        self._baton = baton

    @classmethod
    async def start(
        cls,
        given: Given,
        sockets: Sequence[int],
        *,
        tun: int,
        control: int,
        before: int,
        warden: int,
    ) -> Heir:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            ours.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                *SUCCESSOR,
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                # Ctrl+C at a terminal is for the process that the terminal knows.
                process_group=0,
            )
        told = {"form": FORM, "given": Codec((), {}).written(given, Given, now=0.0)}
        socket.send_fds(ours, [json.dumps(told).encode()], [tun, control, before, warden, *sockets])
        return cls(process, ours)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def hear(self, within: float) -> Mapping[str, object]:
        """What it says next. Raises MessageError when it has ended, TimeoutError."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within):
                said = await loop.sock_recv(self._baton, LONGEST)
        except ConnectionError:
            said = b""
        if not said:
            raise MessageError("the new process ended before it had taken over")
        return object_in(said, "the new process")

    async def ended(self) -> None:
        await self._process.wait()

    async def dismiss(self) -> None:
        """It is not wanted."""
        self._baton.close()
        kill(self._process)
        await self._process.wait()


def keep_for(heir: int, pipe: int) -> None:
    """This process, whose id others know, becomes what only waits for ``heir``. Never returns."""
    os.set_inheritable(pipe, True)
    program = str(Path(keeper.__file__).resolve())
    words = [sys.executable, "-I", "-S", program, str(heir), str(pipe)]
    # None may be lost while there is nobody to handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, keeper.PASSED_ON)
    os.execv(sys.executable, words)  # noqa: S606  # no shell is wanted


# --- the new one -------------------------------------------------------------------------------


def inherit(baton: socket.socket) -> Inheritance:
    """What the old process gives. Raises MessageError for another form of it."""
    said, descriptors, _, _ = socket.recv_fds(baton, LONGEST, MOST_DESCRIPTORS)
    for one in descriptors:
        os.set_inheritable(one, False)
    told = json.loads(said)
    if not isinstance(told, dict) or cast("dict[str, object]", told).get("form") != FORM:
        raise MessageError("the old process hands over in a way that this version does not know")
    found = Codec((), {}).read(cast("dict[str, object]", told)["given"], Given, now=0.0)
    given = cast("Given", found)
    tun, control, before, warden, *sockets = descriptors
    return Inheritance(
        given,
        baton,
        dict(zip(given.sockets, sockets, strict=True)),
        tun,
        control,
        before,
        warden,
    )
