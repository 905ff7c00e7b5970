"""The order of an IKEv1 dialogue, counted in captures of real packets."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.vpnc import Vpnc
from interop.test_certificates import LEGACY, person

pytestmark = pytest.mark.root

PHASE_1, TRANSACTION, QUICK = "phase 1", "#6[E]", "oakley-quick[E]"


@contextmanager
def captured(lab: Lab, name: str) -> Iterator[Path]:
    file = lab.state / f"{name}.pcap"
    sniffing = lab.capture("gw", file, "udp port 500 or udp port 4500")
    try:
        yield file
        # It empties the kernel's buffer once a second; what is left there at its end is lost.
        until("quick mode is in the capture", lambda: spoken(file).count(QUICK) >= 3, seconds=5)
    finally:
        sniffing.stop()


def spoken(file: Path) -> list[str]:
    """The exchanges in a capture, in order; what tcpdump calls neither is left out."""
    read = [namespace.tool("tcpdump"), "-n", "-r", str(file)]
    lines = subprocess.run(read, capture_output=True, text=True, check=True).stdout.splitlines()
    kinds = (PHASE_1, TRANSACTION, QUICK)
    return [kind for line in lines for kind in kinds if "isakmp" in line and kind in line]


def assert_order(said: list[str], phase1: int) -> None:
    """So many messages of phase 1, then XAUTH (four) and Mode Config (two), then quick mode."""
    assert said[: phase1 + 7] == [PHASE_1] * phase1 + [TRANSACTION] * 6 + [QUICK]
    assert said.count(PHASE_1) == phase1
    assert said[phase1 + 6 :].count(TRANSACTION) == 0
    assert said.count(QUICK) % 3 == 0


@pytest.mark.peer("vpnc")
@pytest.mark.requirement("S1-172", part="aggressive")
@pytest.mark.requirement("S1-175", part="order")
def test_vpnc_in_aggressive_mode(lab: Lab) -> None:
    with OurGateway(lab) as gateway, captured(lab, "aggressive") as file:
        with Vpnc(lab, "client1"):
            until("the session is up", lambda: bool(gateway.sessions), seconds=5)
            assert gateway.session_of(USERS["client1"])["state"] == "up"
        gateway.wait_until_empty()
    assert_order(spoken(file), 3)


@pytest.mark.peer("strongswan")
@pytest.mark.requirement("S1-172", part="main")
def test_our_client_in_main_mode(lab: Lab, pki: Pki) -> None:
    profile = {
        **person(pki, "xauth-rsa", "main"),
        "phase1": [LEGACY],
        "phase2": ["aes128-sha1"],
        "legacy": ["sha1", "modp1024"],
        "ike_fragmentation": False,  # six messages, not their pieces
    }
    with (
        StrongswanGateway(lab, pki, ike="aes128-sha1-modp1024", esp="aes128-sha1"),
        OurClient(lab, profile=profile) as client,
        captured(lab, "main") as file,
        client.connected() as row,
    ):
        assert (row["method"], row["exchange_mode"]) == ("xauth-rsa", "main")
        assert row["gateway"] == topology.GATEWAY
    assert_order(spoken(file), 6)
