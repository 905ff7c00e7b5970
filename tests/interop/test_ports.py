"""Which UDP ports IKE and ESP use, from the first message on and after both renewals."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.pat import mapped
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc
from interop.test_plain_esp import captured
from interop.test_ways import HOLDER

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

SHOWN = 31_337  # the port that the PAT makes of the client's 4500
LIVES = {"phase1_lifetime": 60, "phase2_lifetime": 120, "phase2_volume": 2_000}
DISCARD = 9
RENEWED = 75.0  # phase 1 after 48 to 54 seconds
EARLY = "natt-early"
EARLY_GENERAL = {"legacy": ["aggressive-psk", "3des", "sha1", "md5", "modp1024", "modp1536", EARLY]}
EARLY_CLIENT = {"legacy": ["aggressive-psk", EARLY]}
PACKET = re.compile(r" IP ([\d.]+)\.(\d+) > ([\d.]+)\.(\d+): (.*)")


@pytest.fixture(params=["kernel", "python"])
def early(lab: Lab, request: pytest.FixtureRequest) -> Iterator[OurGateway]:
    """A gateway that has NAT traversal by the first drafts, and no other."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CULVERT_ENGINE", request.param)
        with OurGateway(lab, general=EARLY_GENERAL, group={"nat_traversal": "early"}) as running:
            yield running


