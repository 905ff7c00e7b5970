"""The live trace at both ends: switched on, it tells a connect in LANCOM's words; off, nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from culvert.explain.engine import explain
from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from culvert.tables.texts.lancom import course, trace_commands
from interop.ours import PROGRAM, OurClient, OurGateway, Program, until
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from interop.test_topologies import FAR, NEAR, SiteGateway

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

ON, OFF = (tuple(command.split()) for command in trace_commands())
PLACEHOLDER = re.compile(r"\{[a-z_0-9]+\}")
ANNOUNCEMENT = {2, 3, 10}  # only where addresses change (S3-30)
NOTHING_DIFFERED = {12}
SWITCHED = ("vpn-status is on", "vpn-status is off")
STAMPS = {
    "2004": r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d,\d{3} ",
    "2007": r"\[VPN-Status\] \d{4}/\d\d/\d\d \d\d:\d\d:\d\d,\d{3} ",
}


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


@pytest.fixture
def client(lab: Lab, gateway: OurGateway) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


def area(program: Program) -> tuple[str, ...]:
    return ("gateway",) if program.kind == "gateway" else ()


class Console:
    """A console on which `trace +` was typed; what it showed."""

    def __init__(self, spawned: Spawned) -> None:
        self.process = spawned
        self._before = len(spawned.said)

    @property
    def lines(self) -> list[str]:
        return [line for line in self._said if line not in SWITCHED]

    @property
    def is_on(self) -> bool:
        return self._said[:1] == [SWITCHED[0]]

    @property
    def _said(self) -> list[str]:
        return self.process.said[self._before :].splitlines()

    def wait_for(self, words: str) -> list[str]:
        until(f"the trace says {words}", lambda: words in "\n".join(self.lines), seconds=10)
        return self.lines


@contextmanager
def traced(program: Program, label: str, *words: str) -> Iterator[Console]:
    """The trace on a console of its own, until switched off."""
    where = ("--state-dir", str(program.state), "--socket", str(program.socket))
    command = [*PROGRAM, *area(program), *ON, *words, *where]
    spawned = program.lab.spawn(program.where, command, label=f"{label}-{program.where}")
    console = Console(spawned)
    try:
        until("the trace is on", lambda: console.is_on, seconds=10)
        yield console
    finally:
        spawned.stop()


def switch_off(program: Program, *words: str) -> str:
    done = program.culvert(*area(program), *OFF, *words)
    assert done.status == 0, done.err
    return done.out


def numbers(lines: list[str]) -> list[int]:
    """Which messages of the course these lines are, each where it came first."""
    shown: list[int] = []
    for line in lines:
        for number, row in course().items():
            parts = PLACEHOLDER.split(row.text)
            if re.search(".*?".join(map(re.escape, parts)) + "$", line):
                shown.append(number)
    return list(dict.fromkeys(shown))


@pytest.mark.requirement("S3-01")
@pytest.mark.cell("trace", "ourselves")
@pytest.mark.parametrize("stamp", STAMPS)
def test_on_tells_the_course_of_a_connect_and_off_tells_nothing(
    lab: Lab, gateway: OurGateway, client: OurClient, stamp: str
) -> None:
    with (
        traced(client, f"trace-{stamp}", "--stamp", stamp) as mine,
        traced(gateway, f"trace-{stamp}", "--stamp", stamp) as theirs,
    ):
        with client.connected():
            prove_data(lab, "client1")
            lines = mine.wait_for("connected, set poll timer to 30 sec")
            at_gateway = theirs.wait_for("Phase-2 [")
        assert all(re.match(STAMPS[stamp], line) for line in (*lines, *at_gateway))
        told = [number for number in numbers(lines) if number not in (4, 5)]
        assert told == sorted(told)
        assert set(course()) - set(numbers(lines)) == ANNOUNCEMENT | NOTHING_DIFFERED
        assert {9, 13, 14, 15, 16, 17, 18, 19, 20, 21} <= set(numbers(at_gateway))
        assert explain(lines).outcome in ("ok", "ended")
        assert switch_off(client) == "1 switched off.\n"
        assert switch_off(gateway) == "1 switched off.\n"
        assert mine.process.wait()
        assert theirs.process.wait()
        before = len(mine.lines), len(theirs.lines)
        with client.connected():
            prove_data(lab, "client1")
        assert (len(mine.lines), len(theirs.lines)) == before
    assert switch_off(client) == "No such trace was on.\n"


@pytest.mark.requirement("S3-01")
def test_one_connection_and_one_peer_alone(
    lab: Lab, gateway: OurGateway, client: OurClient
) -> None:
    user = USERS["client1"]
    with (
        traced(client, "trace-other", "home") as other,
        traced(gateway, "trace-user", user) as theirs,
        traced(gateway, "trace-nobody", "nobody") as nobodys,
        traced(gateway, "trace-pat", topology.PAT_OUTSIDE) as addressed,
    ):
        with client.connected():
            prove_data(lab, "client1")
        theirs.wait_for("Phase-2 [")
        addressed.wait_for("Phase-2 [")
        assert {8, 9, 13, 14, 17} <= set(numbers(theirs.lines)), "from the first message on"
        assert not other.lines
        assert not nobodys.lines
        assert switch_off(gateway, "nobody") == "1 switched off.\n"
        assert nobodys.process.wait()
        assert theirs.process.alive


@pytest.mark.requirement("S3-01")
def test_gateway_to_gateway_is_traced_alike(lab: Lab) -> None:
    """Neither has people."""
    with (
        SiteGateway(lab, site=NEAR) as near,
        traced(near, "trace-site", "other") as told,
        SiteGateway(lab, "client1", site=FAR),
    ):
        near.joined(3)
        told.wait_for("Phase-2 [")
        assert {8, 9, 13, 14, 15, 16, 17, 18, 19, 20, 21} <= set(numbers(told.lines))
