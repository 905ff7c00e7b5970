"""Network to network, host to host and host to everywhere, with ourselves and with strongSwan.

Behind the PAT stands a gateway (on client1) with three networks of its own; behind gw, the server.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, Row, toml, traces, until
from interop.peers.charon import Charon
from interop.peers.pki import Pki
from interop.test_plain_esp import captured, seen

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

KEY = "a key for two gateways of the lab"
NETWORKS = ("10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24")
HOSTS = ("10.1.0.1", "10.2.0.1", "10.3.0.1")
PHASE1, PHASE2 = "aes128-sha2_256-modp2048", "aes128-sha1"
STRONG = {"phase1": [PHASE1], "phase2": [PHASE2], "legacy": ["sha1"]}
FILE = "/1M.bin"
MEGABYTE = 1 << 20
WEB = 80


@dataclass
class SiteGateway(OurGateway):
    """Our gateway with one site; without people where it stands behind the PAT."""

    site: Mapping[str, object] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        return self.lab.state / f"gateway-{self.where}.toml"

    def text(self) -> str:
        site = toml({"name": "other", "key": KEY, **STRONG, **self.site})
        if self.where == "gw":
            return f"{super().text()}[[site]]\n{site}"
        return f"[gateway]\n[[site]]\n{site}"

    @property
    def row(self) -> Row:
        (found,) = [row for row in self.sessions if row["kind"] == "lan-to-lan"]
        return found

    def joined(self, pairs: int, *, seconds: float = 20.0) -> None:
        until(
            f"{pairs} pairs:\n{self.said[-3000:]}",
            lambda: len([r for r in self.sessions if len(r["spis"]) == pairs]) == 1,
            seconds=seconds,
        )


NEAR = {
    "peer": topology.PAT_OUTSIDE,
    "local_networks": [topology.PRIVATE],
    "remote_networks": list(NETWORKS),
}
FAR = {
    "peer": topology.GATEWAY,
    "local_networks": list(NETWORKS),
    "remote_networks": [topology.PRIVATE],
    "initiate": True,
}


@pytest.fixture(autouse=True)
def networks(lab: Lab) -> Iterator[None]:
    """An address in each of the three networks."""
    for host in HOSTS:
        lab.run("client1", ["ip", "addr", "add", f"{host}/32", "dev", "lo"])
    yield
    for host in HOSTS:
        lab.run("client1", ["ip", "addr", "del", f"{host}/32", "dev", "lo"])


def ping(lab: Lab, where: str, to: str, *, source: str = "", size: int = 56) -> bool:
    words = ["ping", "-c", "2", "-i", "0.2", "-W", "2", "-s", str(size)]
    chosen = ["-I", source] if source else []
    return lab.run(where, [*words, *chosen, to], check=False).returncode == 0


def fetched(lab: Lab, where: str, host: str, source: str = "") -> int:
    """Octets of a file over HTTP."""

    def work() -> int:
        origin = (source, 0) if source else None
        asking = http.client.HTTPConnection(host, WEB, timeout=10.0, source_address=origin)
        asking.request("GET", FILE)
        octets = len(asking.getresponse().read())
        asking.close()
        return octets

    return lab.inside(where, work)


def prove(lab: Lab) -> None:
    """Each network talks with the server, begun at either side, and a file comes over."""
    for host in HOSTS:
        assert ping(lab, "client1", topology.SERVER, source=host), host
        assert ping(lab, "server", host), host
        assert fetched(lab, "client1", topology.SERVER, host) == MEGABYTE


def mirrored(row: Row) -> set[tuple[object, object]]:
    return {(pair["inbound"], pair["outbound"]) for pair in row["spis"]}


@pytest.mark.cell("site-to-site", "ourselves")
@pytest.mark.requirement("S1-71", part="network to network")
@pytest.mark.requirement("S1-171")
@pytest.mark.requirement("S1-174")
@pytest.mark.requirement("S4-04", part="gateway to gateway")
def test_three_networks_behind_a_nat_and_one_behind_the_gateway(lab: Lab) -> None:
    with SiteGateway(lab, site=NEAR) as near, SiteGateway(lab, "client1", site=FAR) as far:
        near.joined(len(NETWORKS))
        far.joined(len(NETWORKS))
        prove(lab)
        here, there = near.row, far.row
        assert here["transport"] == there["transport"] == "nat-t"
        assert mirrored(here) == {(out, into) for into, out in mirrored(there)}
        assert len(near.heard("ike.phase1-established")) == 1
        far.stop()
        near.wait_until_empty()


@pytest.mark.cell("site-to-site", "strongswan-client")
@pytest.mark.peer("strongswan")
@pytest.mark.requirement("S1-174", part="strongSwan")
@pytest.mark.requirement("S4-04", part="gateway to gateway")
def test_strongswan_behind_a_nat_calls_with_three_networks(lab: Lab, pki: Pki) -> None:
    with (
        SiteGateway(lab, site=NEAR) as near,
        strongswan(lab, pki, "client1", topology.GATEWAY, NETWORKS, (topology.PRIVATE,)) as charon,
    ):
        for number in range(len(NETWORKS)):
            charon.swanctl("--initiate", "--child", f"net{number}-0", "--timeout", "15")
        near.joined(len(NETWORKS))
        prove(lab)
        assert len(near.heard("ike.phase1-established")) == 1


@pytest.mark.cell("site-to-site", "strongswan-gateway")
@pytest.mark.peer("strongswan")
@pytest.mark.requirement("S4-04", part="gateway to gateway")
def test_we_call_strongswan_from_behind_a_nat(lab: Lab, pki: Pki) -> None:
    with (
        strongswan(lab, pki, "gw", "%any", (topology.PRIVATE,), NETWORKS),
        SiteGateway(lab, "client1", site=FAR) as far,
    ):
        far.joined(len(NETWORKS))
        prove(lab)


@contextmanager
def strongswan(
    lab: Lab, pki: Pki, where: str, peer: str, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> Iterator[Charon]:
    """One charon as a site's gateway: main mode with a key, a child for each pair of networks."""
    children = "\n".join(
        f"net{i}-{j} {{ local_ts = {near}\n remote_ts = {far}\n esp_proposals = aes128-sha1 }}"
        for i, near in enumerate(ours)
        for j, far in enumerate(theirs)
    )
    connections = f"""\
connections {{ site {{
  version = 1
  remote_addrs = {peer}
  proposals = aes128-sha256-modp2048
  encap = yes
  local {{ auth = psk }}
  remote {{ auth = psk }}
  children {{ {children} }} }} }}
secrets {{ ike-site {{ secret = "{KEY}" }} }}
"""
    charon = Charon(lab, where, pki)
    settings = "install_routes = yes\n plugins { kernel-libipsec { load = 20 } }"
    charon.start(settings, connections, {})
    try:
        yield charon
    finally:
        charon.stop()


