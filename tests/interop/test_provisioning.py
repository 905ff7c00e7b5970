"""Client provisioning of three kinds: Cisco's, plain Mode Config, DHCP over IPsec (S1-70)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.ours import DOMAIN, OurClient, OurGateway, traces, until
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.test_plain_esp import captured, seen
from interop.test_topologies import KEY, STRONG, SiteGateway

pytestmark = [pytest.mark.root]

POOL = "40.1.1.64/28"
SERVER = Path(__file__).parent / "peers" / "dhcp_server.py"


def assert_locked(client: OurClient, **fields: object) -> None:
    """Each of these cannot be set by hand, and the reason is said."""
    place = client.write_profile()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CULVERT_PROFILES", str(place.parent))
        locked = client.culvert("profile", "show", place.stem, "--json").document["locked"]
    assert locked.keys() == fields.keys()
    assert all("is handed out by the gateway" in reason for reason in locked.values())
    for key, value in fields.items():
        kept = client.profile
        client.profile = {**kept, key: value}
        told = client.culvert("profile", "validate", str(client.write_profile()))
        client.profile = kept
        assert told.status, key
        assert f"{key}: is handed out by the gateway" in told.out + told.err


BY_HAND = {
    "local_address": "10.99.0.1",
    "dns_servers": ["10.99.0.2"],
    "search_domains": ["corp.test"],
}


@pytest.mark.requirement("S1-70", part="Cisco")
@pytest.mark.peer("culvert")
def test_cisco_provisioning_hands_out_address_names_and_extension(lab: Lab) -> None:
    with OurGateway(lab), OurClient(lab) as client:
        assert_locked(client, **BY_HAND)
        with client.connected() as row:
            assert row["assigned_ip"].startswith("40.1.1.")
            assert row["dns"] == [topology.SERVER]
            assert (row["banner"], row["routes"]) != ("", [])
            assert DOMAIN in lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
            prove_data(lab, "client1")


@pytest.mark.requirement("S1-70", part="plain")
@pytest.mark.cell("plain-mode-config", "ourselves")
@pytest.mark.peer("culvert")
def test_plain_provisioning_asks_for_nothing_of_ciscos(lab: Lab) -> None:
    profile = {"provisioning": "plain-mode-config", "remote_networks": [topology.PRIVATE]}
    with OurGateway(lab) as gateway, OurClient(lab, profile=profile) as client:
        assert_locked(client, **BY_HAND)
        with client.connected() as row:
            assert row["assigned_ip"].startswith("40.1.1.")
            assert row["dns"] == [topology.SERVER]
            assert (row["banner"], row["split_domains"]) == ("", [])
            names = client.heard("config.requested")[-1]["fields"]["names"]
            assert names
            assert not [name for name in names if "UNITY" in name]
            (pair,) = gateway.sessions[0]["spis"]
            assert pair["local"] == topology.PRIVATE, "its own network, not everything"
            prove_data(lab, "client1")


@pytest.mark.requirement("S1-70", part="plain")
@pytest.mark.cell("plain-mode-config", "strongswan-gateway")
@pytest.mark.peer("strongswan")
def test_plain_provisioning_at_strongswan(lab: Lab, pki: Pki) -> None:
    profile = {"provisioning": "plain-mode-config", "remote_networks": [topology.PRIVATE]}
    with (
        StrongswanGateway(lab, pki),
        OurClient(lab, profile=profile) as client,
        client.connected() as row,
    ):
        assert row["assigned_ip"].startswith("40.1.1.")
        prove_data(lab, "client1")


SITE = {
    "peer": topology.PAT_OUTSIDE,
    "local_networks": [f"{topology.GATEWAY}/32", topology.PRIVATE],
    "remote_networks": [f"{topology.CLIENT1}/32", POOL],
}
PROFILE = {
    "authentication": "psk",
    "exchange_mode": "main",
    "group": "",
    "group_key": KEY,
    "provisioning": "dhcp",
    "remote_networks": [topology.PRIVATE],
    **STRONG,
}


@contextmanager
def dhcp_server(lab: Lab, *how: str) -> Iterator[Spawned]:
    words = [sys.executable, str(SERVER), topology.GATEWAY, POOL, topology.SERVER, DOMAIN, *how]
    running = lab.spawn("gw", words, label="dhcp")
    until("the DHCP server listens", lambda: "ready" in running.said, seconds=10)
    try:
        yield running
    finally:
        running.stop()


@pytest.mark.requirement("S1-70", part="SonicWALL")
@pytest.mark.cell("dhcp-over-ipsec", "ourselves")
@pytest.mark.peer("culvert")
@pytest.mark.timeout(180)
def test_dhcp_over_ipsec_lends_an_address_and_renews_it(lab: Lab) -> None:
    before = traces(lab, "client1")
    with (
        SiteGateway(lab, site=SITE) as gateway,
        dhcp_server(lab) as server,
        OurClient(lab, profile=PROFILE) as client,
    ):
        assert_locked(client, **BY_HAND)
        with captured(lab, "dhcp") as file, client.connected() as row:
            assert row["assigned_ip"] == "40.1.1.65"
            assert row["dns"] == [topology.SERVER]
            resolv = lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
            assert f"nameserver {topology.SERVER}" in resolv
            assert DOMAIN in resolv
            gateway.joined(2)
            prove_data(lab, "client1")
            assert "lent 40.1.1.65 40" in server.said
            until("it is renewed", lambda: "renewed 40.1.1.65" in server.said, seconds=50)
            prove_data(lab, "client1")
            assert client.row["state"] == "up"
        until("given back", lambda: "released 40.1.1.65 40.1.1.65" in server.said, seconds=5)
        assert seen(file, f"src {topology.PAT_OUTSIDE} and udp port 67") == 0, "inside ESP only"
        client.up()
        assert client.row["assigned_ip"] == "40.1.1.65", "the same again"
        client.down()
    assert traces(lab, "client1") == before


@pytest.mark.requirement("S1-70", part="SonicWALL")
@pytest.mark.peer("culvert")
@pytest.mark.timeout(180)
def test_a_gateway_without_a_dhcp_server_is_told_plainly(lab: Lab) -> None:
    before = traces(lab, "client1")
    with SiteGateway(lab, site=SITE), OurClient(lab, profile=PROFILE) as client:
        refused = client.try_up()
        assert refused.status
        assert "No DHCP server behind the gateway" in refused.err
    assert traces(lab, "client1") == before
