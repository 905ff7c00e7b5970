"""The life of a daemon: control socket, signals, and an end within a few seconds.

SIGTERM, SIGINT and SIGHUP (a terminal that is closed) end it in order: farewells are sent, the
machine is restored. A second one is for the impatient: no farewells, but the machine is restored.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import TypeVar

from culvert.driver.control import Method, RequestError, answering, group_id, member_of
from culvert.driver.journal import Journal
from culvert.driver.places import Places
from culvert.eventlog.event import LogEvent
from culvert.netio.control_socket import ControlServer, is_answering

_Found = TypeVar("_Found")

STOP_SECONDS = 4.0
"""Patience for farewells and for restoring the machine; with all else it stays under five."""


@dataclass(slots=True)
class Listening:
    """The control socket that another process had (``given``), and the server that has it now."""

    given: socket.socket | None = None
    server: ControlServer | None = None


ENDED_BY = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

TOGETHER = 0.5
"""Seconds in which a further signal is part of the first: timeout(1) sends its own to the process
and to the group, a keeper (`culvert.gateway.keeper`) passes on what its group has got already."""


class Ending:
    """Whether the process is to end, and why. Made in the task that is the process.

    Heeds `ENDED_BY` from then on, before the first change is made to the machine; what nohup(1) has
    ignored stays so.
    """

    def __init__(self) -> None:
        self.reason = ""
        self.event = asyncio.Event()
        self._task = asyncio.current_task()
        self._told = -TOGETHER
        self._cut = False
        loop = asyncio.get_running_loop()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDED_BY)  # whatever it was started with
        for number in ENDED_BY:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self._signalled, number)

    def ask(self, reason: str) -> None:
        if not self.event.is_set():
            self.reason = reason
            self.event.set()

    def _signalled(self, number: int) -> None:
        now = asyncio.get_running_loop().time()
        again, self._told = now - self._told >= TOGETHER, now
        if not self.event.is_set():
            self.ask(signal.Signals(number).name)
        elif again and not self._cut and self._task is not None:
            self._cut = True  # once: what it does then is to restore the machine
            self._task.cancel()


def lived(life: Coroutine[object, object, None]) -> None:
    """Run a daemon's ``life``. Raises KeyboardInterrupt when a second signal has cut it short."""
    try:
        asyncio.run(life)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def seen_through(function: Callable[[], _Found]) -> _Found:
    """``function`` in a thread. It changes the machine: whoever is cancelled meanwhile waits."""
    task = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(task)
    finally:
        if not task.done():
            await asyncio.wait((task,))


def check_vacant(where: Places) -> None:
    """Refuse to start beside another daemon of the same place."""
    if is_answering(where.socket):
        raise RequestError(
            "cli.already",
            f"another one runs already and answers at {where.socket}",
            "Stop that one first, or give this one a --state-dir of its own.",
        )


async def serve(
    where: Places,
    methods: Mapping[str, Method],
    journal: Journal,
    ending: Ending,
    *,
    group: str,
    started: LogEvent,
    stop: Callable[[], Awaitable[None]],
    listening: Listening | None = None,
) -> None:
    """Answer requests until ``ending``; then ``stop``, with `STOP_SECONDS` of patience.

    ``group``: whose members may ask besides root and this process's own user. ``started`` is
    recorded when the first request would be answered.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: _note_stray(journal, context))
    gid = group_id(group)
    server = ControlServer(
        where.socket,
        answering(methods, member_of(group), journal.fault),
        mode=0o660 if gid >= 0 else 0o600,
        gid=gid,
    )
    try:
        await server.start(listening.given if listening else None)
        if listening is not None:
            listening.server = server
        journal.record(started)
        await ending.event.wait()
    finally:
        try:
            await asyncio.wait_for(stop(), STOP_SECONDS)
        except TimeoutError:
            what = "stopping took too long and was cut short"
            action = "`culvert repair` or the next start undoes what is left over."
            journal.record(LogEvent("service.fault", {"what": what, "action": action}))
        finally:
            # Last, so that whoever asked for the end hears how it went.
            await server.close()


def _note_stray(journal: Journal, context: Mapping[str, object]) -> None:
    """An exception that found no owner: a callback's, a forgotten task's."""
    error = context.get("exception")
    what = str(context.get("message", "an error in the event loop"))
    journal.fault(what, error if isinstance(error, BaseException) else RuntimeError(what))
