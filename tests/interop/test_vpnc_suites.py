"""Every kind of algorithm that an unmodified vpnc has, chosen by our gateway one at a time."""

from __future__ import annotations

import pytest

from culvert.lab.lab import Lab
from interop.ours import OurGateway
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

DH = {"modp1024": "dh2", "modp1536": "dh5", "modp2048": "dh14"}

# Each cipher, digest and group at least once in each phase.
SUITES = [
    ("aes256-sha1-modp1024", "aes256-sha1"),
    ("aes192-md5-modp1536", "aes192-md5"),
    ("aes128-sha1-modp2048", "aes128-md5"),
    ("3des-md5-modp1024", "3des-sha1"),
    ("3des-sha1-modp1536", "3des-md5"),
    ("aes256-md5-modp2048", "aes128-sha1"),
]


@pytest.mark.parametrize(("phase1", "phase2"), SUITES)
def test_vpnc_carries_data_with(lab: Lab, phase1: str, phase2: str) -> None:
    group = phase1.rpartition("-")[2]
    with (
        OurGateway(lab, phase1=(phase1,), phase2=(phase2,)) as gateway,
        Vpnc(lab, dh=DH[group]),
    ):
        row = gateway.session_of(USERS["client1"])
        assert row["ike_suite"] == phase1
        assert [pair["suite"] for pair in row["spis"]] == [phase2]
        prove_data(lab, "client1")


@pytest.mark.parametrize("pfs", ["dh2", "dh14"])
def test_vpnc_carries_data_with_a_fresh_exchange_for_phase_2(lab: Lab, pfs: str) -> None:
    with OurGateway(lab, group={"pfs": True}) as gateway, Vpnc(lab, pfs=pfs):
        quick = [
            row["fields"]["payloads"]
            for kind in ("ike.received", "ike.sending")
            for row in gateway.heard(kind)
            if row["fields"]["exchange"] == "QM" and "SA" in row["fields"]["payloads"]
        ]
        assert len(quick) == 2
        assert all("KE" in payloads for payloads in quick)
        prove_data(lab, "client1")
