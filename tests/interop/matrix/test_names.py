"""All proposals of the Cisco client by name: our client with its preset, and our gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.ike.suite import IkeSuite
from culvert.lab.lab import Lab
from culvert.tables.proposal_names import ProposalName
from interop.matrix.names import (
    PHASE1,
    PHASE2,
    PLAIN,
    SWITCHES,
    cases,
    in_modes,
    person,
    strongswan,
)
from interop.matrix.suites import PLENTY
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GATEWAY_NAME, GROUP, USERS
from interop.peers.ike_scan import ike_scan
from interop.peers.pki import Pki
from interop.peers.strongswan_client import PATIENCE, StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.vpnc import Vpnc
from interop.test_certificates import certified

pytestmark = [pytest.mark.root, pytest.mark.interop_matrix]

USER = USERS["client1"]
ESP = ",".join(strongswan(row.tokens) for row in PLAIN)
METHOD = {
    ("xauth-psk", "aggressive"): "agg-psk-xauth",
    ("psk", "aggressive"): "psk-agg",
    ("xauth-rsa", "aggressive"): "rsa-xauth-agg",
    ("rsa", "aggressive"): "rsa-agg",
    ("hybrid", "aggressive"): "hybrid-agg",
    ("xauth-psk", "main"): "main-psk-xauth",
    ("psk", "main"): "psk",
    ("xauth-rsa", "main"): "rsa-xauth",
    ("rsa", "main"): "rsa",
    ("hybrid", "main"): "hybrid",
}


@pytest.fixture(scope="class")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


@pytest.fixture(scope="class")
def peer(lab: Lab, pki: Pki) -> Iterator[StrongswanGateway]:
    with StrongswanGateway(lab, pki) as running:
        yield running


@pytest.fixture(scope="class")
def caller(lab: Lab, pki: Pki) -> Iterator[StrongswanClient]:
    standing = StrongswanClient(lab, pki)
    yield standing
    standing.down()


@pytest.fixture(scope="class")
def gateway(lab: Lab, pki: Pki) -> Iterator[OurGateway]:
    with OurGateway(
        lab,
        general={**certified(pki), "half_open_per_source": 2 * len(PHASE1), **PLENTY},
        phase1=tuple(row.name for row in PHASE1),
        phase2=tuple(row.name for row in PHASE2),
        legacy=SWITCHES,
    ) as running:
        yield running


def alike(one: ProposalName, other: ProposalName) -> bool:
    """Can both be offered in one aggressive mode, which proves in one way with one DH group?"""
    return (one.authentication, one.tokens.rpartition("-")[2]) == (
        other.authentication,
        other.tokens.rpartition("-")[2],
    )


def agreed(client: OurClient) -> str:
    """The last suite of phase 1."""
    return str(client.events("ike.phase1-established")[-1]["fields"]["suite"])


@pytest.mark.peer("strongswan")
class TestAtStrongswan:
    """The client offers all that its preset has (in aggressive mode: of one way to prove and one
    group); strongSwan takes exactly one row."""

    def takes(self, peer: StrongswanGateway, ike: str, esp: str) -> None:
        peer.ike, peer.esp = ike, esp
        place = peer.charon.folder / "swanctl" / "swanctl.conf"
        place.write_text(peer.connections(), "utf-8")
        peer.charon.swanctl("--load-conns")

    @pytest.mark.requirement("S0-50", part="with a peer")
    @pytest.mark.parametrize(("row", "mode"), in_modes(PHASE1, "strongswan-gateway"))
    def test_phase_1(
        self,
        lab: Lab,
        pki: Pki,
        peer: StrongswanGateway,
        client: OurClient,
        row: ProposalName,
        mode: str,
    ) -> None:
        self.takes(peer, strongswan_name(row), ESP)
        dialled = person(pki, row.authentication, USER, mode)
        if mode == "aggressive":
            dialled["phase1"] = [one.name for one in PHASE1 if alike(one, row)]
        with client.connected(**dialled) as shown:
            assert agreed(client) == row.tokens
            assert (shown["method"], shown["exchange_mode"]) == (row.authentication, mode)
            assert lab.fetch("client1").identical

    @pytest.mark.requirement("S0-51", part="with a peer")
    @pytest.mark.parametrize("row", cases(PLAIN, "strongswan-gateway"))
    def test_phase_2(
        self,
        lab: Lab,
        pki: Pki,
        peer: StrongswanGateway,
        client: OurClient,
        row: ProposalName,
    ) -> None:
        self.takes(peer, "aes128-sha1-modp1024", strongswan_name(row))
        with client.connected(**person(pki, "xauth-psk", USER, "aggressive")):
            assert client.events("quick.established")[-1]["fields"]["suite"] == row.tokens
            assert lab.fetch("client1").identical


def strongswan_name(row: ProposalName) -> str:
    return strongswan(row.tokens)


@pytest.mark.peer("culvert")
class TestAtOurGateway:
    @pytest.mark.parametrize(("row", "mode"), in_modes(PHASE1, "ourselves"))
    def test_phase_1(
        self,
        lab: Lab,
        pki: Pki,
        gateway: OurGateway,
        client: OurClient,
        row: ProposalName,
        mode: str,
    ) -> None:
        dialled = {**person(pki, row.authentication, USER, mode), "phase1": [row.name]}
        with client.connected(**dialled):
            (found,) = gateway.sessions
            assert (found["ike_suite"], found["method"]) == (row.tokens, row.authentication)
            assert lab.fetch("client1").identical

    @pytest.mark.requirement("S0-51", part="with a peer")
    @pytest.mark.parametrize("row", cases(PHASE2, "ourselves"))
    def test_phase_2(
        self, lab: Lab, pki: Pki, gateway: OurGateway, client: OurClient, row: ProposalName
    ) -> None:
        dialled = {**person(pki, "xauth-psk", USER, "aggressive"), "phase2": [row.name]}
        with client.connected(**dialled) as shown:
            assert client.events("quick.established")[-1]["fields"]["suite"] == row.tokens
            assert ("ipcomp" in shown["weak"]) == row.compressed
            assert lab.fetch("client1").identical


@pytest.mark.peer("strongswan")
class TestFromStrongswan:
    def dial(self, caller: StrongswanClient) -> None:
        if not caller.charon.alive:
            caller.up()
            return
        place = caller.charon.folder / "swanctl" / "swanctl.conf"
        place.write_text(caller.connection(), "utf-8")
        caller.charon.swanctl("--load-conns")
        words = ["--initiate", "--child", "net", "--timeout", str(PATIENCE)]
        caller.charon.swanctl(*words, patience=PATIENCE + 5)

    def hang_up(self, caller: StrongswanClient) -> None:
        caller.charon.swanctl("--terminate", "--ike", "lab", "--timeout", "5")

    @pytest.mark.parametrize(("row", "mode"), in_modes(PHASE1, "strongswan-client"))
    def test_phase_1(
        self,
        lab: Lab,
        gateway: OurGateway,
        caller: StrongswanClient,
        row: ProposalName,
        mode: str,
    ) -> None:
        caller.method, caller.ike = METHOD[row.authentication, mode], strongswan_name(row)
        caller.gateway_id = GATEWAY_NAME if row.authentication in ("psk", "xauth-psk") else ""
        try:
            self.dial(caller)
            (found,) = gateway.sessions
            assert (found["ike_suite"], found["method"]) == (row.tokens, row.authentication)
            assert lab.fetch("client1").identical
            self.hang_up(caller)
        except BaseException:
            caller.down()  # or it would dial on and on, into the next run
            raise

    @pytest.mark.requirement("S0-51", part="with a peer")
    @pytest.mark.parametrize("row", cases(PLAIN, "strongswan-client"))
    def test_phase_2(
        self, lab: Lab, gateway: OurGateway, caller: StrongswanClient, row: ProposalName
    ) -> None:
        caller.method, caller.ike = "agg-psk-xauth", "aes128-sha1-modp1024"
        caller.gateway_id, caller.esp = GATEWAY_NAME, strongswan_name(row)
        try:
            self.dial(caller)
            (found,) = gateway.sessions
            assert [pair["suite"] for pair in found["spis"]] == [row.tokens]
            assert lab.fetch("client1").identical
            self.hang_up(caller)
        except BaseException:
            caller.down()
            raise


@pytest.mark.peer("vpnc")
class TestFromVpnc:
    """It offers everything it can; our gateway has this row and no other."""

    KEYED = tuple(row for row in PHASE1 if row.authentication == "xauth-psk")

    @pytest.mark.parametrize(("row", "mode"), in_modes(KEYED, "vpnc", ["aggressive"]))
    def test_phase_1(self, lab: Lab, row: ProposalName, mode: str) -> None:
        with (
            OurGateway(lab, phase1=(row.name,), legacy=SWITCHES) as gateway,
            Vpnc(lab, dh="dh2"),
        ):
            assert gateway.session_of(USER)["exchange_mode"] == mode
            assert gateway.session_of(USER)["ike_suite"] == row.tokens
            assert lab.fetch("client1").identical

    @pytest.mark.requirement("S0-51", part="with a peer")
    @pytest.mark.parametrize("row", cases(PLAIN, "vpnc"))
    def test_phase_2(self, lab: Lab, row: ProposalName) -> None:
        extra = ("Enable no encryption",) if row.tokens.startswith("null") else ()
        with (
            OurGateway(lab, phase2=(row.name,), legacy=SWITCHES) as gateway,
            Vpnc(lab, extra=extra),
        ):
            (pair,) = gateway.session_of(USER)["spis"]
            assert pair["suite"] == row.tokens
            assert lab.fetch("client1").identical


@pytest.mark.peer("ike-scan")
class TestIkeScan:
    """One transform. In aggressive mode it names the group, in main mode it need not."""

    @pytest.mark.parametrize(("row", "mode"), in_modes(PHASE1, "ike-scan"))
    def test_phase_1(self, lab: Lab, gateway: OurGateway, row: ProposalName, mode: str) -> None:
        suite = IkeSuite.named(row.name)
        length = f"14={suite.cipher.key_bits}," if suite.cipher.key_bits else ""
        numbers = (suite.hash.number, suite.authentication.number, suite.group.number)
        rest = ",".join(f"{kind}={value}" for kind, value in zip((2, 3, 4), numbers, strict=True))
        words = [f"--trans=(1={suite.cipher.number},{length}{rest})", "--sport=0"]
        if mode == "aggressive":
            words += ["--aggressive", f"--dhgroup={suite.group.number}"]
            # Else the answer with its certificate would be more than four times the question.
            words += [f"--id={GROUP}", "--idtype=11", f"--vendor={'5a' * 160}"]
        scan = ike_scan(lab, *words)
        assert scan.handshake, scan.output
