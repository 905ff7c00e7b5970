"""Main mode with a pre-shared key: our ends with strongSwan's and with each other."""

from __future__ import annotations

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP, USERS, PeerFailure
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data

pytestmark = pytest.mark.root

MODERN, LEGACY = "aes256-sha2_256-modp2048", "aes128-sha1-modp1024"
PROFILE = {
    "exchange_mode": "main",
    "remote_networks": [topology.PRIVATE],
    "phase1": [MODERN, LEGACY],
    "phase2": ["aes128-sha1"],
    "legacy": ["sha1", "modp1024"],
}


@pytest.mark.peer("strongswan")
@pytest.mark.parametrize("suite", ["aes256-sha256-modp2048", "aes128-sha1-modp1024"])
def test_our_client_at_strongswan(lab: Lab, pki: Pki, suite: str) -> None:
    """Two groups in one offer, which only main mode can make."""
    with (
        StrongswanGateway(lab, pki, ike=suite, esp="aes128-sha1"),
        OurClient(lab, profile=PROFILE) as client,
        client.connected() as row,
    ):
        assert row["transport"] == "nat-t"
        prove_data(lab, "client1", "1M.bin")
        (started,) = client.heard("ike.phase1-started")
        assert started["fields"]["mode"] == "main"


@pytest.mark.cell("xauth", "strongswan-client")
@pytest.mark.peer("strongswan")
def test_strongswan_at_our_gateway(lab: Lab, pki: Pki) -> None:
    with (
        OurGateway(lab, general={"main_mode_group": GROUP}) as gateway,
        StrongswanClient(lab, pki, "main-psk-xauth", ike=LEGACY),
    ):
        prove_data(lab, "client1", "1M.bin")
        row = gateway.session_of(USERS["client1"])
        assert row["group"] == GROUP
        assert row["state"] == "up"


def test_our_client_at_our_gateway(lab: Lab) -> None:
    general = {"main_mode_group": GROUP}
    with OurGateway(lab, general=general) as gateway, OurClient(lab, profile=PROFILE) as client:
        with client.connected() as row:
            prove_data(lab, "client1", "1M.bin")
            assert row["assigned_ip"] == gateway.session_of(USERS["client1"])["assigned_ip"]
        gateway.wait_until_empty()


def test_a_wrong_key_is_named_at_both_ends(lab: Lab) -> None:
    general = {"main_mode_group": GROUP}
    wrong = {**PROFILE, "group_key": "not the key of this group", "peer_timeout": 5}
    with OurGateway(lab, general=general) as gateway, OurClient(lab, profile=wrong) as client:
        assert client.try_up().status != 0
        assert client.why()["diagnosis"]["id"] == "p1.psk-mismatch"
        assert gateway.heard("ike.group-key-mismatch")
        client.profile = PROFILE
        with client.connected():
            prove_data(lab, "client1", "1M.bin")


def test_a_gateway_without_a_group_for_it_refuses_main_mode(lab: Lab) -> None:
    with OurGateway(lab) as gateway, OurClient(lab, profile=PROFILE) as client:
        with pytest.raises(PeerFailure):
            client.up()
        assert gateway.heard("ike.mode-refused")
