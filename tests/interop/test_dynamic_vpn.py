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
from interop.test_topologies import SiteGateway, ping

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


FAR_NETWORK, FAR_HOST = "10.1.0.0/24", "10.1.0.1"


@pytest.fixture
def far_host(lab: Lab) -> Iterator[None]:
    lab.run("pub", ["ip", "addr", "add", f"{FAR_HOST}/32", "dev", "lo"])
    yield
    lab.run("pub", ["ip", "addr", "del", f"{FAR_HOST}/32", "dev", "lo"])


@pytest.mark.requirement("S3-30", part="in namespaces")
@pytest.mark.cell("dynamic-vpn", "ourselves")
@pytest.mark.usefixtures("far_host")
def test_a_gateway_that_was_started_anew_elsewhere_is_known_by_its_announcement(lab: Lab) -> None:
    """Main mode finds keys by address; the other one has the old address in its file."""
    near_site = {
        "peer": topology.PUB,
        "local_networks": [topology.PRIVATE],
        "remote_networks": [FAR_NETWORK],
        "initiate": True,
        "dynamic": True,
    }
    far_site = {
        "peer": topology.GATEWAY,
        "local_networks": [FAR_NETWORK],
        "remote_networks": [topology.PRIVATE],
        "dynamic": True,
    }
    with SiteGateway(lab, "pub", site=far_site) as far:
        near = SiteGateway(lab, site=near_site)
        near.start()
        try:
            far.joined(1)
            near.kill()
            with places.gateway_elsewhere(lab):
                near.start()
                took = until(
                    "the other gateway knows it there",
                    lambda: [row["public_ip"] for row in far.sessions] == [places.NEW_GATEWAY],
                    seconds=20,
                )
                print(f"known at its new address {took:.1f} s after its start")
                far.joined(1)
                assert ping(lab, "server", FAR_HOST)
                assert ping(lab, "pub", topology.SERVER, source=FAR_HOST)
                assert far.events("dynamic.received")
                near.stop()
        finally:
            near.stop()
