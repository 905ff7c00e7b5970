"""libreswan with certificates at the other end of either, as far as it goes in a kernel without
ESP: the Cisco client's proposals of that kind by name, fragments, and certificates refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from culvert.ike.wire.fragment import FRAGMENT
from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.tables.proposal_names import ProposalName
from interop.cells import Proves
from interop.matrix.control_plane import PATIENCE, dialled, dialling, logged, logged_ever
from interop.matrix.names import PHASE1, SWITCHES, in_modes, person
from interop.matrix.suites import PLENTY
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import GATEWAY_NAME, USERS
from interop.peers.libreswan import LibreswanClient, LibreswanGateway, Papers
from interop.peers.pki import Pki, make
from interop.test_certificates import bundle, certified
from interop.test_fragments import dropped, no_ip_fragments
from interop.test_plain_esp import captured, seen

pytestmark = [pytest.mark.root, pytest.mark.peer("libreswan"), pytest.mark.interop_matrix]

USER = USERS["client1"]
WAYS = ("rsa", "xauth-rsa")
NAMES = [row for row in PHASE1 if row.authentication in WAYS and row.tokens.endswith("modp1536")]
SUITE = "aes128-sha2_256-modp2048"
CIPHERS = {"3des": "3DES_CBC_192", "aes128": "AES_CBC_128", "aes256": "AES_CBC_256"}
ITS_GATEWAY = f"@{GATEWAY_NAME}"


def established(tokens: str) -> str:
    """What pluto logs of phase 1."""
    cipher, digest, group = tokens.split("-")
    words = f"cipher={CIPHERS[cipher]} integ=HMAC_{digest.upper()} group={group.upper()}"
    return f"IKE SA established {{auth=RSA_SIG {words}}}"


def in_pieces(file: Path, way: str) -> bool:
    """Whether pluto's message was: the first payload of the header is a fragment."""
    sent = f"{way} host {topology.GATEWAY}"
    short = f"(port 500 and udp[24] = {FRAGMENT})"
    marked = f"(port 4500 and udp[8:4] = 0 and udp[28] = {FRAGMENT})"
    return seen(file, f"{sent} and ({short} or {marked})") > 1


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Another authority, with the same people."""
    return make(tmp_path_factory.mktemp("strangers"))


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


@pytest.fixture(scope="class")
def peer(lab: Lab, pki: Pki) -> Iterator[LibreswanGateway]:
    with LibreswanGateway(lab, papers=Papers(pki, "gw")) as running:
        yield running


@pytest.fixture(scope="class")
def gateway(lab: Lab, pki: Pki) -> Iterator[OurGateway]:
    with OurGateway(
        lab,
        general={**certified(pki), "half_open_per_source": 4 * len(NAMES), **PLENTY},
        phase1=(SUITE, *(row.name for row in PHASE1)),
        legacy=SWITCHES,
    ) as running:
        yield running


@pytest.fixture(scope="class")
def caller(lab: Lab, pki: Pki) -> Iterator[LibreswanClient]:
    with LibreswanClient(lab, papers=Papers(pki, USER)) as running:
        yield running


class TestOurClient:
    @pytest.mark.parametrize(("row", "mode"), in_modes(NAMES, "libreswan-gateway"))
    def test_phase_1(
        self,
        pki: Pki,
        cell: Proves,
        peer: LibreswanGateway,
        client: OurClient,
        row: ProposalName,
        mode: str,
    ) -> None:
        cell(f"auth-{row.authentication}-{mode}", "libreswan-gateway")
        peer.takes(row.tokens, row.authentication)
        said = logged(peer)
        profile = {**person(pki, row.authentication, USER, mode), "phase1": [row.name]}
        with dialling(client, profile) as told:
            found = told.last("ike.phase1-established")
            assert (found["suite"], found["method"]) == (row.tokens, row.authentication)
            assert told.last("ike.phase1-started")["mode"] == mode
            assert bool(told.all("xauth.accepted")) == row.authentication.startswith("xauth-")
            assert str(told.attributes["INTERNAL_IP4_ADDRESS"]).startswith("40.1.1.")
            said.wait_for(established(row.tokens))

    @pytest.mark.cell("fragments", "libreswan-gateway")
    def test_certificates_pass_in_fragments_of_either(
        self, lab: Lab, pki: Pki, peer: LibreswanGateway, client: OurClient
    ) -> None:
        peer.takes(SUITE, "rsa", fragmentation="force")
        profile = {**person(pki, "rsa", USER, "main"), "phase1": [SUITE]}
        with no_ip_fragments(lab), captured(lab, "lsw-gateway") as file:
            with dialling(client, profile) as told:
                assert told.all("ike.phase1-established")
                assert told.all("ike.fragmented")
            assert dropped(lab) == 0
            until("in pieces", lambda: in_pieces(file, "src"), seconds=PATIENCE)

    @pytest.mark.cell("auth-refused", "libreswan-gateway")
    def test_its_certificate_is_refused(
        self, pki: Pki, strangers: Pki, peer: LibreswanGateway, client: OurClient
    ) -> None:
        peer.takes(SUITE, "rsa")
        said = logged(peer)
        client.profile = self.usual(pki, ca=[str(strangers.certificate("ca"))])
        assert client.try_up().status
        assert client.why()["diagnosis"]["id"] == "cert.untrusted"
        assert "`ca`" in client.why()["diagnosis"]["why"]
        said.wait_for("AUTHENTICATION_FAILED")
        self.works(pki, client)

    @pytest.mark.cell("auth-refused", "libreswan-gateway")
    def test_it_refuses_our_certificate(
        self, pki: Pki, strangers: Pki, peer: LibreswanGateway, client: OurClient
    ) -> None:
        peer.takes(SUITE, "rsa")
        said = logged(peer)
        client.profile = self.usual(pki, certificate=str(bundle(strangers, USER)))
        assert client.try_up().status
        assert client.why()["diagnosis"]["id"] == "cert.disputed"
        said.wait_for("certificate rejected for this connection")
        self.works(pki, client)

    def usual(self, pki: Pki, **changes: object) -> dict[str, object]:
        profile = person(pki, "rsa", USER, "main")
        return {**profile, "phase1": [SUITE], "peer_timeout": 8, **changes}

    def works(self, pki: Pki, client: OurClient) -> None:
        client.profile = {}
        with dialling(client, self.usual(pki)) as told:
            assert told.all("ike.phase1-established")


class TestOurGateway:
    @pytest.mark.parametrize(("row", "mode"), in_modes(NAMES, "libreswan-client"))
    def test_phase_1(
        self,
        cell: Proves,
        gateway: OurGateway,
        caller: LibreswanClient,
        row: ProposalName,
        mode: str,
    ) -> None:
        cell(f"auth-{row.authentication}-{mode}", "libreswan-client")
        said = logged(caller)
        dial = {"suite": row.tokens, "mode": mode, "way": row.authentication}
        with dialled(gateway, caller, **dial, rightid=ITS_GATEWAY) as told:
            found = told.last("ike.phase1-established")
            assert (found["suite"], found["method"]) == (row.tokens, row.authentication)
            assert told.last("ike.phase1-started")["mode"] == mode
            assert bool(told.all("xauth.accepted")) == row.authentication.startswith("xauth-")
            said.wait_for(established(row.tokens))
            said.wait_for("Received IPv4 address: 40.1.1.")

    @pytest.mark.cell("fragments", "libreswan-client")
    def test_certificates_pass_in_fragments_of_either(
        self, lab: Lab, gateway: OurGateway, caller: LibreswanClient
    ) -> None:
        """Our first answer in aggressive mode is long, its third message too."""
        dial = {"suite": SUITE, "mode": "aggressive", "way": "rsa", "rightid": ITS_GATEWAY}
        with no_ip_fragments(lab), captured(lab, "lsw-client") as file:
            with dialled(gateway, caller, **dial, fragmentation="force") as told:
                assert told.all("ike.phase1-established")
                assert told.all("ike.fragmented")
            assert dropped(lab) == 0
            until("in pieces", lambda: in_pieces(file, "dst"), seconds=PATIENCE)

    @pytest.mark.cell("auth-refused", "libreswan-client")
    def test_its_certificate_is_refused(
        self, lab: Lab, pki: Pki, strangers: Pki, gateway: OurGateway
    ) -> None:
        """In main mode it does not read what comes encrypted before it is finished."""
        dial = {"suite": SUITE, "mode": "aggressive", "way": "rsa", "rightid": ITS_GATEWAY}
        with (
            LibreswanClient(lab, "client2", papers=Papers(strangers, USER, pki)) as caller,
            dialled(gateway, caller, "ike.certificate-refused", **dial) as told,
        ):
            assert "`client_ca`" in told.last("ike.certificate-refused")["detail"]
            logged_ever(caller).wait_for("AUTHENTICATION_FAILED")

    @pytest.mark.cell("auth-refused", "libreswan-client")
    def test_it_refuses_our_certificate(
        self, lab: Lab, pki: Pki, strangers: Pki, gateway: OurGateway
    ) -> None:
        """In aggressive mode it does not say so."""
        dial = {"suite": SUITE, "mode": "main", "way": "rsa", "rightid": ITS_GATEWAY}
        with (
            LibreswanClient(lab, "client2", papers=Papers(pki, USER, strangers)) as caller,
            dialled(gateway, caller, "ike.notify-received", **dial) as told,
        ):
            logged_ever(caller).wait_for("certificate rejected for this connection")
            assert told.last("ike.notify-received")["name"] == "INVALID-ID-INFORMATION"