def ends(file: Path) -> list[tuple[int, int, str]]:
    """Of each UDP datagram in order: the caller's port, the gateway's, what it is."""
    read = [namespace.tool("tcpdump"), "-n", "-r", str(file), "udp"]
    done = subprocess.run(read, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        if told := PACKET.search(line):
            source, sport, _, dport, what = told.groups()
            called = source != topology.GATEWAY
            here, there = (sport, dport) if called else (dport, sport)
            if int(there) != DISCARD:  # how wide the way is was asked there, before
                found.append((int(here), int(there), what))
    return found


@pytest.mark.requirement("S4-10")
@pytest.mark.requirement("S4-04", part="client to gateway")
def test_after_the_negotiation_all_goes_by_the_floated_ports_both_renewals_too(lab: Lab) -> None:
    with (
        OurGateway(lab) as gateway,
        mapped(lab, {"client1": SHOWN}),
        captured(lab, "floated") as file,
        OurClient(lab, "client1", LIVES) as client,
        client.connected() as row,
    ):
        assert row["transport"] == "nat-t"
        for _ in range(3):
            prove_data(lab, "client1")
        until("phase 2 is renewed", lambda: bool(client.events("quick.rekeying")), seconds=20)
        until("phase 1 is renewed", lambda: bool(client.events("ike.renewed")), seconds=RENEWED)
        prove_data(lab, "client1")
        assert gateway.sessions
    used = ends(file)
    assert {there for _, there, _ in used} == {500, 4500}
    first = [there for _, there, _ in used].index(4500)
    before, after = used[:first], used[first:]
    assert len(before) == 2  # the first two messages of aggressive mode
    assert {there for _, there, _ in before} == {500}
    assert {(here, there) for here, there, _ in after} == {(SHOWN, 4500)}
    assert sum("isakmp" in what for _, _, what in after) > 12  # phase 1 again, phase 2 thrice


@pytest.mark.requirement("S1-182", part="port 500")
@pytest.mark.cell("natt-early", "ourselves")
@pytest.mark.parametrize("where", ["client1", "client2"])
def test_by_the_first_drafts_esp_stays_on_port_500(lab: Lab, early: OurGateway, where: str) -> None:
    with captured(lab, f"early-{where}") as file, OurClient(lab, where, EARLY_CLIENT) as client:
        with client.connected() as row:
            prove_data(lab, where)
            assert (row["transport"], row["tunnel_port"]) == ("nat-t", 500)
            session = early.session_of(client.user)
            assert (session["transport"], session["tunnel_port"]) == ("nat-t", 500)
        early.wait_until_empty()
    assert {there for _, there, _ in ends(file)} == {500}
    assert len(ends(file)) > 20  # trains of datagrams count once
    assert client.events("ike.natt-negotiated")[-1]["fields"]["version"] == "natt-01"


@pytest.mark.requirement("S1-182", part="port 500")
@pytest.mark.cell("natt-early", "vpnc")
def test_vpnc_stays_on_port_500_with_a_gateway_of_the_first_drafts(
    lab: Lab, early: OurGateway
) -> None:
    with captured(lab, "early-vpnc") as file:
        with Vpnc(lab, "client1"):
            prove_data(lab, "client1")
            assert early.session_of(USERS["client1"])["tunnel_port"] == 500
        early.wait_until_empty()
    assert {there for _, there, _ in ends(file)} == {500}
    assert len(ends(file)) > 20  # trains of datagrams count once


@pytest.mark.parametrize(
    ("mode", "ports"),
    [
        pytest.param(
            mode, ports, id=id, marks=pytest.mark.requirement("S1-182", part=f"port {max(ports)}")
        )
        for mode, ports, id in (
            ("early", {500}, "first drafts"),
            ("auto", {500, 4500}, "later"),
        )
    ],
)
def test_esp_goes_in_udp_on_port_500_by_early_versions_and_on_4500_by_later_ones(
    lab: Lab, mode: str, ports: set[int]
) -> None:
    with OurGateway(lab, general=EARLY_GENERAL, group={"nat_traversal": mode}) as gateway:
        with captured(lab, f"form-{mode}") as file:
            with Vpnc(lab, "client1"):
                prove_data(lab, "client1")
                row = gateway.session_of(USERS["client1"])
                assert (row["transport"], row["tunnel_port"]) == ("nat-t", max(ports))
            gateway.wait_until_empty()
        used = ends(file)
        assert {there for _, there, _ in used} == ports
        assert sum(there == max(ports) for _, there, _ in used) > 20
        with OurClient(lab, "client2", EARLY_CLIENT) as client, client.connected() as mine:
            prove_data(lab, "client2")
            assert mine["tunnel_port"] == max(ports)
        gateway.wait_until_empty()


def test_without_the_switch_nobody_uses_the_first_drafts(lab: Lab, early: OurGateway) -> None:
    with OurClient(lab, "client1") as client, client.connected() as row:
        assert row["transport"] == "esp"
        assert early.sessions
    early.wait_until_empty()


# --- fixed and dynamic ports ---------------------------------------------------------------------


@contextmanager
def taken(lab: Lab, where: str) -> Iterator[None]:
    """Another program holds both ports there."""
    holder = lab.spawn(where, [sys.executable, "-c", HOLDER], label="holder")
    try:
        until("the ports are taken", lambda: "held" in holder.said, seconds=10.0)
        yield
    finally:
        holder.stop()


DYNAMIC = {"ike_port": "dynamic", "natt_port": "dynamic"}
FIXED = {"ike_port": "fixed", "natt_port": "fixed"}


@pytest.mark.requirement("S1-162")
@pytest.mark.parametrize("where", ["pub", "client1"])
def test_with_dynamic_ports_the_tunnel_comes_up_where_another_program_has_500_and_4500(
    lab: Lab, where: str
) -> None:
    with (
        OurGateway(lab),
        taken(lab, where),
        captured(lab, f"dynamic-{where}") as file,
        OurClient(lab, where, DYNAMIC) as client,
        client.connected() as row,
    ):
        assert row["transport"] == "nat-t"
        prove_data(lab, where)
    here = {port for port, _, _ in ends(file)}
    assert len(here) >= 2
    assert not here & {500, 4500}


@pytest.mark.requirement("S1-162")
@pytest.mark.parametrize("kind", ["ike_port", "natt_port"])
def test_a_switch_for_a_dynamic_port_leaves_the_other_port_fixed(lab: Lab, kind: str) -> None:
    keys = {**FIXED, kind: "dynamic", "nat_traversal": "force"}
    with (
        OurGateway(lab),
        captured(lab, f"one-{kind}") as file,
        OurClient(lab, "pub", keys) as client,
        client.connected(),
    ):
        prove_data(lab, "pub")
    used = {there: {here for here, to, _ in ends(file) if to == there} for there in (500, 4500)}
    fixed, free = (4500, 500) if kind == "ike_port" else (500, 4500)
    assert used[fixed] == {fixed}
    assert not used[free] & {500, 4500}


@pytest.mark.requirement("S1-162")
def test_with_fixed_ports_the_program_that_has_them_is_named_and_how_to_go_on(lab: Lab) -> None:
    with OurGateway(lab), taken(lab, "client1"), OurClient(lab, "client1", FIXED) as client:
        done = client.try_up()
        said = " ".join(f"{done.out} {done.err}".split())
        assert done.status == 4
        assert "UDP port 500 at 0.0.0.0 is taken by" in said
        assert 'ike_port = "dynamic"' in said
