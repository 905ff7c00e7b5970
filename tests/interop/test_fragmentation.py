"""Packets of 1500 octets where a NAT device loses fragments: what the three policies do, at the
gateway and at the client, with either engine (S4-16)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

POLICIES = ("after-ipsec", "before-with-icmp", "before-clearing-df")
LARGE = 1500 - 28
"""Octets of ICMP payload: the packet is as long as Ethernet takes."""
NEEDED = "Frag needed"


@pytest.fixture(scope="module", params=["kernel", "python"])
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CULVERT_ENGINE", request.param)
        yield request.param


@contextmanager
def fragments_lost(lab: Lab) -> Iterator[None]:
    """By the PAT, in both directions, before it puts anything together again."""
    nft = namespace.tool("nft")
    lab.run("pat", [nft, "add", "table", "ip", "losing"])
    hook = "{ type filter hook prerouting priority -450; }"
    lab.run("pat", [nft, "add", "chain", "ip", "losing", "in", hook])
    rule = ["add", "rule", "ip", "losing", "in", "ip", "frag-off", "&", "0x3fff", "!=", "0"]
    lab.run("pat", [nft, *rule, "counter", "drop"])
    try:
        yield
    finally:
        lab.run("pat", [nft, "delete", "table", "ip", "losing"])


def lost(lab: Lab) -> int:
    nft = namespace.tool("nft")
    words = lab.run("pat", [nft, "list", "table", "ip", "losing"]).stdout.split()
    return int(words[words.index("packets") + 1])


def large_ping(lab: Lab, where: str, to: str) -> str:
    """What `ping` says of three packets that must not be cut."""
    words = [namespace.tool("ping"), "-n", "-M", "do", "-s", str(LARGE), "-c", "3", "-i", "0.2"]
    done = lab.run(where, [*words, "-W", "1", to], check=False)
    return done.stdout + done.stderr


def assert_done(lab: Lab, policy: str, said: str) -> None:
    match policy:
        case "after-ipsec":
            assert "100% packet loss" in said
            assert NEEDED not in said
            assert lost(lab) >= 3
        case "before-with-icmp":
            assert NEEDED in said or "message too long" in said
            assert lost(lab) == 0
        case _:
            assert " 0% packet loss" in said
            assert lost(lab) == 0


@pytest.mark.requirement("S4-16", part="gateway")
@pytest.mark.parametrize("policy", POLICIES)
def test_packets_of_1500_octets_to_a_client_behind_a_nat_that_loses_fragments(
    lab: Lab, engine: str, policy: str
) -> None:
    general = {"fragmentation": policy}
    # The client's answers are in pieces that fit, whatever the gateway does.
    keys = {"fragmentation": "before-clearing-df"}
    with (
        OurGateway(lab, general=general) as gateway,
        OurClient(lab, "client1", keys) as client,
        client.connected() as row,
    ):
        assert (row["transport"], row["engine"]) == ("nat-t", engine)
        lab.run("server", ["ip", "route", "flush", "cache"])
        with fragments_lost(lab):
            said = large_ping(lab, "server", gateway.session_of(client.user)["assigned_ip"])
            assert_done(lab, policy, said)
            prove_data(lab, "client1")


@pytest.mark.requirement("S4-16", part="client")
@pytest.mark.parametrize("policy", POLICIES)
def test_packets_of_1500_octets_from_a_client_behind_a_nat_that_loses_fragments(
    lab: Lab, engine: str, policy: str
) -> None:
    with (
        OurGateway(lab, general={"fragmentation": "before-clearing-df"}),
        OurClient(lab, "client1", {"fragmentation": policy}) as client,
        client.connected() as row,
    ):
        assert row["engine"] == engine
        with fragments_lost(lab):
            said = large_ping(lab, "client1", topology.SERVER)
            assert_done(lab, policy, said)
            prove_data(lab, "client1")
