"""What one process says to another: requests of local users, words of a worker that may be
captured, the state of the process before.

    requests    lines of the control socket, to a gateway with one session
    orders      one message of a client's worker that wants something done to the machine
    workers     one message of a worker: to the monitor, its kernel's door and the vault's
    neighbours  messages of two other workers in turn, one a line
    handed      lines from the worker before: {"state": …}, {"pair": …}, {"used": …}
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

from changes.test_plan import SEEN
from client.test_checked import GATEWAY, PROFILE
from culvert.changes.change import parse_record, to_record
from culvert.changes.plan import destinations, plan_client
from culvert.client.checked import Asked, Known, elsewhere, objection
from culvert.datapath.python_engine import PythonEngine
from culvert.datapath.xfrm.messages import (
    add_state,
    get_state,
    put_policy,
    remove_policy,
    remove_state,
)
from culvert.datapath.xfrm.orders import Order, Policy, PolicyName, Seen, State, StateName
from culvert.driver.carried import Carried
from culvert.driver.control import answering
from culvert.driver.kernel_door import KernelDoor
from culvert.driver.keys_door import KeysDoor
from culvert.driver.message import MessageError, read, written
from culvert.driver.telling import clear_log, set_level, tell_log, tell_story
from culvert.driver.tracing import Tracing
from culvert.effects import ConfigureMachine, TunnelSettings
from culvert.errors import MisuseError, PlatformError
from culvert.eventlog.event import LogEvent
from culvert.eventlog.levels import Levels
from culvert.eventlog.log import EventLog
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.neighbours import OtherWorkers
from culvert.gateway.service import GatewayService
from culvert.inet.address import Address, Path
from culvert.inet.lane import Share
from culvert.netio.control_socket import (
    ControlProtocolError,
    PeerCredentials,
    parse_line,
    to_line,
)
from culvert.netio.resolv_conf import with_tunnel
from culvert.netio.xfrm import KernelIpsec
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.vault.group_keys import GroupKeys
from simulation.world import World, profile

MOST_LINES = 24
OPEN = replace(PROFILE, topology="network", allow_local_lan=True)
"""Whose worker may ask for nearly everything."""
_BEGAN = datetime(2026, 7, 2, 10, tzinfo=UTC)


# --- requests of local users -------------------------------------------------------------------


def requests(octets: bytes) -> None:
    """Every line is answered in words or by a result that fits a line, and none is a defect."""
    asyncio.run(_asked(octets.split(b"\n")[:MOST_LINES]))


async def _asked(lines: list[bytes]) -> None:
    handle = answering(_methods(), lambda _: True, _fault)
    for line in lines:
        try:
            message = parse_line(line)
        except ControlProtocolError:
            continue
        if message.get("method") in ("log", "trace"):  # else they go on until the asker hangs up
            message["params"] = _ending(message.get("params"))
        said: list[Mapping[str, object]] = []
        await handle(message, PeerCredentials(1, 1000, 1000), said.append)
        assert said
        for one in said:
            assert json.loads(to_line(one))


def _ending(params: object) -> object:
    if not isinstance(params, dict):
        return params
    given = cast("dict[str, object]", params)
    return {key: value for key, value in given.items() if key not in ("follow", "on")}


def _fault(what: str, error: BaseException) -> None:
    raise AssertionError(what) from error


def _methods() -> Mapping[str, Any]:
    world = _served("requests")
    core = cast("IpsecGateway", world.gateway.core)
    journal = cast("Any", _Journal())
    nothing = cast("Any", SimpleNamespace())
    driver = cast("Any", SimpleNamespace(look=lambda: None, command=lambda work, what: None))
    gateway = GatewayService(
        world.gateway.config,
        core.table,
        cast("Any", core),
        driver,
        nothing,
        began=_BEGAN,
        listening=(),
        clock=lambda: world.now,
    )
    return {
        **{name: one for name, one in gateway.methods.items() if name != "status"},
        "story": partial(tell_story, journal.log),
        "log": partial(tell_log, journal.log),
        "level": partial(set_level, journal),
        "clear": partial(clear_log, journal),
        "trace": Tracing(journal.log).trace,
    }


class _Journal:
    """A journal without files."""

    def __init__(self) -> None:
        self.log = EventLog()
        self.levels = Levels()
        for number in range(3):
            self.record(LogEvent("auth.accepted", {"user": "ann", "session": number}))

    def record(self, event: LogEvent) -> None:
        self.log.record(event, at=_BEGAN + timedelta(seconds=1), now=1.0)


# --- words of a worker -------------------------------------------------------------------------


def workers(octets: bytes) -> None:
    """Understood whole or refused; a door answers, or says what it was asked for."""
    try:
        found = read(octets)
    except MessageError:
        return
    with suppress(MessageError):
        assert written(read(written(found))) == written(found)
    doors: tuple[Callable[[object], object], ...] = (_kernel_door(), _keys_door().answer)
    for answer in doors:
        with suppress(MessageError, KeyError):  # as `culvert.driver.line.serve` does
            written(answer(found))


class _Hand:
    """Makes the kernel's messages, and sends none."""

    def carry_out(self, order: Order) -> None:
        match order:
            case State():
                add_state(order, 1)
            case StateName():
                remove_state(order)
            case Policy():
                put_policy(order, 1)
            case PolicyName():
                remove_policy(order, 1)

    def state(self, name: StateName) -> Seen | None:
        get_state(name)
        return None

    def states(self) -> list[Seen]:
        return []


