"""Our client at a strongSwan gateway, feature by feature."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.matrix.versions import VERSIONS
from interop.ours import Fresh, OurClient, until
from interop.pat import forgotten_in_mid_transfer, received
from interop.peers.pki import Pki, make
from interop.peers.strongswan_gateway import DOMAIN, StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.test_certificates import person
from interop.test_dns_modes import name_server, outside, prove_split
from interop.test_line_polling import QUICK, SECOND, second, take_away
from interop.test_name_servers import ANSWER, NAME, NBNS, SPLIT
from interop.test_name_servers import name_server as split_server
from interop.test_plain_esp import seen
from interop.test_topologies import MEGABYTE, fetched, leaving, try_everything
from interop.test_trace import numbers, traced

__all__ = ["outside", "second"]

pytestmark = [pytest.mark.root, pytest.mark.peer("strongswan"), pytest.mark.interop_matrix]

COLUMN = "strongswan-gateway"
TUN = "culvert0"
SOON = 20.0
EVERYTHING = "0.0.0.0/0"
SPLIT_DNS, BACKUP = 28675, 28681  # MODECFG_UNITY_SPLITDNS_NAME, MODECFG_UNITY_BACKUP_SERVERS
SPARE = "172.16.172.99"
SECOND_GATEWAY = "gw2.corp.test"


@pytest.fixture
def client(lab: Lab) -> Iterator[Fresh]:
    profile = {"remote_networks": [topology.PRIVATE]}
    with Fresh(lab, profile=profile) as running:
        yield running


# --- transports --------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_one_draft_of_nat_traversal_alone(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves, version: str
) -> None:
    cell(f"natt-{version}", COLUMN)
    with StrongswanGateway(lab, pki), client.connected(nat_traversal=version) as row:
        prove_data(lab, "client1")
        assert client.heard("ike.natt-negotiated")[-1]["fields"]["version"] in VERSIONS[version]
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)


def test_no_nat_between(lab: Lab, pki: Pki, cell: Proves) -> None:
    """strongSwan pretends one, because its data path has UDP only."""
    cell("no-nat", COLUMN)
    profile = {"remote_networks": [topology.PRIVATE]}
    with (
        StrongswanGateway(lab, pki),
        OurClient(lab, "pub", profile=profile) as client,
        client.connected() as row,
    ):
        assert row["transport"] == "nat-t"
        prove_data(lab, "pub")


def test_the_nat_forgets_its_table_in_mid_transfer(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves
) -> None:
    cell("nat-rebinding", COLUMN)
    with StrongswanGateway(lab, pki), client.connected(dpd_delay=2):
        forgotten_in_mid_transfer(
            lab, "client1", lambda: received(lab, "client1", TUN), silence=15.0
        )


# --- Mode Config -------------------------------------------------------------------------------


def test_split_include(lab: Lab, pki: Pki, cell: Proves) -> None:
    """Without networks of its own in the profile."""
    cell("split", COLUMN)
    with StrongswanGateway(lab, pki), OurClient(lab) as client, client.connected():
        assert client.tunnel.routes == [topology.PRIVATE]
        prove_data(lab, "client1")


def test_backup_servers(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("backup-servers", COLUMN)
    silent = {"host": SPARE, "backup_hosts": [topology.GATEWAY], "peer_timeout": 5}
    with (
        StrongswanGateway(lab, pki, attributes={BACKUP: SECOND_GATEWAY}),
        client.connected(**silent) as row,
    ):
        assert row["gateway"] == topology.GATEWAY
        assert client.events("client.next-gateway")
        given = {
            one["fields"]["name"]: one["fields"]["value"]
            for one in client.heard("config.attribute")
        }
        assert given["MODECFG_UNITY_BACKUP_SERVERS"] == SECOND_GATEWAY
        prove_data(lab, "client1")


def test_name_servers(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("name-servers", COLUMN)
    serving = split_server(lab)
    attributes = {4: ",".join(NBNS), SPLIT_DNS: SPLIT}
    try:
        with StrongswanGateway(lab, pki, attributes=attributes), client.connected() as row:
            assert row["dns"] == [topology.SERVER]
            assert row["nbns"] == list(NBNS)
            assert row["split_domains"] == [SPLIT]
            found = lab.run("client1", ["getent", "ahostsv4", NAME]).stdout
            assert found.split()[0] == ANSWER
            assert f"{NAME} {row['assigned_ip']}" in serving.said, "through the tunnel"
    finally:
        serving.stop()


def test_split_dns(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves, request: pytest.FixtureRequest
) -> None:
    cell("dns-modes", COLUMN)
    before = request.getfixturevalue("outside")
    with (
        name_server(lab, "server", topology.SERVER, "192.168.2.77") as inside,
        StrongswanGateway(lab, pki, attributes={SPLIT_DNS: DOMAIN}),
        client.connected(),
    ):
        prove_split(lab, inside, before)


# --- networks ----------------------------------------------------------------------------------


def test_several_networks_and_one_more_while_connected(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves
) -> None:
    cell("several-networks", COLUMN)
    cell("several-phase2", COLUMN)
    hosts = ("10.21.0.1", "10.22.0.1")
    networks = ("10.21.0.0/24", "10.22.0.0/24")
    for host, network in zip(hosts, networks, strict=True):
        lab.run("server", ["ip", "addr", "add", f"{host}/32", "dev", "lo"])
        lab.run("gw", ["ip", "route", "add", network, "via", topology.SERVER])
        # Without an address of its own in a network its data path has no route there.
        lab.run("gw", ["ip", "addr", "add", f"{host}00/32", "dev", "lo"])
    try:
        with StrongswanGateway(lab, pki, networks=(topology.PRIVATE, *networks)):
            wanted = [topology.PRIVATE, networks[0]]
            plain = {"provisioning": "plain-mode-config"}
            with client.connected(remote_networks=wanted, **plain):
                assert lab.ping("client1", hosts[0], count=2)
                prove_data(lab, "client1")
                assert not lab.ping("client1", hosts[1], wait=1.0)
                client.profile = {**client.profile, "remote_networks": [*wanted, networks[1]]}
                client.up()
                assert lab.ping("client1", hosts[1], count=2)
                assert len(client.events("ike.phase1-established")) == 1
                assert len(client.events("quick.established")) == 3
    finally:
        for host, network in zip(hosts, networks, strict=True):
            lab.run("server", ["ip", "addr", "del", f"{host}/32", "dev", "lo"])
            lab.run("gw", ["ip", "route", "del", network])
            lab.run("gw", ["ip", "addr", "del", f"{host}00/32", "dev", "lo"])


def test_nothing_passes_beside_the_tunnel(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("everywhere", COLUMN)
    outside = f"not (host {topology.GATEWAY} and (udp port 500 or udp port 4500 or ip proto 50))"
    profile = {"topology": "everywhere", "remote_networks": [EVERYTHING], "reconnect": 60}
    client.profile = {**profile, "provisioning": "plain-mode-config", "dpd_delay": 2}
    client.profile = {**client.profile, "dpd_timeout": 10}
    with StrongswanGateway(lab, pki, networks=(EVERYTHING,)) as gateway:
        client.up()
        with leaving(lab) as file:
            assert fetched(lab, "client1", topology.SERVER) == MEGABYTE
            try_everything(lab)
        gateway.charon.kill()
        with leaving(lab) as lost:
            until("it is lost", lambda: client.row["state"] == "reconnecting", seconds=40.0)
            try_everything(lab)
        client.down()
    for capture in (file, lost):
        assert seen(capture, f"ip and {outside}") == seen(capture, "ip6 and not icmp6") == 0
    assert seen(file, "udp port 4500") > 10


# --- life and end ------------------------------------------------------------------------------


def test_dead_peer_detection(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("dpd", COLUMN)
    client.profile = {**client.profile, "dpd_delay": 2, "dpd_timeout": 10, "reconnect": 0}
    with StrongswanGateway(lab, pki) as gateway:
        client.up()
        until("it answers", lambda: len(client.heard("live.answer")) > 1, seconds=SOON)
        gateway.charon.kill()
        until("it is lost", lambda: bool(client.events("client.down")), seconds=40)
        assert client.events("client.down")[-1]["fields"]["reason"] == "lost-peer"


def test_logout_at_either_end(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("logout-reason", COLUMN)
    client.profile = {**client.profile, "reconnect": 0}
    with StrongswanGateway(lab, pki) as gateway:
        before = len(gateway.charon.log)
        with client.connected():
            prove_data(lab, "client1")
        until(
            "it hears of it",
            lambda: "received DELETE for IKE_SA" in gateway.charon.log[before:],
            seconds=SOON,
        )
        client.up()
        gateway.charon.swanctl("--terminate", "--ike", "agg-psk-xauth")
        until("we hear of it", lambda: client.row["state"] == "down", seconds=SOON)
        ended = client.events("client.down")[-1]["fields"]
        assert ended["by_peer"]
        assert client.row["problem"]["sentence"]


def test_line_polling(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves, request: pytest.FixtureRequest
) -> None:
    cell("line-polling", COLUMN)
    request.getfixturevalue("second")
    client.profile = {**client.profile, **QUICK, "polling": [SECOND], "reconnect": 0}
    with StrongswanGateway(lab, pki):
        client.up()
        time.sleep(5.0)
        assert not client.events("live.poll-missed")
        take_away(lab, SECOND)
        until("the line is given up", lambda: bool(client.events("client.down")), seconds=SOON)
        assert client.events("client.down")[0]["fields"]["reason"] == "line-polling-failed"


# --- what is told ------------------------------------------------------------------------------


def test_the_live_trace(lab: Lab, pki: Pki, client: Fresh, cell: Proves) -> None:
    cell("trace", COLUMN)
    with (
        StrongswanGateway(lab, pki),
        traced(client, "trace-strongswan") as shown,
        client.connected(),
    ):
        prove_data(lab, "client1")
        lines = shown.wait_for("connected, set poll timer to 30 sec")
        told = [number for number in numbers(lines) if number not in (4, 5)]
        assert told == sorted(told)
        assert {9, 13, 14, 15, 16, 17, 18, 19, 20, 21} <= set(told)


def test_a_certificate_that_is_not_accepted(
    lab: Lab, pki: Pki, client: Fresh, cell: Proves, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cell("auth-refused", COLUMN)
    strangers = make(tmp_path_factory.mktemp("strangers"))
    suites = {"phase2": ["aes128-sha1"], "legacy": ["sha1"], "peer_timeout": 8}
    wrong = {**person(strangers, "rsa", "main"), **suites}
    with StrongswanGateway(lab, pki, ike="aes256-sha256-modp2048", esp="aes128-sha1") as gateway:
        before = len(gateway.charon.log)
        client.profile = {**wrong, "ca": [str(pki.certificate("ca"))]}
        assert client.try_up().status
        assert "no trusted RSA public key found" in gateway.charon.log[before:]
        assert client.why()["diagnosis"]["id"] == "cert.disputed"
        own = person(pki, "rsa", "main")
        client.profile = {**own, **suites, "ca": [str(strangers.certificate("ca"))]}
        assert client.try_up().status
        assert client.why()["diagnosis"]["id"] == "cert.untrusted"
