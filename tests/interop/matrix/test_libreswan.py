"""libreswan as the other end of either, as far as it goes in a kernel without ESP: phase 1, XAUTH
and Mode Config. It answers no quick mode there, so what comes after it is not tried."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.matrix.suites import EVERYTHING, PLENTY
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import GROUP, USERS
from interop.peers.libreswan import LibreswanClient, LibreswanGateway
from interop.rows import MODES, PHASE1, phase1

pytestmark = [pytest.mark.root, pytest.mark.peer("libreswan"), pytest.mark.interop_matrix]

USER = USERS["client1"]
CAN = [suite for suite in PHASE1 if not suite.startswith("des-") and "modp1024" not in suite]
PATIENCE = 10.0


def cases(column: str) -> list[object]:
    return [
        pytest.param(suite, mode, marks=pytest.mark.cell(phase1(suite, mode), column))
        for mode in MODES
        for suite in CAN
    ]


@pytest.fixture(scope="class")
def peer(lab: Lab) -> Iterator[LibreswanGateway]:
    with LibreswanGateway(lab) as running:
        yield running


@pytest.fixture(scope="class")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


@pytest.fixture(scope="class")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    general = {"main_mode_group": GROUP, "half_open_per_source": 4 * len(CAN), **PLENTY}
    with OurGateway(lab, general=general, phase1=PHASE1, legacy=EVERYTHING) as running:
        yield running


@pytest.fixture(scope="class")
def caller(lab: Lab) -> Iterator[LibreswanClient]:
    with LibreswanClient(lab) as running:
        yield running


class TestOurClient:
    def dial(self, client: OurClient, suite: str, mode: str) -> dict[str, dict[str, object]]:
        """The fields of the last event of each kind, once quick mode has begun."""
        client.profile = {
            "exchange_mode": mode,
            "phase1": [suite],
            "phase2": ["aes128-sha1"],
            "legacy": EVERYTHING,
        }
        before = len(client.events())
        dialling = Thread(target=client.try_up)
        dialling.start()
        try:
            until(
                "quick mode has begun",
                lambda: any(row["code"] == "quick.started" for row in client.events()[before:]),
                seconds=PATIENCE,
            )
        finally:
            client.down()
            dialling.join()
        return {row["code"]: row["fields"] for row in client.events()[before:]}

    @pytest.mark.parametrize(("suite", "mode"), cases("libreswan-gateway"))
    def test_phase_1(
        self, peer: LibreswanGateway, client: OurClient, suite: str, mode: str
    ) -> None:
        peer.takes(suite)
        told = self.dial(client, suite, mode)
        assert told["ike.phase1-started"]["mode"] == mode
        assert told["ike.phase1-established"]["suite"] == suite
        assert told["xauth.accepted"]["user"] == USER

    def test_mode_config(self, peer: LibreswanGateway, client: OurClient, cell: Proves) -> None:
        """Its answer is filled up to four octets within the payload."""
        cell("mode-config", "libreswan-gateway")
        cell("xauth", "libreswan-gateway")
        before = len(client.events())
        peer.takes("aes128-sha1-modp2048")
        self.dial(client, "aes128-sha1-modp2048", "aggressive")
        given = {
            row["fields"]["name"]: row["fields"]["value"]
            for row in client.events()[before:]
            if row["code"] == "config.attribute"
        }
        assert given["INTERNAL_IP4_DNS"] == topology.SERVER
        assert given["MODECFG_UNITY_DEFDOMAIN"] == "corp.test"
        assert str(given["INTERNAL_IP4_ADDRESS"]).startswith("40.1.1.")

    def test_a_wrong_password(
        self, peer: LibreswanGateway, client: OurClient, cell: Proves
    ) -> None:
        cell("xauth-refused", "libreswan-gateway")
        peer.takes("aes128-sha1-modp2048")
        client.password = "wrong"
        client.profile = {**client.profile, "phase1": ["aes128-sha1-modp2048"]}
        assert client.try_up().status
        assert client.why()["diagnosis"]["id"] == "xauth.failed"


class TestOurGateway:
    @pytest.mark.parametrize(("suite", "mode"), cases("libreswan-client"))
    def test_phase_1(
        self, gateway: OurGateway, caller: LibreswanClient, suite: str, mode: str
    ) -> None:
        before = len(gateway.events())
        caller.dial(suite, mode)
        try:
            until(
                "it is configured",
                lambda: any(row["code"] == "config.sent" for row in gateway.events()[before:]),
                seconds=PATIENCE,
            )
            told = {row["code"]: row["fields"] for row in gateway.events()[before:]}
        finally:
            caller.hang_up(mode)
        assert told["ike.phase1-started"]["mode"] == mode
        assert told["ike.phase1-established"]["suite"] == suite
        assert told["xauth.accepted"]["user"] == caller.user
