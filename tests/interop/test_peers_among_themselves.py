"""The harness itself: the peers reach each other before ours is put in the place of one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.peers.credentials import GROUP, PeerFailure
from interop.peers.ike_scan import ike_scan
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import carries_nothing, prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("strongswan")]

# draft-beaulieu-ike-xauth-02, RFC 3706, Cisco Unity
XAUTH = "09002689dfd6b712"
DPD = "afcad71368a1f1c96b8696fc77570100"
UNITY = "12f5f28c457168a9702d9fe274cc0100"


@pytest.fixture(scope="module")
def gateway(lab: Lab, pki: Pki) -> Iterator[StrongswanGateway]:
    with StrongswanGateway(lab, pki) as running:
        yield running


@pytest.mark.peer("vpnc")
def test_two_vpnc_behind_one_pat_have_tunnels_at_the_same_time(
    lab: Lab, gateway: StrongswanGateway
) -> None:
    with Vpnc(lab, "client1") as first, Vpnc(lab, "client2") as second:
        assert first.tunnel.address != second.tunnel.address
        prove_data(lab, "client1")
        prove_data(lab, "client2")
        prove_data(lab, "client1")
        natt = [row for row in lab.xlate().translations if row.local_port == 4500]
        assert {row.local_address for row in natt} == {topology.CLIENT1, topology.CLIENT2}
        assert len({row.global_port for row in natt}) == 2
    assert carries_nothing(lab, "client1")


@pytest.mark.peer("vpnc")
def test_vpnc_hybrid_trusts_the_gateways_certificate(
    lab: Lab, gateway: StrongswanGateway, pki: Pki
) -> None:
    with Vpnc(lab, auth="hybrid", authority=pki.certificate("ca")):
        prove_data(lab, "client1")


@pytest.mark.peer("vpnc")
def test_vpnc_without_natt_has_a_tunnel_that_carries_nothing(
    lab: Lab, gateway: StrongswanGateway
) -> None:
    # The failure at the end of the VPN 3000 note.
    with Vpnc(lab, natt="none") as client:
        assert client.tunnel.address
        assert carries_nothing(lab, "client1")


@pytest.mark.peer("vpnc")
def test_a_wrong_password_ends_vpnc_with_its_log_in_the_failure(
    lab: Lab, gateway: StrongswanGateway
) -> None:
    with pytest.raises(PeerFailure, match="authentication unsuccessful"):
        Vpnc(lab, password="wrong").up()


@pytest.mark.parametrize(
    "method",
    ["agg-psk-xauth", "main-psk-xauth", "rsa-xauth", "hybrid", "hybrid-agg", "psk", "rsa"],
)
def test_strongswan_reaches_strongswan(
    lab: Lab, gateway: StrongswanGateway, pki: Pki, method: str
) -> None:
    with StrongswanClient(lab, pki, method):
        prove_data(lab, "client1")
        assert f"{method}: #" in gateway.sas()


@pytest.mark.peer("ike-scan")
def test_ike_scan_learns_the_vendor_ids(lab: Lab, gateway: StrongswanGateway) -> None:
    scan = ike_scan(lab)
    assert scan.handshake
    assert {XAUTH, DPD, UNITY} <= set(scan.vendor_ids)


@pytest.mark.peer("ike-scan")
def test_ike_scan_tells_a_right_group_from_a_wrong_one_at_strongswan(
    lab: Lab, gateway: StrongswanGateway
) -> None:
    aggressive = ["--aggressive", "--auth=65001"]
    assert ike_scan(lab, *aggressive, f"--id={GROUP}", "--idtype=11").handshake
    refused = ike_scan(lab, *aggressive, "--id=nobody", "--idtype=11")
    assert not refused.handshake
    assert refused.notify == "AUTHENTICATION-FAILED"
