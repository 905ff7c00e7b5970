"""The gateway's machine gets another address in mid-session; a client in the internet follows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from faults import places
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

SOON = 5.0


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab, group={"nbns": ["192.168.2.12"]}) as running:
        yield running


@pytest.mark.requirement("S3-30", part="in namespaces")
@pytest.mark.cell("dynamic-vpn", "ourselves")
def test_the_client_follows_within_seconds_without_a_look_up(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "pub", profile={"user": USERS["client1"]}) as client:
        client.up()
        prove_data(lab, "pub")
        assert client.row["nbns"] == ["192.168.2.12"]
        with places.gateway_elsewhere(lab):
            took = until(
                "the client follows",
                lambda: client.row["gateway"] == places.NEW_GATEWAY,
                seconds=20,
            )
            print(f"the client knew the new address after {took:.1f} s")
            assert took <= SOON
            prove_data(lab, "pub")
            assert client.row["state"] == "up"
            assert len(client.events("client.resolved")) == 1
            assert len(client.events("client.up")) == 1
            assert len(gateway.sessions) == 1
            route = lab.run("pub", ["ip", "route", "get", places.NEW_GATEWAY]).stdout
            assert "culvert0" not in route
        until(
            "and back",
            lambda: client.row["gateway"] == topology.GATEWAY,
            seconds=20,
        )
        prove_data(lab, "pub")
        time.sleep(1.0)
        assert client.row["state"] == "up"
        client.down()
    gateway.wait_until_empty()
