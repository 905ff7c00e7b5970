"""What libreswan can show of our ends' features in a kernel without ESP: all that comes before
quick mode."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.matrix.control_plane import dialled, dialling, logged
from interop.matrix.suites import PLENTY
from interop.ours import BANNER, DOMAIN, OurClient, OurGateway, until
from interop.peers.credentials import GATEWAY_NAME, GROUP, PASSWORD, USERS
from interop.peers.libreswan import LibreswanClient, LibreswanGateway
from interop.test_trace import numbers, traced

pytestmark = [pytest.mark.root, pytest.mark.peer("libreswan"), pytest.mark.interop_matrix]

USER = USERS["client1"]
SUITE, OTHER = "aes128-sha2_256-modp2048", "aes256-sha2_256-modp2048"
NOBODYS = "aes256-sha2_512-modp4096"
PROFILE = {"remote_networks": [topology.PRIVATE], "phase1": [SUITE]}
VERSIONS = {
    "natt-rfc3947": ("auto", "natt-rfc3947"),
    "natt-draft-03": ("draft-03", "natt-03"),
    "natt-draft-02": ("draft-02", "natt-02"),
}
"""Of NAT traversal, by row: the setting, and how what is agreed on then begins."""


@pytest.fixture(scope="class")
def peer(lab: Lab) -> Iterator[LibreswanGateway]:
    with LibreswanGateway(lab) as running:
        yield running


@pytest.fixture(scope="class")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab, profile=PROFILE) as running:
        yield running


@pytest.fixture(scope="class")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab, general={"main_mode_group": GROUP, **PLENTY}) as running:
        yield running


@pytest.fixture(scope="class")
def caller(lab: Lab) -> Iterator[LibreswanClient]:
    with LibreswanClient(lab) as running:
        yield running


class TestOurClient:
    @pytest.mark.parametrize("row", VERSIONS)
    def test_nat_traversal(
        self, peer: LibreswanGateway, client: OurClient, cell: Proves, row: str
    ) -> None:
        cell(row, "libreswan-gateway")
        setting, version = VERSIONS[row]
        peer.takes(SUITE)
        with dialling(client, {"nat_traversal": setting}) as told:
            assert told.last("ike.natt-negotiated")["version"].startswith(version)
            assert told.last("ike.phase1-established")["peer"] == f"{topology.GATEWAY}:4500"

    @pytest.mark.cell("auth-psk-main", "libreswan-gateway")
    def test_a_group_key_alone(self, peer: LibreswanGateway, client: OurClient) -> None:
        peer.takes(SUITE, "psk")
        with dialling(client, {"authentication": "psk", "exchange_mode": "main"}) as told:
            assert told.last("ike.phase1-established")["method"] == "psk"
            assert not told.all("xauth.asked")
            assert str(told.attributes["INTERNAL_IP4_ADDRESS"]).startswith("40.1.1.")

    @pytest.mark.cell("plain-mode-config", "libreswan-gateway")
    def test_mode_config_without_ciscos_extension(
        self, peer: LibreswanGateway, client: OurClient
    ) -> None:
        peer.takes(SUITE, cisco_unity="no")
        with dialling(client, {"provisioning": "plain-mode-config"}) as told:
            assert str(told.attributes["INTERNAL_IP4_ADDRESS"]).startswith("40.1.1.")
            asked = told.last("config.requested")["names"]
            assert asked
            assert not [name for name in asked if "UNITY" in name]

    @pytest.mark.cell("ike-refused", "libreswan-gateway")
    @pytest.mark.parametrize("mode", ["aggressive", "main"])
    def test_no_suite_in_common(self, peer: LibreswanGateway, client: OurClient, mode: str) -> None:
        peer.takes(NOBODYS)
        kept, client.profile = client.profile, {**PROFILE, "exchange_mode": mode}
        done = client.try_up()
        client.profile = kept
        assert done.status
        assert client.why()["diagnosis"]["id"] == "p1.no-proposal"

    @pytest.mark.cell("identifiers", "libreswan-gateway")
    def test_its_identifier_is_verified_and_ours_names_the_group(
        self, peer: LibreswanGateway, client: OurClient
    ) -> None:
        peer.takes(SUITE, leftid=f"@{GATEWAY_NAME}")
        names = {"group": "no such group", "local_id": f"@{GROUP}"}
        with dialling(client, {**names, "remote_id": GATEWAY_NAME}) as told:
            assert told.all("ike.phase1-established")
        kept, client.profile = client.profile, {**PROFILE, "remote_id": "elsewhere.example.com"}
        done = client.try_up()
        verdict = client.why()["diagnosis"]
        client.profile = kept
        assert done.status
        assert verdict["id"] == "p1.id-mismatch"
        assert GATEWAY_NAME in verdict["why"]
        assert "elsewhere.example.com" in verdict["why"]

    @pytest.mark.cell("one-proposal", "libreswan-gateway")
    def test_one_proposal_only(self, peer: LibreswanGateway, client: OurClient) -> None:
        """Of two it takes the second; it refuses the first alone."""
        peer.takes(SUITE)
        with dialling(client, {"phase1": [OTHER, SUITE]}) as told:
            assert told.last("ike.phase1-established")["suite"] == SUITE
        kept = client.profile
        client.profile = {**PROFILE, "phase1": [OTHER, SUITE], "one_proposal": True}
        done = client.try_up()
        client.profile = kept
        assert done.status
        assert client.why()["diagnosis"]["id"] == "p1.no-proposal"
        with dialling(client, {"phase1": [SUITE, OTHER], "one_proposal": True}) as told:
            assert told.last("ike.phase1-established")["suite"] == SUITE

    @pytest.mark.cell("trace", "libreswan-gateway")
    def test_the_trace_tells_the_course(self, peer: LibreswanGateway, client: OurClient) -> None:
        peer.takes(SUITE)
        with traced(client, "trace-libreswan") as console:
            with dialling(client, {}):
                console.wait_for("life time (")
            told = numbers(console.lines)
        assert [number for number in told if number not in (4, 5)] == sorted({*told} - {4, 5})
        assert {1, 4, 5, 6, 7, 8, 9, 11, 13, 14, 15, 16} <= set(told)


class TestOurGateway:
    @pytest.mark.cell("xauth", "libreswan-client")
    @pytest.mark.cell("mode-config", "libreswan-client")
    @pytest.mark.parametrize("mode", ["aggressive", "main"])
    def test_login_and_mode_config(
        self, gateway: OurGateway, caller: LibreswanClient, mode: str
    ) -> None:
        said = logged(caller)
        with dialled(gateway, caller, suite=SUITE, mode=mode) as told:
            assert told.last("xauth.accepted")["user"] == USER
            said.wait_for("XAUTH: Successfully Authenticated")
            said.wait_for("Received IPv4 address: 40.1.1.")
            said.wait_for(f"Received DNS server {topology.SERVER}")
            said.wait_for(f"Received Banner: {BANNER}")
            said.wait_for(f"Received Domain: {DOMAIN}")
            said.wait_for(f"Received subnet {topology.PRIVATE}")

    @pytest.mark.cell("xauth-refused", "libreswan-client")
    def test_a_wrong_password(self, gateway: OurGateway, caller: LibreswanClient) -> None:
        dial = {"suite": SUITE, "mode": "aggressive"}
        said = logged(caller)
        caller.knows("wrong")
        with dialled(gateway, caller, "auth.wrong-password", **dial) as told:
            assert told.last("auth.wrong-password")["user"] == USER
            said.wait_for("XAUTH: aborting entire IKE Exchange")
        caller.knows(PASSWORD)
        with dialled(gateway, caller, **dial) as told:
            assert told.last("xauth.accepted")["user"] == USER

    @pytest.mark.cell("ike-refused", "libreswan-client")
    @pytest.mark.parametrize("mode", ["aggressive", "main"])
    def test_no_suite_in_common(
        self, gateway: OurGateway, caller: LibreswanClient, mode: str
    ) -> None:
        said = logged(caller)
        with dialled(gateway, caller, "ike.proposal-refused", suite=NOBODYS, mode=mode) as told:
            assert told.last("ike.proposal-refused")["phase"] == 1
            said.wait_for("NO_PROPOSAL_CHOSEN")

    @pytest.mark.cell("trace", "libreswan-client")
    def test_the_trace_tells_the_course(self, gateway: OurGateway, caller: LibreswanClient) -> None:
        with traced(gateway, "trace-libreswan") as console:
            with dialled(gateway, caller, suite=SUITE, mode="aggressive"):
                console.wait_for("life time (")
            told = numbers(console.lines)
        assert {8, 9, 11, 13, 14, 15, 16} <= set(told)


@pytest.mark.parametrize("row", VERSIONS)
def test_nat_traversal_with_our_gateway(lab: Lab, cell: Proves, row: str) -> None:
    cell(row, "libreswan-client")
    setting, version = VERSIONS[row]
    dial = {"suite": SUITE, "mode": "aggressive"}
    with (
        OurGateway(lab, general={"nat_traversal": setting}) as gateway,
        LibreswanClient(lab) as caller,
        dialled(gateway, caller, **dial) as told,
    ):
        assert told.last("ike.natt-negotiated")["version"].startswith(version)
        assert told.last("ike.peer-moved")["old"] != told.last("ike.peer-moved")["new"]


@pytest.mark.cell("auth-psk-main", "libreswan-client")
def test_a_group_key_alone(lab: Lab) -> None:
    general = {"main_mode_group": GROUP, "authentication": ["psk"]}
    with (
        OurGateway(lab, general=general) as gateway,
        LibreswanClient(lab) as caller,
        dialled(gateway, caller, suite=SUITE, mode="main", way="psk") as told,
    ):
        assert told.last("ike.phase1-established")["method"] == "psk"
        assert not told.all("xauth.asked")


@pytest.mark.cell("mode-config-push", "libreswan-client")
@pytest.mark.parametrize("mode", ["aggressive", "main"])
def test_what_our_gateway_pushes_is_taken(lab: Lab, mode: str) -> None:
    general = {"main_mode_group": GROUP}
    with (
        OurGateway(lab, general=general, group={"mode_config": "push"}) as gateway,
        LibreswanClient(lab) as caller,
    ):
        said = logged(caller)
        with dialled(gateway, caller, suite=SUITE, mode=mode, modecfgpull="no") as told:
            assert not told.all("config.requested")
            said.wait_for("Received IP address 40.1.1.")
            said.wait_for("initiating Quick Mode")


@pytest.mark.cell("identifiers", "libreswan-client")
def test_the_gateways_identifier_is_of_our_choice_and_verified_there(lab: Lab) -> None:
    dial = {"suite": SUITE, "mode": "aggressive"}
    with (
        OurGateway(lab, general={"identity": GATEWAY_NAME}) as gateway,
        LibreswanClient(lab) as caller,
    ):
        with dialled(gateway, caller, **dial, rightid=f"@{GATEWAY_NAME}"):
            pass
        said = logged(caller)
        with dialled(gateway, caller, "ike.phase1-started", **dial, rightid="@elsewhere"):
            until("it refuses", lambda: "elsewhere" in said.log, seconds=5)