def _kernel_door() -> Callable[[object], object]:
    return KernelDoor(cast("KernelIpsec", _Hand()))._answer


def _keys_door() -> KeysDoor:
    keys = GroupKeys({"staff": Secret("a group key")}, SeededRandom(1))
    return KeysDoor(keys.skeyid, lambda: 0.0)


def orders(octets: bytes) -> None:
    """What a client's worker wants done to the machine: objected to, or it can be planned, written
    down and undone."""
    try:
        found = read(octets)
    except MessageError:
        return
    if not isinstance(found, Asked):
        return
    known = Known({PROFILE.host: (GATEWAY,)})
    for mine in (PROFILE, OPEN):
        if not objection(found, mine, known) and isinstance(found, ConfigureMachine):
            elsewhere(found.settings, mine, known)
            _planned(found.settings)


def _planned(wanted: TunnelSettings) -> None:
    destinations(wanted)
    text, _ = with_tunnel("", wanted.dns_servers, (*wanted.search_domains, *wanted.split_domains))
    assert text.isascii()
    with suppress(PlatformError):  # no way to the gateway
        for change in plan_client(wanted, SEEN).changes:
            assert parse_record(json.loads(json.dumps(to_record(change)))) == change


def neighbours(octets: bytes) -> None:
    """Words of other workers: whom and what they pass on has an address, and nobody is counted
    twice."""
    asyncio.run(_between_workers(octets.split(b"\n")[:MOST_LINES]))


async def _between_workers(said: list[bytes]) -> None:
    end = cast("socket.socket", SimpleNamespace(send=len, fileno=lambda: -1))
    others = OtherWorkers(Share(0, 3), {1: end, 2: end})
    ear = _Ear()
    others._listener = others._ways = cast("Any", ear)
    for number, words in enumerate(said):
        with suppress(MessageError):
            others._heard(1 + number % 2, read(words))
    placing = others._placing
    assert sum(placing._counts.values()) == len(placing._at)
    for path in ear.paths:
        for host, port in (path.local, path.remote):
            ip_address(host)
            assert 0 <= port < 1 << 16
    if others._telling is not None:
        others._telling.cancel()


class _Ear:
    """Listens to the data path, and knows the ways."""

    def __init__(self) -> None:
        self.paths: list[Path] = []

    def ike(self, octets: bytes, path: Path) -> None:
        assert isinstance(octets, bytes)
        self.paths.append(path)

    def heard(self, peer: Address, local_port: int, info: bytes) -> None:
        assert isinstance(info, bytes)
        assert peer and 0 <= local_port < 1 << 16


# --- the process before ------------------------------------------------------------------------


def handed(octets: bytes) -> None:
    """Another worker's state is gone on with, or refused in words; then that one goes on."""
    found: dict[str, list[Any]] = {"state": [], "pair": [], "used": []}
    for line in octets.split(b"\n")[:MOST_LINES]:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError):
            continue
        for kind, items in found.items():
            if isinstance(item, dict) and isinstance(item.get(kind), dict):
                items.append(item[kind])
    world = _served("handed")
    world.gateway._fresh_core(SeededRandom(9))
    core, plane, carried = world.gateway.core, PythonEngine(SeededRandom(4)), Carried()
    with suppress(MessageError):
        core.resume(found["state"], now=world.now)
    with suppress(MessageError, MisuseError, ValueError):  # an engine knows no such pair
        for order in carried.orders(found["pair"], now=world.now):
            carried.note(order)
            plane.install(order)
        for active in carried.go_on(found["used"], plane, now=world.now):
            plane.activate(active.session, active.pair)


@cache
def _served(by: str) -> World:
    """A gateway with one session, for one of these targets."""
    assert by
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    client.connect()
    assert world.decided(client)
    return world


def state_of_one_session() -> bytes:
    """Seed of `handed`."""
    world = _served("seed")
    lines: list[Mapping[str, object]] = []
    core, plane, carried = world.gateway.core, world.gateway.plane, world.gateway.carried
    lines += [{"state": one} for one in core.handed(now=world.now)]
    lines += [{"pair": one} for one in carried.keys(now=world.now)]
    lines += [{"used": one} for one in carried.progress(plane, now=world.now)]
    return b"\n".join(json.dumps(line, separators=(",", ":")).encode() for line in lines)
