"""The other workers of this gateway, over a socket pair with each: first messages that are theirs
are passed on (`culvert.gateway.placing`), and all tell each other who is where.

A line may be full: first messages are answered here then, and words wait.

What another worker says is taken apart by declared types, as anything that comes from one. It can
pass on a datagram with any source, as any stranger can.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from itertools import islice
from typing import Protocol, cast

from culvert.driver.loop import PacketListener
from culvert.driver.message import MessageError, read, written
from culvert.effects import PairWorn, PeerMoved
from culvert.eventlog.event import LogEvent
from culvert.gateway.placing import MOST_SOURCES, Placing
from culvert.inet.address import Address, Path
from culvert.inet.lane import Share

LARGEST = 1 << 18
"""Octets of one message: a datagram of 64 KB, in hexadecimal digits."""
AT_ONCE = 64
"""Messages read in a row."""
PAUSE = 0.05
"""Seconds between two words about how many sessions are here."""
PEERS_AT_ONCE = 500
"""In one message."""
PORTS = range(1 << 16)

BEGAN, ANEW = "began", "anew"
"""Here is another process now, which knows nobody; and: forget what the line has said of me, for
some of it was meant for the process before you."""
MOST_UNTOLD = 2 * MOST_SOURCES
"""Peers of which another worker is still to be told, here or gone; the oldest word goes unsaid when
it takes none for so long. That costs a detour, or a session that ends by DPD."""


class Ways(Protocol):
    """Of the pump: from which of our addresses a peer is answered."""

    def called(self, peer: Address, local_port: int) -> bytes: ...

    def heard(self, peer: Address, local_port: int, info: bytes) -> None: ...


class OtherWorkers:
    """``ends``: the line to each. ``load``: how many sessions and calls are here."""

    def __init__(self, share: Share, ends: Mapping[int, socket.socket]) -> None:
        self._placing = Placing(share)
        self._share = share
        self._ends = dict(ends)
        self._peers: Counter[Address] = Counter()  # a new session may stand before the old one ends
        self._untold: dict[int, dict[Address, bool]] = {worker: {} for worker in ends}
        self._waiting: set[int] = set()
        self._first: dict[int, str] = {}  # the word that comes before all that is untold
        self._load: Callable[[], int] = lambda: 0
        self._ways: Ways | None = None
        self._listener: PacketListener | None = None
        self._telling: asyncio.TimerHandle | None = None
        self.passed = 0
        """First messages that went to another worker."""
        self.taken = 0
        """Those that came from another one."""
        self.lost = 0
        """First messages that were another worker's, and were answered here, for its line had no
        room; and words that went unsaid."""

    def join(self, listener: PacketListener, ways: Ways, load: Callable[[], int]) -> None:
        """From now on, on the running loop."""
        self._listener, self._ways, self._load = listener, ways, load
        loop = asyncio.get_running_loop()
        for worker, end in self._ends.items():
            end.setblocking(False)
            loop.add_reader(end.fileno(), self._readable, worker, end)
            self._first[worker] = BEGAN
            self._tell_rest(worker)

    def leave(self) -> None:
        for end in self._ends.values():
            with suppress(ValueError):
                asyncio.get_running_loop().remove_reader(end.fileno())
                asyncio.get_running_loop().remove_writer(end.fileno())
            end.close()

    def knows(self, peer: Address) -> bool:
        """Whether it has a session at another worker."""
        return self._placing.knows(peer)

    def sibling(self, worker: int, *, up: bool) -> None:
        """Says the monitor: its process is gone, or another one serves."""
        if up:
            self._placing.up(worker)
            if self._listener is not None:
                self._tell_all(worker)  # what was not said while it was down, too
        else:
            self._placing.down(worker)
            self._untold[worker].clear()  # it is told everything when it begins

    # --- what happens here -------------------------------------------------------------------

    def here(self, peer: Address) -> None:
        self._peers[peer] += 1
        self._tell(peer)

    def gone(self, peer: Address) -> None:
        self._peers[peer] -= 1
        if self._peers[peer] <= 0:
            del self._peers[peer]
            self._tell(peer)

    def pass_on(self, octets: bytes, path: Path) -> bool:
        """Whether this first message is another worker's, and went there."""
        ours = path.remote in self._peers
        worker = self._placing.worker_for(octets, path.remote, self._load(), ours=ours)
        self._tell_load()
        if worker == self._share.worker or self._ways is None:
            return False
        info = self._ways.called(path.remote, path.local[1])
        told: dict[str, object] = {
            "octets": octets,
            "info": info,
            "encapsulated": path.encapsulated,
        }
        if not self._say(worker, {**told, "local": path.local, "remote": path.remote}):
            self.lost += 1
            self._placing.keep(octets)
            return False
        self.passed += 1
        return True

    # --- to the others -----------------------------------------------------------------------

    def _tell(self, peer: Address) -> None:
        """Whether it is here, as of now."""
        for worker, untold in self._untold.items():
            if self._placing.is_down(worker):
                continue
            untold.pop(peer, None)
            untold[peer] = peer in self._peers
            if len(untold) > MOST_UNTOLD:
                del untold[next(iter(untold))]
                self.lost += 1
            if worker not in self._waiting:
                self._tell_rest(worker)
        self._tell_load()

    def _tell_rest(self, worker: int) -> None:
        """As much as the line takes; the rest when it takes more."""
        untold = self._untold[worker]
        if first := self._first.get(worker, ""):
            if not self._say(worker, {first: True}):
                self._wait(worker)
                return
            del self._first[worker]
        while untold:
            some = list(islice(untold.items(), PEERS_AT_ONCE))
            words = {
                "here": [peer for peer, is_here in some if is_here],
                "gone": [peer for peer, is_here in some if not is_here],
            }
            if not self._say(worker, words):
                self._wait(worker)
                return
            for peer, _ in some:
                del untold[peer]
        self._go_on(worker)

    def _wait(self, worker: int) -> None:
        if self._listener is not None and worker not in self._waiting:
            self._waiting.add(worker)
            end = self._ends[worker].fileno()
            asyncio.get_running_loop().add_writer(end, self._writable, worker)

    def _writable(self, worker: int) -> None:
        self._tell_rest(worker)
        if worker not in self._waiting:
            self._tell_load()

    def _go_on(self, worker: int) -> None:
        if worker in self._waiting:
            self._waiting.discard(worker)
            asyncio.get_running_loop().remove_writer(self._ends[worker].fileno())

    def _tell_load(self) -> None:
        if self._telling is None and self._listener is not None:
            self._telling = asyncio.get_running_loop().call_later(PAUSE, self._load_now)

    def _load_now(self) -> None:
        self._telling = None
        for worker in self._ends:
            if not self._placing.is_down(worker) and not self._say(worker, {"load": self._load()}):
                self._wait(worker)

    def _say(self, worker: int, message: Mapping[str, object]) -> bool:
        """Whether the line had room for it."""
        try:
            self._ends[worker].send(written(message).encode())
        except OSError:
            return False
        return True

    # --- from the others ---------------------------------------------------------------------

    def _readable(self, worker: int, end: socket.socket) -> None:
        for _ in range(AT_ONCE):
            try:
                said = end.recv(LARGEST)
            except OSError:
                return
            try:
                self._heard(worker, read(said))
            except MessageError as error:
                if self._listener is not None:
                    self._listener.fault("what another worker says", error)

    def _heard(self, worker: int, message: object) -> None:
        match _named(message):
            case {"load": int(load)}:
                self._placing.load(worker, load)
            case {"here": here, "gone": gone}:
                self._placing.here(worker, _addresses(here))
                self._placing.gone(worker, _addresses(gone))
            case {"anew": True}:
                self._placing.began(worker)
            case {"began": True}:
                self._placing.began(worker)
                self._tell_all(worker)
            case {
                "octets": bytes(octets),
                "info": bytes(info),
                "encapsulated": bool(encapsulated),
                "local": (str(host), int(port)),
                "remote": (str(far), int(far_port)),
            }:
                path = Path(_address(host, port), _address(far, far_port), encapsulated)
                self._take(octets, path, info)
            case _:
                raise MessageError("a worker does not say that to another")

    def _tell_all(self, worker: int) -> None:
        """To one that has just begun."""
        self._first.setdefault(worker, ANEW)
        self._untold[worker] = dict.fromkeys(self._peers, True)
        if worker not in self._waiting:
            self._tell_rest(worker)
        self._tell_load()

    def _take(self, octets: bytes, path: Path, info: bytes) -> None:
        if self._listener is None or self._ways is None:
            return
        self.taken += 1
        if info:
            self._ways.heard(path.remote, path.local[1], info)
        self._listener.ike(octets, path)
        self._tell_load()