HOST = {
    "authentication": "psk",
    "exchange_mode": "main",
    "group": "",
    "group_key": KEY,
    "topology": "host",
    "provisioning": "off",
    **STRONG,
}


@pytest.mark.cell("host-to-host", "ourselves")
@pytest.mark.requirement("S1-71", part="host to host")
@pytest.mark.parametrize("transport", [False, True], ids=["tunnel", "transport"])
@pytest.mark.parametrize("where", ["pub", "client1"])
def test_host_to_host_under_their_own_addresses(lab: Lab, where: str, transport: bool) -> None:
    own = {"pub": topology.PUB, "client1": topology.CLIENT1}[where]
    outer = {"pub": topology.PUB, "client1": topology.PAT_OUTSIDE}[where]
    site = {
        "peer": outer,
        "local_networks": [f"{topology.GATEWAY}/32"],
        "remote_networks": [f"{outer if transport else own}/32"],
        "transport_mode": transport,
    }
    profile = {**HOST, "transport_mode": transport}
    before = traces(lab, where)
    with (
        SiteGateway(lab, site=site) as gateway,
        OurClient(lab, where, profile=profile) as client,
        served(lab),
    ):
        with captured(lab, f"host-{where}-{transport}") as file:
            with client.connected():
                gateway.joined(1)
                assert ping(lab, where, topology.GATEWAY)
                assert ping(lab, where, topology.GATEWAY, size=3000), "cut on the way"
                answer = lab.inside(where, lambda: status(topology.GATEWAY, 8080))
                assert answer == 200
                assert gateway.row["packets_in"] > 4
            # The kernel's buffer is emptied once a second; what is there at its end is lost.
            carried = "ip proto 50" if where == "pub" else "udp port 4500"
            until(
                "the tunnel's packets are in the capture",
                lambda: seen(file, carried) > 4,
                seconds=5,
            )
        assert seen(file, "icmp or tcp port 8080") == 0
    assert traces(lab, where) == before


