"""Long IKE messages where IP fragments are dropped: certificates pass in fragments of IKE's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest

from culvert.lab import namespace
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.test_certificates import LEGACY, certified, person

pytestmark = [pytest.mark.root]

SPLIT = "splitting IKE message"


@contextmanager
def no_ip_fragments(lab: Lab) -> Iterator[None]:
    """Everywhere between the ends, before anything puts them together again."""
    nft = namespace.tool("nft")
    lab.run("inet", [nft, "add", "table", "ip", "narrow"])
    hook = "{ type filter hook prerouting priority -450; }"
    lab.run("inet", [nft, "add", "chain", "ip", "narrow", "in", hook])
    rule = ["add", "rule", "ip", "narrow", "in", "ip", "frag-off", "&", "0x3fff", "!=", "0"]
    lab.run("inet", [nft, *rule, "counter", "drop"])
    try:
        yield
    finally:
        lab.run("inet", [nft, "delete", "table", "ip", "narrow"])


Peer = TypeVar("Peer", StrongswanGateway, StrongswanClient)


def cutting(peer: Peer) -> Peer:
    """It cuts more than its messages need."""
    peer.charon.fragment_size = 400
    return peer


def dropped(lab: Lab) -> int:
    nft = namespace.tool("nft")
    words = lab.run("inet", [nft, "list", "table", "ip", "narrow"]).stdout.split()
    return int(words[words.index("packets") + 1])


@pytest.mark.cell("fragments", "ourselves")
@pytest.mark.parametrize("mode", ["main", "aggressive"])
def test_ours_to_ours(lab: Lab, pki: Pki, mode: str) -> None:
    with no_ip_fragments(lab), OurGateway(lab, general=certified(pki)) as gateway:
        with OurClient(lab, "pub", person(pki, "rsa", mode)) as client, client.connected():
            prove_data(lab, "pub", "1M.bin")
            assert client.heard("ike.fragmented") or gateway.heard("ike.fragmented")
        assert dropped(lab) == 0


@pytest.mark.peer("strongswan")
@pytest.mark.cell("fragments", "strongswan-gateway")
def test_our_client_at_strongswan(lab: Lab, pki: Pki) -> None:
    profile = {**person(pki, "rsa", "main"), "phase2": ["aes128-sha1"], "legacy": ["sha1"]}
    with (
        no_ip_fragments(lab),
        cutting(
            StrongswanGateway(lab, pki, ike="aes256-sha256-modp2048", esp="aes128-sha1")
        ) as peer,
        OurClient(lab, "client1", profile) as client,
        client.connected(),
    ):
        prove_data(lab, "client1", "1M.bin")
        assert client.heard("ike.fragmented")
        assert SPLIT in peer.charon.log


@pytest.mark.peer("strongswan")
@pytest.mark.cell("fragments", "strongswan-client")
def test_strongswan_at_our_gateway(lab: Lab, pki: Pki) -> None:
    with (
        no_ip_fragments(lab),
        OurGateway(lab, general=certified(pki)) as gateway,
        cutting(StrongswanClient(lab, pki, "rsa", ike=LEGACY)) as peer,
    ):
        prove_data(lab, "client1", "1M.bin")
        (row,) = gateway.sessions
        assert row["state"] == "up"
        assert SPLIT in peer.charon.log
