"""Split and global DNS by each back end: which of two servers is asked for what (S1-77)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from culvert.lab.process import Spawned
from interop.ours import OurClient, OurGateway, until
from interop.peers.resolvers import resolvconf, resolved
from interop.test_keychain import at

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

PROGRAM = Path(__file__).parent / "peers" / "name_server.py"
INSIDE, PUBLIC = "intranet.corp.test", "www.public.test"
FROM_INSIDE, FROM_OUTSIDE = "192.168.2.77", "198.51.100.77"
DOMAIN = "corp.test"
SPLIT = {"dns_mode": "split"}
GLOBAL = {"dns_mode": "global", "dns_test_name": PUBLIC}
NUMBERS = count()  # a log for each
RESOLV_CONF = f"nameserver {topology.PUB}\n"


@contextmanager
def name_server(lab: Lab, where: str, host: str, answer: str, *names: str) -> Iterator[Spawned]:
    words = [sys.executable, str(PROGRAM), host, answer, *names]
    running = lab.spawn(where, words, label=f"names-{next(NUMBERS)}")
    until("the name server listens", lambda: "ready" in running.said, seconds=10)
    try:
        yield running
    finally:
        running.stop()


def put(lab: Lab, text: str) -> None:
    lab.run("client1", ["sh", "-c", 'cat > "$0"', "/etc/resolv.conf"], given=text)


def lookup(lab: Lab, name: str) -> str:
    """The address that a program on client1 gets; empty: none."""
    found = lab.run("client1", ["getent", "ahostsv4", name], check=False).stdout
    return found.split()[0] if found else ""


@pytest.fixture
def outside(lab: Lab) -> Iterator[Spawned]:
    """The name server that client1 had before; it has another answer to everything."""
    kept = lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
    put(lab, RESOLV_CONF)
    with name_server(lab, "pub", topology.PUB, FROM_OUTSIDE) as running:
        yield running
    put(lab, kept)


def asked(server: Spawned, name: str) -> int:
    return server.said.count(f"asked {name} ")


def prove_split(lab: Lab, inside: Spawned, outside: Spawned) -> None:
    assert lookup(lab, INSIDE) == FROM_INSIDE
    assert lookup(lab, PUBLIC) == FROM_OUTSIDE
    assert asked(inside, INSIDE)
    assert asked(outside, PUBLIC)
    assert not asked(outside, INSIDE), "nobody outside learns of it"
    assert not asked(inside, PUBLIC)


def prove_global(lab: Lab, inside: Spawned, outside: Spawned) -> None:
    before = outside.said
    assert lookup(lab, INSIDE) == FROM_INSIDE
    assert lookup(lab, PUBLIC) == FROM_INSIDE
    assert asked(inside, PUBLIC)
    assert outside.said == before, "all names go through the tunnel"


@pytest.mark.requirement("S1-77", part="own stub")
@pytest.mark.cell("dns-modes", "ourselves")
def test_split_dns_with_a_plain_file_is_our_own_stub(lab: Lab, outside: Spawned) -> None:
    with (
        name_server(lab, "server", topology.SERVER, FROM_INSIDE) as inside,
        OurGateway(lab),
        OurClient(lab, profile=SPLIT) as client,
    ):
        with client.connected():
            prove_split(lab, inside, outside)
            assert "nameserver 127.0.53." in lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
        assert lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout == RESOLV_CONF
        assert lookup(lab, INSIDE) == FROM_OUTSIDE, "as before"
        manual = {"dns": "manual", "dns_servers": [topology.SERVER], "search_domains": [DOMAIN]}
        with client.connected(**manual):
            assert lookup(lab, "other.corp.test") == FROM_INSIDE
            assert lookup(lab, "other.test") == FROM_OUTSIDE
            assert lookup(lab, "short") == FROM_INSIDE, "the search domain"


@pytest.mark.requirement("S1-77", part="plain file")
def test_global_dns_with_a_plain_file(lab: Lab, outside: Spawned) -> None:
    with (
        name_server(lab, "server", topology.SERVER, FROM_INSIDE) as inside,
        OurGateway(lab, group={"split_dns": [DOMAIN]}),
        OurClient(lab, profile=GLOBAL) as client,
    ):
        before = len(client.events("client.dns-not-public"))  # of other tests
        with client.connected():
            prove_global(lab, inside, outside)
            until("it was tested", lambda: asked(inside, PUBLIC) > 1, seconds=5)
            assert len(client.events("client.dns-not-public")) == before
        assert lookup(lab, PUBLIC) == FROM_OUTSIDE


@pytest.mark.requirement("S1-77", part="global is tested")
def test_a_server_that_knows_no_public_names_is_warned_of(lab: Lab, outside: Spawned) -> None:
    with OurGateway(lab), OurClient(lab, profile=GLOBAL) as client:
        with (
            name_server(lab, "server", topology.SERVER, FROM_INSIDE, INSIDE) as inside,
            client.connected(),
        ):
            until("warned", lambda: bool(client.events("client.dns-not-public")), seconds=10)
            warned = client.events("client.dns-not-public")[-1]
            assert warned["fields"]["problem"] == "it says error 3"
            assert asked(inside, PUBLIC)
        with client.connected():
            until("warned", lambda: len(client.events("client.dns-not-public")) == 2, seconds=20)
            assert client.events("client.dns-not-public")[-1]["fields"]["problem"] == "no answer"
            assert "does not know public names" in client.culvert("why").out
        with client.connected(dns_mode="split"):
            assert lookup(lab, PUBLIC) == FROM_OUTSIDE
        assert len(client.events("client.dns-not-public")) == 2, "split needs no such server"


@pytest.mark.requirement("S1-77", part="resolvconf")
@pytest.mark.peer("openresolv")
def test_split_and_global_dns_by_resolvconf(lab: Lab, outside: Spawned) -> None:
    with (
        name_server(lab, "server", topology.SERVER, FROM_INSIDE) as inside,
        resolvconf(lab, "client1", topology.PUB) as environment,
        at(environment),
        OurGateway(lab),
        OurClient(lab) as client,
    ):
        before = lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
        assert "resolvconf" in before
        with client.connected(**SPLIT):
            prove_split(lab, inside, outside)
        assert lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout == before
        with client.connected(**GLOBAL):
            prove_global(lab, inside, outside)
        assert lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout == before


STUB_FILE = (
    "# This is /run/systemd/resolve/stub-resolv.conf managed by man:systemd-resolved(8).\n"
    "nameserver 127.0.0.53\noptions edns0 trust-ad\n"
)


@pytest.mark.requirement("S1-77", part="systemd-resolved")
@pytest.mark.peer("systemd-resolved")
def test_split_and_global_dns_by_systemd_resolved(lab: Lab, outside: Spawned) -> None:
    put(lab, STUB_FILE)
    with (
        name_server(lab, "server", topology.SERVER, FROM_INSIDE) as inside,
        resolved(lab, "client1", topology.PUB) as environment,
        at(environment),
        OurGateway(lab),
        OurClient(lab) as client,
    ):
        assert lookup(lab, "before.test") == FROM_OUTSIDE
        with client.connected(**SPLIT):
            prove_split(lab, inside, outside)
        lab.run("client1", ["resolvectl", "flush-caches"])
        with client.connected(**GLOBAL):
            prove_global(lab, inside, outside)
        assert lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout == STUB_FILE
        lab.run("client1", ["resolvectl", "flush-caches"])
        assert lookup(lab, INSIDE) == FROM_OUTSIDE
