"""A machine that is closed for real: nothing passes beside the tunnel, with it, without it, and
after its process was killed, until the repair."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from culvert.effects import TunnelSettings
from culvert.netio.machine import Machine
from culvert.netio.resolver import PlainFile
from culvert.netio.tun import Tun
from netio.namespaces import inside, ip
from netio.test_machine_killed import computer, picture

pytestmark = pytest.mark.root

GATEWAY, ELSEWHERE, NEIGHBOUR = "192.0.2.50", "203.0.113.9", "198.51.100.20"
CLOSED = TunnelSettings(
    connection="work",
    address="10.77.0.5",
    prefix_length=32,
    mtu=1300,
    routes=("0.0.0.0/0",),
    excluded=(),
    dns_servers=(),
    search_domains=(),
    split_domains=(),
    gateway=GATEWAY,
    closed=True,
)
HOST = replace(CLOSED, closed=False, routes=(f"{GATEWAY}/32",), address="", own="198.51.100.7")
OUTSIDE = "eth0"
NOWHERE = ""


@pytest.fixture
def here() -> Generator[str]:
    with computer("c") as name, inside(name):
        yield name


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    found = tmp_path / "etc"
    found.mkdir()
    (found / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    return found


@pytest.fixture
def machine(here: str, etc: Path, tmp_path: Path) -> Machine:
    return Machine(directory=tmp_path / "changes", resolver=PlainFile(etc / "resolv.conf"))


@pytest.fixture
def tun(machine: Machine) -> Generator[Tun]:
    opened = machine.open_tun()
    yield opened
    machine.close_tun(opened)


def way(here: str, address: str, *how: str) -> str:
    """The device that a packet leaves by; empty: it leaves by none."""
    asked = ("ip", "-n", here, "-j", "route", "get", address, *how)
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    if done.returncode:
        return NOWHERE
    device: str = json.loads(done.stdout)[0]["dev"]
    return device


IKE = (
    ("ipproto", "udp", "dport", "500"),
    ("ipproto", "udp", "dport", "4500"),
)
LEASE = ("ipproto", "udp", "dport", "67")
ADDRESSES = (GATEWAY, ELSEWHERE, NEIGHBOUR, "2001:db8::1")


@pytest.mark.requirement("S1-71", part="host to everywhere")
def test_everything_goes_into_the_tunnel_but_ike_esp_and_dhcp(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    before = picture(etc)
    machine.apply(CLOSED, tun.name)
    for address in (GATEWAY, ELSEWHERE, NEIGHBOUR):
        assert way(here, address) == tun.name
        assert way(here, address, "ipproto", "tcp", "dport", "80") == tun.name
    for how in IKE:
        assert way(here, GATEWAY, *how) == OUTSIDE
        assert way(here, ELSEWHERE, *how) == tun.name, "another's IKE is traffic like any other"
    assert f"to {GATEWAY} ipproto esp lookup main" in ip("-n", here, "rule")
    assert way(here, NEIGHBOUR, *LEASE) == OUTSIDE
    assert way(here, "2001:db8::1") == NOWHERE, "this tunnel carries IPv4 only"
    machine.restore("work")
    assert picture(etc) == before
    assert way(here, ELSEWHERE) == OUTSIDE


def test_the_local_network_stays_where_it_is_allowed(here: str, machine: Machine, tun: Tun) -> None:
    machine.apply(replace(CLOSED, local_lan=True), tun.name)
    assert way(here, NEIGHBOUR) == OUTSIDE
    assert way(here, ELSEWHERE) == tun.name
    machine.apply(replace(CLOSED, excluded=("203.0.113.0/24",)), tun.name)
    assert way(here, NEIGHBOUR) == tun.name
    assert way(here, ELSEWHERE) == OUTSIDE
    machine.restore("work")


@pytest.mark.requirement("S1-71", part="host to everywhere")
def test_a_killed_process_leaves_the_machine_closed_until_the_repair(
    here: str, machine: Machine, etc: Path, tmp_path: Path
) -> None:
    before = picture(etc)
    child = os.fork()
    if not child:
        theirs = Machine(directory=tmp_path / "changes", resolver=PlainFile(etc / "resolv.conf"))
        theirs.apply(CLOSED, theirs.open_tun().name)
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    for address in ADDRESSES:
        assert way(here, address) == NOWHERE
    assert machine.leftovers()
    assert machine.recover().failed == ()
    assert picture(etc) == before
    assert way(here, ELSEWHERE) == OUTSIDE


def test_packets_to_the_gateway_itself_go_through_the_tunnel_that_ends_there(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    before = picture(etc)
    machine.apply(HOST, tun.name)
    assert way(here, GATEWAY) == tun.name
    assert "198.51.100.7" in ip("-n", here, "route", "get", GATEWAY)
    for how in IKE:
        assert way(here, GATEWAY, *how) == OUTSIDE
    assert way(here, ELSEWHERE) == OUTSIDE
    machine.restore("work")
    assert picture(etc) == before
