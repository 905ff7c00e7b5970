"""Our client with every suite, in both modes: at strongSwan's gateway and at our own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.matrix.suites import EVERYTHING, Dialled, cases, runs
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP, USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.rows import PHASE1, PHASE2

pytestmark = [pytest.mark.root, pytest.mark.interop_matrix]

# One proposal of many algorithms stands for every combination of them.
GROUPS = "modp1024-modp1536-modp2048-modp3072-modp4096"
CBC = "aes128-aes192-aes256-3des-des-md5-sha1-sha256-sha384-sha512"
GCM = "aes128gcm16-aes192gcm16-aes256gcm16"
PLAIN = f"null-{CBC}"
ESP = f"{PLAIN}-{GROUPS},{GCM}-{GROUPS},{PLAIN},{GCM}"


@pytest.fixture(scope="class")
def strongswan(lab: Lab, pki: Pki) -> Iterator[StrongswanGateway]:
    with StrongswanGateway(lab, pki, ike=f"{CBC}-{GROUPS}", esp=ESP) as running:
        yield running


@pytest.fixture(scope="class")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    settings = {"main_mode_group": GROUP}
    with OurGateway(
        lab, general=settings, phase1=PHASE1, phase2=PHASE2, legacy=EVERYTHING
    ) as running:
        yield running


@pytest.fixture(scope="class")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


def dial(client: OurClient, case: Dialled) -> None:
    """It offers this suite and no other."""
    client.profile = {
        "remote_networks": [topology.PRIVATE],
        "exchange_mode": case.mode,
        "phase1": [case.ike],
        "phase2": [case.esp],
        "pfs": case.pfs,
        "legacy": EVERYTHING,
    }
    client.up()


@pytest.mark.peer("strongswan")
class TestAtStrongswan:
    @pytest.mark.parametrize("case", cases("strongswan-gateway", runs()))
    def test_data_with(
        self, lab: Lab, strongswan: StrongswanGateway, client: OurClient, case: Dialled
    ) -> None:
        dial(client, case)
        try:
            assert lab.fetch("client1").identical
        finally:
            client.down()


@pytest.mark.peer("culvert")
class TestAtOurGateway:
    @pytest.mark.parametrize("case", cases("ourselves", runs()))
    def test_data_with(
        self, lab: Lab, gateway: OurGateway, client: OurClient, case: Dialled
    ) -> None:
        dial(client, case)
        try:
            assert lab.fetch("client1").identical
            row = gateway.session_of(USERS["client1"])
            assert row["ike_suite"] == case.ike
        finally:
            client.down()
