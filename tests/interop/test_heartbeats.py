"""Our gateway shows the vendor id of a VPN 3000 concentrator: who beats, and who minds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root]


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab, general={"vpn3000_vendor_id": True}) as running:
        yield running


@pytest.mark.peer("culvert")
@pytest.mark.cell("heartbeat", "ourselves")
def test_our_client_beats_and_the_gateway_takes_it_for_life(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, profile={"heartbeat_interval": 1}) as client:
        client.up()
        prove_data(lab, "client1")
        until(
            "three heartbeats came",
            lambda: len(gateway.heard("live.heartbeat-received")) >= 3,
            seconds=10,
        )
        assert len(client.heard("live.heartbeat-sent")) >= 3
        client.down()
    gateway.wait_until_empty()


@pytest.mark.peer("vpnc")
def test_vpnc_works_with_what_says_it_is_a_concentrator(lab: Lab, gateway: OurGateway) -> None:
    with Vpnc(lab, "client1"):
        prove_data(lab, "client1")
    gateway.wait_until_empty()
