"""What both ends agree on, NAT traversal by version; and what they cannot, refused and told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, Program
from interop.peers.credentials import GROUP, PeerFailure
from interop.peers.ike_scan import ike_scan
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = pytest.mark.root

ONLY = "aes256-sha2_512-modp4096"
"""What the gateway takes and no client here offers."""
RFC = "natt-rfc3947"
PROFILE = {"remote_networks": [topology.PRIVATE], "phase1": ["aes128-sha2_256-modp2048"]}
STRONGSWAN_LIKES = {"phase2": ["aes256-sha2_256"]}


def version(end: Program) -> str:
    """Of NAT traversal, as the end's event tells it."""
    return str(end.heard("ike.natt-negotiated")[-1]["fields"]["version"])


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab, profile=PROFILE) as running:
        yield running


@pytest.mark.peer("vpnc")
@pytest.mark.cell("natt-rfc3947", "vpnc")
def test_vpnc_and_our_gateway_agree_on_the_rfc(lab: Lab) -> None:
    with OurGateway(lab) as gateway, Vpnc(lab):
        prove_data(lab, "client1")
        assert version(gateway) == RFC


@pytest.mark.peer("strongswan")
@pytest.mark.cell("natt-rfc3947", "strongswan-client")
def test_strongswan_and_our_gateway_agree_on_the_rfc(lab: Lab, pki: Pki) -> None:
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki):
        prove_data(lab, "client1")
        assert version(gateway) == RFC


@pytest.mark.peer("strongswan")
@pytest.mark.cell("natt-rfc3947", "strongswan-gateway")
def test_our_client_and_strongswan_agree_on_the_rfc(lab: Lab, pki: Pki, client: OurClient) -> None:
    peer = StrongswanGateway(lab, pki, ike="aes128-sha256-modp2048", esp="aes256-sha256")
    with peer, client.connected(**STRONGSWAN_LIKES):
        prove_data(lab, "client1")
        assert version(client) == RFC


@pytest.mark.cell("natt-rfc3947", "ourselves")
def test_our_ends_agree_on_the_rfc(lab: Lab, client: OurClient) -> None:
    with OurGateway(lab) as gateway, client.connected():
        prove_data(lab, "client1")
        assert version(client) == version(gateway) == RFC


@pytest.mark.peer("vpnc")
@pytest.mark.cell("ike-refused", "vpnc")
def test_vpnc_hears_that_no_suite_is_common(lab: Lab) -> None:
    with OurGateway(lab, phase1=(ONLY,)) as gateway:
        # Its word for any notification in place of the answer.
        with pytest.raises(PeerFailure, match="INVALID_EXCHANGE_TYPE"):
            Vpnc(lab).up()
        assert gateway.events("ike.proposal-refused")[-1]["fields"]["phase"] == 1


@pytest.mark.peer("strongswan")
@pytest.mark.cell("ike-refused", "strongswan-client")
def test_strongswan_hears_that_no_suite_is_common(lab: Lab, pki: Pki) -> None:
    with OurGateway(lab, phase1=(ONLY,)) as gateway:
        with pytest.raises(PeerFailure, match="NO_PROPOSAL_CHOSEN"):
            StrongswanClient(lab, pki).up()
        assert gateway.events("ike.proposal-refused")[-1]["fields"]["phase"] == 1


@pytest.mark.peer("strongswan")
@pytest.mark.cell("ike-refused", "strongswan-gateway")
def test_our_client_tells_that_strongswan_has_no_suite_in_common(
    lab: Lab, pki: Pki, client: OurClient
) -> None:
    with StrongswanGateway(lab, pki, ike="aes256-sha512-modp4096"):
        assert client.try_up().status != 0
        assert client.why()["diagnosis"]["id"] == "p1.no-proposal"


@pytest.mark.cell("ike-refused", "ourselves")
def test_our_ends_tell_that_no_suite_is_common(lab: Lab, client: OurClient) -> None:
    with OurGateway(lab, phase1=(ONLY,)) as gateway:
        assert client.try_up().status != 0
        assert client.why()["diagnosis"]["id"] == "p1.no-proposal"
        told = gateway.culvert("gateway", "why", "--json").document
        assert told["diagnosis"]["id"] == "p1.no-proposal"


@pytest.mark.peer("strongswan")
@pytest.mark.cell("xauth-refused", "strongswan-client")
def test_strongswan_with_a_wrong_password_is_refused_and_the_next_attempt_works(
    lab: Lab, pki: Pki
) -> None:
    with OurGateway(lab) as gateway:
        with pytest.raises(PeerFailure):
            StrongswanClient(lab, pki, password="wrong").up()
        assert gateway.events("auth.wrong-password")[-1]["fields"]["group"] == GROUP
        with StrongswanClient(lab, pki):
            prove_data(lab, "client1")


@pytest.mark.peer("ike-scan")
@pytest.mark.cell("ike-refused", "ike-scan")
def test_ike_scan_hears_that_no_suite_is_common(lab: Lab) -> None:
    with OurGateway(lab, phase1=(ONLY,)):
        words = ["--aggressive", f"--id={GROUP}", "--idtype=11", "--dhgroup=2"]
        scan = ike_scan(lab, "--trans=(1=7,14=256,2=2,3=65001,4=2)", *words)
        assert scan.notify == "NO-PROPOSAL-CHOSEN"
