"""`transport = "auto"` at our gateway and at a foreign one: which way it found, told and used."""

from __future__ import annotations

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from faults import places
from interop.ours import OurClient, OurGateway
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root]

EVERY_WAY = {"ipsec_over_udp": True, "ipsec_over_tcp": True}
SEARCHING = {**EVERY_WAY, "transport": "auto"}


def ways_found(client: OurClient) -> list[str]:
    return [event["fields"]["transport"] for event in client.events("client.way-found")]


@pytest.mark.cell("auto", "ourselves")
@pytest.mark.peer("culvert")
def test_what_was_found_is_begun_with_the_next_time(lab: Lab) -> None:
    """UDP port 4500 is blocked: eight seconds are lost over it once, and never again there."""
    with (
        OurGateway(lab, general=EVERY_WAY) as gateway,
        OurClient(lab, "client1", SEARCHING) as client,
        places.dropping(lab, *places.PORT_4500) as dropped,
    ):
        with client.connected() as row:
            assert row["transport"] == "udp"
            prove_data(lab, "client1", "1M.bin")
            assert gateway.session_of(client.user)["transport"] == "udp"
        lost = dropped.count
        assert lost
        (blocked,) = client.events("client.way-blocked")
        assert blocked["fields"]["blocked"] == "UDP 4500"
        with client.connected() as row:
            assert row["transport"] == "udp"
            prove_data(lab, "client1")
        assert dropped.count == lost
        assert ways_found(client) == ["udp", "udp"]
        assert len(client.events("client.way-blocked")) == 1


@pytest.mark.cell("auto", "strongswan-gateway")
@pytest.mark.peer("strongswan")
def test_who_may_search_and_need_not_takes_the_usual_way_at_strongswan(lab: Lab, pki: Pki) -> None:
    profile = {
        **SEARCHING,
        "remote_networks": [topology.PRIVATE],
        "phase1": ["aes256-sha2_256-modp2048"],
        "phase2": ["aes128-sha1"],
        "legacy": ["aggressive-psk", "sha1"],
    }
    with (
        StrongswanGateway(lab, pki),
        OurClient(lab, "client2", profile) as client,
        client.connected() as row,
    ):
        assert row["transport"] == "nat-t"
        prove_data(lab, "client2", "1M.bin")
        assert ways_found(client) == ["nat-t"]
        assert client.events("client.way-blocked") == []
