"""Unmodified vpnc, two at once behind one PAT, at our gateway (S4-01, S4-02, S4-03)."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import DOMAIN, OurGateway, until
from interop.pat import ADDRESSES, BOTH, forgotten_in_mid_transfer, mapped, ports_of, received
from interop.peers.credentials import USERS
from interop.peers.tunnel import carries_nothing, prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

WHOLE = 100 << 20
GOES_ON = 10.0
"""Seconds of silence at most after the PAT has forgotten everything."""
CELL = r"\d+ in use, \d+ most used"


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_left(gateway: OurGateway) -> Iterator[None]:
    yield
    gateway.wait_until_empty()


@pytest.fixture
def both(lab: Lab, gateway: OurGateway) -> Iterator[tuple[Vpnc, Vpnc]]:
    with Vpnc(lab, "client1") as first, Vpnc(lab, "client2") as second:
        yield first, second


@pytest.mark.requirement("S1-175", part="file")
@pytest.mark.cell("two-behind-one-pat", "vpnc")
@pytest.mark.cell("xauth", "vpnc")
@pytest.mark.cell("split", "vpnc")
@pytest.mark.requirement("S4-01", part="vpnc")
def test_two_at_once_each_with_its_own_address_row_and_100_mb(
    lab: Lab, gateway: OurGateway, both: tuple[Vpnc, Vpnc]
) -> None:
    first, second = both
    rows = {row["user"]: row for row in gateway.sessions}
    assert rows.keys() == {USERS[where] for where in BOTH}
    assert {row["assigned_ip"] for row in rows.values()} == {"40.1.1.1", "40.1.1.2"}
    assert {row["public_ip"] for row in rows.values()} == {topology.PAT_OUTSIDE}
    assert len({row["public_port"] for row in rows.values()}) == 2
    # Both came from source port 500; the PAT alone tells them apart.
    assert ports_of(lab, 500).keys() == set(ADDRESSES.values())
    assert len(set(ports_of(lab, 500).values())) == 2
    for client, where in zip(both, BOTH, strict=True):
        assert client.tunnel.address == rows[USERS[where]]["assigned_ip"]
        assert client.tunnel.routes == [topology.PRIVATE]
        assert lab.ping(where, topology.SERVER, count=2)
    with ThreadPoolExecutor() as pool:
        fetched = list(pool.map(lambda where: lab.fetch(where, "100M.bin"), BOTH))
    assert all(one.identical and one.octets == WHOLE for one in fetched)
    for where in BOTH:
        # What the gateway counts is what came out of the client's tunnel, and what was lost.
        row = gateway.session_of(USERS[where])
        heard = received(lab, where, "tun0")
        assert WHOLE < heard <= row["bytes_out"]
        assert row["packets_in"] > 100
    first.down()
    until("one row is left", lambda: len(gateway.sessions) == 1, seconds=5)
    assert gateway.session_of(USERS["client2"])["state"] == "up"
    prove_data(lab, "client2")
    assert carries_nothing(lab, "client1")
    ended = gateway.events("session.ended")[-1]["fields"]
    assert (ended["user"], ended["reason"], ended["by_peer"]) == (
        USERS["client1"],
        "by-user",
        True,
    )
    assert second.alive


@pytest.mark.requirement("S4-01", part="vpnc")
def test_both_reconnect_with_swapped_ports(lab: Lab, gateway: OurGateway) -> None:
    ports = {"client1": 1025, "client2": 1026}
    swapped = {"client1": 1026, "client2": 1025}
    for given in (ports, swapped):
        with mapped(lab, given), Vpnc(lab, "client1"), Vpnc(lab, "client2"):
            seen = {row["user"]: row["public_port"] for row in gateway.sessions}
            assert seen == {USERS[where]: port for where, port in given.items()}
            for where in BOTH:
                prove_data(lab, where)
        gateway.wait_until_empty()


@pytest.mark.requirement("S4-02")
def test_xlate_and_arp_of_two_clients_look_as_in_the_note(
    lab: Lab, both: tuple[Vpnc, Vpnc]
) -> None:
    lines = str(lab.xlate()).splitlines()
    assert re.fullmatch(CELL, lines[0])
    for address in ADDRESSES.values():
        for port in (500, 4500):
            pattern = rf"PAT Global {topology.PAT_OUTSIDE}\(\d+\) Local {address}\({port}\)"
            assert sum(bool(re.fullmatch(pattern, line)) for line in lines) == 1
    assert len(set(ports_of(lab, 4500).values())) == 2
    # The kernel's own word: as many rewritten flows as the table says are in use.
    listed = lab.run("pat", [namespace.tool("conntrack"), "-L"]).stdout.splitlines()
    # (Packets of the gateway to a mapping that was flushed leave entries too; they are none.)
    inside = tuple(f"src={address} " for address in ADDRESSES.values())
    rewritten = [line for line in listed if any(word in line for word in inside)]
    in_use, most_used = map(int, re.findall(r"\d+", lines[0]))
    assert in_use == len(rewritten) == len(lines) - 1
    assert most_used >= in_use
    neighbours = [str(row) for row in lab.arp()]
    for address in ADDRESSES.values():
        pattern = rf"\s*inside {address} [0-9a-f]{{4}}\.[0-9a-f]{{4}}\.[0-9a-f]{{4}}.*"
        assert any(re.fullmatch(pattern, line) for line in neighbours), neighbours


@pytest.mark.cell("nat-rebinding", "vpnc")
@pytest.mark.requirement("S4-03")
def test_a_translation_table_flushed_in_mid_transfer_stops_nobody(
    lab: Lab, gateway: OurGateway, both: tuple[Vpnc, Vpnc]
) -> None:
    before = ports_of(lab, 4500)
    for where in BOTH:
        forgotten_in_mid_transfer(
            lab, where, lambda w=where: received(lab, w, "tun0"), silence=GOES_ON
        )
    assert ports_of(lab, 4500) != before
    moved = {row["user"] for row in gateway.sessions if row["public_port"] not in before.values()}
    assert moved == {USERS[where] for where in BOTH}


def test_a_flush_while_nothing_flows_is_healed_by_the_next_packet(
    lab: Lab, both: tuple[Vpnc, Vpnc]
) -> None:
    lab.flush_nat()
    began = time.monotonic()
    for where in BOTH:
        prove_data(lab, where)
    assert time.monotonic() - began < GOES_ON


@pytest.mark.cell("no-nat", "vpnc")
def test_vpnc_without_a_nat_between_has_a_tunnel_too(lab: Lab, gateway: OurGateway) -> None:
    with Vpnc(lab, "pub"):
        (row,) = gateway.sessions
        assert row["public_ip"] == topology.PUB
        assert (row["transport"], row["tunnel_port"]) == ("esp", 0)
        prove_data(lab, "pub")


@pytest.mark.cell("mode-config", "vpnc")
def test_vpnc_gets_what_mode_config_hands_out(lab: Lab, gateway: OurGateway) -> None:
    with Vpnc(lab) as client:
        row = gateway.session_of(USERS["client1"])
        # What the client says of itself (S4-43) and what it hung its DNS on.
        assert (row["client_type"], row["client_version"][:3]) == ("Linux", "0.5")
        resolv = lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
        assert f"nameserver {topology.SERVER}" in resolv
        assert DOMAIN in resolv
        assert "Welcome to the lab" in client.log