class Sorted:
    """A listener of the data path that keeps what belongs to this worker."""

    def __init__(self, listener: PacketListener, others: OtherWorkers) -> None:
        self._listener = listener
        self._others = others

    def ike(self, octets: bytes, path: Path) -> None:
        if not self._others.pass_on(octets, path):
            self._listener.ike(octets, path)

    def moved(self, news: PeerMoved) -> None:
        self._listener.moved(news)

    def worn(self, news: PairWorn) -> None:
        self._listener.worn(news)

    def busy(self) -> None:
        self._listener.busy()

    def note(self, event: LogEvent) -> None:
        self._listener.note(event)

    def fault(self, what: str, error: BaseException) -> None:
        self._listener.fault(what, error)


def _named(message: object) -> Mapping[str, object]:
    return cast("Mapping[str, object]", message) if isinstance(message, dict) else {}


def _addresses(found: object) -> list[Address]:
    if not isinstance(found, tuple):
        raise MessageError("no list of peers")
    made: list[Address] = []
    for one in cast("tuple[object, ...]", found):
        match one:
            case (str(host), int(port)):
                made.append(_address(host, port))
            case _:
                raise MessageError("no address of a peer")
    return made


def _address(host: str, port: int) -> Address:
    try:
        ip_address(host)
    except ValueError as error:
        raise MessageError(f"no address of a peer: {host!r}") from error
    if port not in PORTS:
        raise MessageError(f"no port of a peer: {port}")
    return host, port
