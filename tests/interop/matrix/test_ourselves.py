"""Cells of our own column that no test of the gate fills."""

from __future__ import annotations

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.matrix.versions import VERSIONS
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import GROUP, USERS
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.interop_matrix]

COLUMN = "ourselves"
USER = USERS["client1"]
MODERN = "aes256-sha2_256-modp2048"


@pytest.mark.parametrize("version", VERSIONS)
def test_one_draft_of_nat_traversal_alone(lab: Lab, cell: Proves, version: str) -> None:
    cell(f"natt-{version}", COLUMN)
    with (
        OurGateway(lab) as gateway,
        OurClient(lab) as client,
        client.connected(nat_traversal=version) as row,
    ):
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)
        for end in (client, gateway):
            told = end.heard("ike.natt-negotiated")[-1]["fields"]
            assert told["version"] in VERSIONS[version]
        prove_data(lab, "client1")


def test_a_group_key_alone_in_main_mode(lab: Lab, cell: Proves) -> None:
    cell("auth-psk-main", COLUMN)
    general = {"main_mode_group": GROUP, "authentication": ["psk"]}
    profile = {"authentication": "psk", "exchange_mode": "main", "phase1": [MODERN]}
    with (
        OurGateway(lab, general=general) as gateway,
        OurClient(lab, profile=profile) as client,
        client.connected() as row,
    ):
        assert row["method"] == "psk"
        assert client.events("ike.phase1-started")[-1]["fields"]["mode"] == "main"
        (session,) = gateway.sessions
        assert session["method"] == "psk"
        prove_data(lab, "client1")


def test_dead_peer_detection(lab: Lab, cell: Proves) -> None:
    """Each end asks and answers; each finds the other dead."""
    cell("dpd", COLUMN)
    asking = {"dpd_delay": 2, "dpd_retry": 1, "dpd_tries": 4}
    profile = {"dpd_delay": 3, "dpd_timeout": 10, "reconnect": 0}
    with OurGateway(lab, group=asking) as gateway, OurClient(lab, profile=profile) as client:
        client.up()
        until("it answers", lambda: len(gateway.heard("live.answer")) > 1, seconds=20)
        client.kill()
        gateway.wait_until_empty(seconds=20)
        assert gateway.events("session.ended")[-1]["fields"]["reason"] == "lost-peer"
        client.repair()
        gateway.stop()
        gateway.group = {"dpd_delay": 0}
        gateway.start()
        client.start()
        client.up()
        until("it answers", lambda: len(client.heard("live.answer")) > 1, seconds=20)
        gateway.kill()
        downs = len(client.events("client.down"))
        until("it is lost", lambda: len(client.events("client.down")) > downs, seconds=30)
        assert client.events("client.down")[-1]["fields"]["reason"] == "lost-peer"
        gateway.repair()


def test_one_proposal_only(lab: Lab, cell: Proves) -> None:
    cell("one-proposal", COLUMN)
    offer = {
        "phase1": [MODERN, "aes128-sha2_256-modp2048"],
        "phase2": ["aes256gcm16", "aes128gcm16"],
    }
    profile = {**offer, "remote_networks": [topology.PRIVATE], "one_proposal": True}
    with (
        OurGateway(lab) as gateway,
        OurClient(lab, profile=profile) as client,
        client.connected(),
    ):
        assert not client.heard("ike.several-offered")
        assert gateway.session_of(USER)["ike_suite"] == MODERN
        prove_data(lab, "client1")
