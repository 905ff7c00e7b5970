"""strongSwan's client with every suite, in both modes, at our gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab.lab import Lab
from interop.matrix.suites import EVERYTHING, Dialled, cases, runs, strongswan
from interop.ours import OurGateway
from interop.peers.credentials import GROUP, USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_client import PATIENCE, StrongswanClient
from interop.rows import PHASE1, PHASE2

pytestmark = [pytest.mark.root, pytest.mark.peer("strongswan"), pytest.mark.interop_matrix]

METHOD = {"aggressive": "agg-psk-xauth", "main": "main-psk-xauth"}


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    settings = {"main_mode_group": GROUP}
    with OurGateway(
        lab, general=settings, phase1=PHASE1, phase2=PHASE2, legacy=EVERYTHING
    ) as running:
        yield running


@pytest.fixture(scope="module")
def client(lab: Lab, pki: Pki) -> Iterator[StrongswanClient]:
    standing = StrongswanClient(lab, pki)
    yield standing
    standing.down()


def dial(client: StrongswanClient, case: Dialled) -> None:
    """Only the connection is loaded anew; the daemon runs on."""
    client.method, client.ike = METHOD[case.mode], strongswan(case.ike)
    client.esp = strongswan(case.esp_with_group)
    if not client.charon.alive:
        client.up()
        return
    place = client.charon.folder / "swanctl" / "swanctl.conf"
    place.write_text(client.connection(), "utf-8")
    client.charon.swanctl("--load-conns")
    words = ["--initiate", "--child", "net", "--timeout", str(PATIENCE)]
    client.charon.swanctl(*words, patience=PATIENCE + 5)


@pytest.mark.parametrize("case", cases("strongswan-client", runs()))
def test_data_with(lab: Lab, gateway: OurGateway, client: StrongswanClient, case: Dialled) -> None:
    try:
        dial(client, case)
        assert lab.fetch("client1").identical
        row = gateway.session_of(USERS["client1"])
        assert row["ike_suite"] == case.ike
        client.charon.swanctl("--terminate", "--ike", "lab", "--timeout", "5")
    except BaseException:
        client.down()  # or it would dial on and on, into the next run
        raise
