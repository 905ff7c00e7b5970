"""Several remote networks: a pair of SAs for each, also for one that is added while connected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, Row, traces, until
from interop.test_plain_esp import captured, seen
from interop.test_topologies import (
    KEY,
    STRONG,
    SiteGateway,
    ping,
    status,
)

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

WEB = 8080
OWN = "10.99.0.1"
NETWORKS = ("10.21.0.0/24", "10.22.0.0/24", "10.23.0.0/24", "10.24.0.0/24")
HOSTS = ("10.21.0.1", "10.22.0.1", "10.23.0.1", "10.24.0.1")

SITE = {
    "peer": topology.PAT_OUTSIDE,
    "local_networks": list(NETWORKS),
    "remote_networks": [f"{OWN}/32"],
}
PROFILE = {
    "authentication": "psk",
    "exchange_mode": "main",
    "group": "",
    "group_key": KEY,
    "provisioning": "off",
    "local_address": OWN,
    "remote_networks": list(NETWORKS[:3]),
    **STRONG,
}


@pytest.fixture(autouse=True)
def networks(lab: Lab) -> Iterator[None]:
    """A host in each of the networks behind the gateway."""
    web = lab.spawn("server", ["python3", "-m", "http.server", str(WEB)], label="web")
    for host, network in zip(HOSTS, NETWORKS, strict=True):
        lab.run("server", ["ip", "addr", "add", f"{host}/32", "dev", "lo"])
        lab.run("gw", ["ip", "route", "add", network, "via", topology.SERVER])
    yield
    web.stop()
    for host, network in zip(HOSTS, NETWORKS, strict=True):
        lab.run("server", ["ip", "addr", "del", f"{host}/32", "dev", "lo"])
        lab.run("gw", ["ip", "route", "del", network])


def carried(lab: Lab, gateway: SiteGateway, hosts: tuple[str, ...]) -> None:
    """Ping and HTTP to each host, and ESP both ways with the numbers of that network's SA."""
    for host, network in zip(hosts, NETWORKS, strict=False):
        (pair,) = [pair for pair in gateway.row["spis"] if pair["local"] == network]
        with captured(lab, f"to-{host}") as file:
            assert ping(lab, "client1", host), host
            assert lab.inside("client1", lambda h=host: status(h, WEB)) == 200
            until("seen", lambda f=file, p=pair: both_ways(f, p), seconds=5)


def both_ways(file: Path, pair: Row) -> bool:
    return all(seen(file, f"udp port 4500 and udp[8:4] = {pair[way]}") > 4 for way in WAYS)


WAYS = ("inbound", "outbound")


@pytest.mark.requirement("S1-72")
@pytest.mark.cell("several-networks", "ourselves")
def test_three_networks_are_three_pairs_and_one_more_is_one_more(lab: Lab) -> None:
    before = traces(lab, "client1")
    with (
        SiteGateway(lab, site=SITE) as gateway,
        OurClient(lab, profile=PROFILE) as client,
    ):
        with client.connected():
            gateway.joined(3)
            carried(lab, gateway, HOSTS[:3])
            assert not ping(lab, "client1", HOSTS[3])
            three = {pair["inbound"] for pair in gateway.row["spis"]}
            since = client.row["since"]
            client.profile = {**client.profile, "remote_networks": list(NETWORKS)}
            client.up()
            gateway.joined(4)
            assert {pair["inbound"] for pair in gateway.row["spis"]} > three, "the three stand"
            carried(lab, gateway, HOSTS)
            assert client.row["since"] == since, "it was never down"
            assert len(client.events("ike.phase1-established")) == 1
            client.profile = {**client.profile, "remote_networks": list(NETWORKS[:1])}
            client.up()
            gateway.joined(1)
            assert ping(lab, "client1", HOSTS[0])
            again = client.try_up()
            assert (again.status, "is up" in again.err) == (8, True), again.err
            client.profile = {**client.profile, "keepalive_interval": 20}
            later = client.try_up()
            assert "keepalive_interval: counts from the next connect" in later.err
        gateway.wait_until_empty()
    assert traces(lab, "client1") == before
