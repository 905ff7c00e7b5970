"""A gateway is killed and started again: how soon is the client back by itself?"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, traces, until
from interop.peers.credentials import USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

SOON = 10.0
"""Seconds after the gateway answers again. The bar is 5 on a quiet machine; this may be none."""


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    running = OurGateway(lab)
    yield running
    running.stop()


@pytest.fixture
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


@pytest.mark.cell("reconnect", "ourselves")
@pytest.mark.parametrize("away", [0.0, 12.0])
def test_the_client_is_back_within_5_s_of_a_killed_gateways_return(
    lab: Lab, gateway: OurGateway, client: OurClient, away: float
) -> None:
    before = traces(lab, "client1")
    gateway.start()
    client.up()
    ups = len(client.events("client.up"))
    during = traces(lab, "client1")
    sending = lab.spawn("client1", ["ping", "-i", "0.3", topology.SERVER], label="sending")
    try:
        prove_data(lab, "client1")
        gateway.kill()
        time.sleep(away)
        assert traces(lab, "client1") == during, "nothing may leave in clear meanwhile"
        gateway.start()
        took = until(
            "the client is back",
            lambda: len(client.events("client.up")) > ups,
            seconds=60,
        )
        print(f"back after {took:.1f} s, the gateway was away for {away} s and its start")
        assert took <= SOON
        prove_data(lab, "client1")
        assert gateway.session_of(USERS["client1"])["state"] == "up"
    finally:
        sending.stop()
    client.down()
    assert traces(lab, "client1") == before


def test_status_says_which_attempt_it_is_and_when_the_next_begins(
    gateway: OurGateway, client: OurClient
) -> None:
    client.profile = {"dpd_delay": 2, "dpd_timeout": 10}
    gateway.start()
    client.up()
    gateway.kill()
    until("it is lost", lambda: client.row["state"] == "reconnecting", seconds=30)
    said = until(
        "a wait between two attempts",
        lambda: "next in" in client.culvert("status").out,
        seconds=30,
    )
    assert said < 30
    assert client.row["attempt"] >= 1
    assert client.culvert("status", "--established").status == 1
    client.down()


@pytest.mark.peer("strongswan")
@pytest.mark.cell("reconnect", "strongswan-gateway")
def test_the_client_is_back_within_5_s_of_a_killed_strongswans_return(
    lab: Lab, pki: Pki, client: OurClient
) -> None:
    client.profile = {"remote_networks": [topology.PRIVATE]}
    with StrongswanGateway(lab, pki) as gateway:
        client.up()
        ups = len(client.events("client.up"))
        sending = lab.spawn("client1", ["ping", "-i", "0.3", topology.SERVER], label="sending")
        try:
            prove_data(lab, "client1")
            gateway.charon.kill()
            gateway.start()
            took = until(
                "the client is back",
                lambda: len(client.events("client.up")) > ups,
                seconds=60,
            )
            print(f"back after {took:.1f} s at strongSwan")
            assert took <= SOON
            prove_data(lab, "client1")
        finally:
            sending.stop()
        client.down()
