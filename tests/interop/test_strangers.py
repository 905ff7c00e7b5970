"""ike-scan, the probe: what does our gateway tell a stranger?"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurGateway
from interop.peers.credentials import GROUP
from interop.peers.ike_scan import Scan, ike_scan
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("ike-scan")]

UNITY = "12f5f28c457168a9702d9fe274cc0100"
KEY_ID = "--idtype=11"
# AES-256, SHA-1, group key with XAUTH, group 2: one of what the gateway below accepts.
OFFER = ("--trans=(1=7,14=256,2=2,3=65001,4=2)", "--dhgroup=2")


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


def aggressive(lab: Lab, group: str, *words: str) -> Scan:
    """From a port of its own: one port may have only a few calls half open."""
    return ike_scan(lab, "--sport=0", "--aggressive", f"--id={group}", KEY_ID, *OFFER, *words)


def shape(scan: Scan) -> str:
    """An answer without what is drawn anew each time."""
    return re.sub(r"(CKY-[IR]=|Hash\()?[0-9a-f]{8,}\)?|\d+\.\d+ ", "…", scan.output)


def test_with_the_right_group_it_finds_the_gateway(lab: Lab, gateway: OurGateway) -> None:
    found = aggressive(lab, GROUP)
    assert found.handshake
    assert "Auth=XAUTH_PSK" in found.output
    # So small a question is not answered with everything we are; a larger one is.
    assert found.vendor_ids == ()
    larger = aggressive(lab, GROUP, f"--vendor={UNITY}{'00' * 100}")
    assert UNITY in larger.vendor_ids


def test_main_mode_with_a_group_key_is_refused(lab: Lab, gateway: OurGateway) -> None:
    refused = ike_scan(lab)
    assert not refused.handshake
    assert refused.notify in ("UNSUPPORTED-EXCHANGE-TYPE", "NO-PROPOSAL-CHOSEN")


@pytest.mark.cell("stranger", "ike-scan")
def test_with_a_wrong_group_it_learns_nothing(lab: Lab, gateway: OurGateway) -> None:
    right, wrong = aggressive(lab, GROUP), aggressive(lab, "strangers")
    assert wrong.handshake
    assert wrong.vendor_ids == right.vendor_ids
    assert shape(wrong) == shape(right)
    # A decoy that changed from call to call would give itself away.
    assert shape(aggressive(lab, "strangers")) == shape(right)
    assert gateway.events("ike.group-unknown")[-1]["fields"]["group"] == "strangers"


def test_an_offer_that_is_not_accepted_reads_the_same_for_any_group(
    lab: Lab, gateway: OurGateway
) -> None:
    des = ("--sport=0", "--trans=1,1,65001,1", "--dhgroup=1")
    answers = {
        shape(ike_scan(lab, "--aggressive", f"--id={group}", KEY_ID, *des))
        for group in (GROUP, "strangers")
    }
    assert len(answers) == 1


def test_ikev2_gets_no_handshake(lab: Lab, gateway: OurGateway) -> None:
    assert not ike_scan(lab, "--ikev2").handshake


def test_a_storm_of_probes_disturbs_nobody(lab: Lab, gateway: OurGateway) -> None:
    with Vpnc(lab):
        for _ in range(10):
            ike_scan(lab, "--aggressive", f"--id={GROUP}", KEY_ID, *OFFER, "--retry=1")
        prove_data(lab, "client1")
        assert len(gateway.sessions) == 1
    status = gateway.culvert("gateway", "status", "--json").document
    assert status["half_open"] <= 32  # half_open_per_source, for they are from one address
    assert topology.PUB not in {row["public_ip"] for row in gateway.sessions}