@contextmanager
def served(lab: Lab) -> Iterator[None]:
    """The gateway itself serves HTTP on port 8080."""
    web = lab.spawn("gw", ["python3", "-m", "http.server", "8080"], label="web")
    try:
        yield
    finally:
        web.stop()


def status(host: str, port: int, *, patience: float = 10.0) -> int:
    asking = http.client.HTTPConnection(host, port, timeout=patience)
    asking.request("GET", "/")
    answer = asking.getresponse()
    answer.read()
    asking.close()
    return answer.status


@pytest.mark.cell("everywhere", "ourselves")
@pytest.mark.requirement("S1-71", part="host to everywhere")
def test_nothing_leaves_outside_the_tunnel_not_even_after_a_crash(lab: Lab) -> None:
    """What leaves the client is IKE and ESP: with the tunnel, without the gateway, and when the
    service was killed, until the repair."""
    before = traces(lab, "client1")
    group = {"split_include": []}
    profile = {"topology": "everywhere", "dpd_delay": 2, "dpd_timeout": 10, "reconnect": 60}
    outside = f"not (host {topology.GATEWAY} and (udp port 500 or udp port 4500 or ip proto 50))"
    with OurClient(lab, profile=profile) as client:
        with OurGateway(lab, group=group):
            client.up()
            with leaving(lab) as file:
                assert ping(lab, "client1", topology.SERVER)
                assert fetched(lab, "client1", topology.SERVER) == MEGABYTE
                try_everything(lab)
        with leaving(lab) as lost:
            until("it is lost", lambda: client.row["state"] == "reconnecting", seconds=30.0)
            try_everything(lab)
        client.kill()
        with leaving(lab) as killed:
            try_everything(lab)
        for capture in (file, lost, killed):
            assert seen(capture, f"ip and {outside}") == seen(capture, "ip6 and not icmp6") == 0
        assert seen(file, "udp port 4500") > 10
        client.repair()
        assert traces(lab, "client1") == before
        assert ping(lab, "client1", topology.PUB), "open again"


def try_everything(lab: Lab) -> None:
    """The neighbour, the internet, the gateway itself, and names."""
    for address in (topology.CLIENT2, topology.PUB, topology.GATEWAY, "203.0.113.1"):
        lab.run("client1", ["ping", "-c", "1", "-W", "1", address], check=False)


@contextmanager
def leaving(lab: Lab) -> Iterator[Path]:
    """What comes out of the client's network card meanwhile."""
    file = lab.state / f"leaving-{time.monotonic_ns()}.pcap"
    card = json.loads(lab.run("client1", ["ip", "-j", "link", "show", "eth0"]).stdout)[0]["ifindex"]
    sniffing = lab.capture("client1", file, f"outbound and ifindex {card} and not arp")
    try:
        yield file
    finally:
        sniffing.stop()
