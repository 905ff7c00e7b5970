"""The client's root service as a process: ``culvert service run``."""

from __future__ import annotations

import asyncio
import sys

from culvert import __version__
from culvert.client.rooms import Rooms
from culvert.client.service import ClientService
from culvert.driver.engine import choose
from culvert.driver.journal import Journal
from culvert.driver.places import SERVICE, Places, places
from culvert.driver.process import Ending, check_vacant, lived, serve
from culvert.driver.user_engine import Choice
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.netio.machine import Machine
from culvert.netio.raw_esp import RawEsp
from culvert.rng import SystemRandom

GROUP = "culvert"
"""Its members may connect and disconnect this machine."""


def run_service(
    *,
    state_dir: str = "",
    socket: str = "",
    idle_exit: float = 0.0,
    quiet: bool = False,
    engine: str = "",
) -> None:
    """Serve until SIGTERM, SIGINT or, with ``idle_exit``, until nothing was connected so long.

    Raises PlatformError when another service answers already, the state cannot be written or
    ``engine`` cannot be had.
    """
    chosen = choose(engine)
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    check_vacant(where)
    journal = Journal(where)
    if not quiet:
        journal.show_on(sys.stderr)
    try:
        lived(_live(where, journal, idle_exit, chosen))
    finally:
        journal.close()


async def _live(where: Places, journal: Journal, idle_exit: float, engine: Choice) -> None:
    ending = Ending()
    machine = Machine(directory=where.undo)
    await _recover(machine, journal)
    bare_esp = _plain_esp(journal)
    service = ClientService(
        where,
        machine,
        journal,
        Rooms(where.state, SystemRandom()),
        ending,
        engine,
        bare_esp=bare_esp,
        idle_exit=idle_exit,
    )
    started = LogEvent("service.started", {"version": __version__, "engine": engine.reason})
    await serve(
        where, service.methods, journal, ending, group=GROUP, started=started, stop=service.stop
    )


def _plain_esp(journal: Journal) -> bool:
    """Whether connections may send ESP without UDP; why they may not is told once."""
    try:
        RawEsp.open().close()
    except PlatformError as error:
        journal.record(LogEvent("data.udp-only", {"why": error.what, "action": error.action}))
        return False
    return True


async def _recover(machine: Machine, journal: Journal) -> None:
    """Undo what a killed run left over. What cannot be undone is told and tried again later."""
    try:
        undone = await asyncio.to_thread(machine.recover)
    except PlatformError as error:
        journal.record(LogEvent("service.fault", {"what": error.what, "action": error.action}))
        return
    if undone.changes:
        journal.record(LogEvent("client.repaired", {"changes": len(undone.changes)}))
    for note in (*undone.notes, *undone.failed):
        journal.record(LogEvent("client.machine-note", {"note": note}))
