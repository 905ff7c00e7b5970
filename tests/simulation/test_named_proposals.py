"""Every proposal of the Cisco client by its name, between our two ends, and what is said of it."""

from __future__ import annotations

import pytest

from culvert.cli.status import told
from culvert.gateway.config import problems
from culvert.ike.proposal import SA_AUTHENTICATION, SA_KEY_LENGTH
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_IPCOMP, SecurityAssociation
from culvert.inet import ipv4
from culvert.profile.profile import InvalidProfile, Profile
from culvert.profile.toml import read
from culvert.session.session import State
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName
from simulation.captured import quick_offers
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import ClientEnd, End
from simulation.world import (
    GATEWAY,
    GROUP,
    GROUP_KEY,
    LAN,
    SERVER,
    USERS,
    Terms,
    World,
    octets,
    profile,
)

LZS = 3
PHASE1 = tuple(row for row in PROPOSAL_NAMES if row.phase == 1)
PHASE2 = tuple(row for row in PROPOSAL_NAMES if row.phase == 2)


def exact(way: str = "xauth-psk") -> Profile:
    """A client as of old."""
    text = f"""
        preset = "cisco-4.6-exact"
        authentication = "{way}"
        host = "{GATEWAY}"
        group = "{GROUP}"
        group_key = "{GROUP_KEY}"
        remote_networks = ["{LAN}"]
        reconnect = 0
    """
    return read(text, name="old")


def by_name(row: ProposalName) -> str:
    return row.name


def called(row: ProposalName) -> tuple[World, ClientEnd]:
    """A client of the 4.6, at a gateway that has exactly this proposal."""
    terms = Terms(phase1=(row.name,), authentication=(row.authentication,), main_mode=True)
    world = World(1, terms, vault=gateway_vault(GATEWAY))
    return world, world.client(exact(row.authentication), vault=person_vault(USERS[0], GROUP))


@pytest.mark.requirement("S0-50", part="names")
@pytest.mark.parametrize("row", PHASE1, ids=by_name)
def test_a_client_with_the_preset_agrees_on_the_one_row_that_its_gateway_has(
    row: ProposalName,
) -> None:
    world, client = called(row)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        (agreed,) = client.told("ike.phase1-established")
        assert agreed.fields["suite"] == row.tokens
        assert client.core.snapshot["method"] == row.authentication
        assert world.passes_both_ways(client)


@pytest.mark.requirement("S0-52")
def test_a_weak_connection_is_warned_of_once_at_each_end_and_labelled() -> None:
    default = Profile("new", "192.0.2.1", group="g", legacy=("aggressive-psk",))
    offered = {word for name in (*default.phase1, *default.phase2) for word in name.split("-")}
    assert not offered & {"des", "3des", "null", "md5", "sha1", "modp768", "modp1024", "lzs"}
    forced = Terms(phase1=("CiscoVPNClient-DES-MD5",), phase2=("NULL-MD5",), phase2_lifetime=600)
    world = World(1, forced)
    client = world.client(exact())
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    world.run(1300.0)  # the keys of the tunnel were renewed twice
    assert len(client.told("quick.established")) > 4
    session = world.gateway.table.by_assigned(client.address)
    assert session is not None
    assert session.state is State.UP
    for end in (client, world.gateway):
        (warned,) = end.told("ike.weak")
        assert warned.fields["what"] == "des-md5-modp1024, null-md5"
        for why in ("56 bits", "MD5 is broken", "1024-bit", "not encrypted"):
            assert why in str(warned.fields["why"])
    labels = {"aggressive-psk", "des", "md5", "modp1024", "null"}
    assert set(session.weak) == labels
    shown = told([{"name": "old", **client.core.snapshot}])
    for label in labels:
        assert label in shown


# --- phase 2 -----------------------------------------------------------------------------------

TEXT = b"It was the best of times, it was the worst of times. " * 20


def spelled(offered: SecurityAssociation) -> list[str]:
    """The names of the offered proposals, from their numbers alone."""
    ciphers = {(12, 256): "AES256", (12, 128): "AES128", (3, 0): "3DES", (2, 0): "DES"}
    ciphers[11, 0] = "NULL"
    names: dict[int, str] = {}
    for proposal in offered.proposals:
        (transform,) = proposal.transforms
        if proposal.protocol == PROTO_ESP:
            cipher = ciphers[transform.identifier, transform.value(SA_KEY_LENGTH) or 0]
            integrity = {1: "MD5", 2: "SHA"}[transform.value(SA_AUTHENTICATION) or 0]
            names[proposal.number] = f"{cipher}-{integrity}"
        else:
            assert (proposal.protocol, transform.identifier) == (PROTO_IPCOMP, LZS)
            assert len(proposal.spi) == 2
            names[proposal.number] += "+IPCOMP"
    return [names[number] for number in sorted(names)]


@pytest.mark.requirement("S0-51", part="order")
def test_the_captured_quick_mode_offers_all_16_in_the_order_of_the_client() -> None:
    terms = Terms(phase1=("CiscoVPNClient-AES128-SHA",), phase2=("NULL-SHA",))
    world = World(1, terms)
    client = world.client(exact())
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert spelled(quick_offers(world, client)[0]) == [row.name for row in PHASE2]


def outer(end: End) -> int:
    """Octets of the last datagram that an end sent."""
    return len(end.sent[-1][1])


@pytest.mark.requirement("S0-51", part="compression")
@pytest.mark.parametrize("row", PHASE2, ids=by_name)
def test_each_of_the_16_can_be_selected_and_carries_traffic(row: ProposalName) -> None:
    """And with +IPCOMP: what gets shorter is compressed by LZS, all else goes as it is."""
    world = World(1, Terms(phase1=("CiscoVPNClient-AES128-SHA",), phase2=(row.name,)))
    client = world.client(exact())
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        if row == PHASE2[-1]:
            assert spelled(quick_offers(world, client)[0]) == [each.name for each in PHASE2]
        assert client.told("quick.established")[0].fields["suite"] == row.tokens
        assert world.passes_both_ways(client)
        for payload in (TEXT, bytes(world.chance.randbytes(len(TEXT)))):
            there = ipv4.build(17, octets(client.address), octets(SERVER), payload)
            back = ipv4.build(17, octets(SERVER), octets(client.address), payload)
            client.carry(there)
            world.gateway.carry(back)
            shorter = payload == TEXT and row.compressed
            assert (outer(client) < len(there), outer(world.gateway) < len(back)) == (
                (shorter, shorter)
            )
            world.run(1.0)
            assert world.gateway.inside[-1] == there
            assert client.inside[-1] == back
    assert ("ipcomp" in client.core.snapshot["weak"]) == row.compressed  # type: ignore[operator]  # a list


@pytest.mark.parametrize("token", ["lzs", "deflate"])
@pytest.mark.parametrize("pfs", [None, "modp1024"])
def test_compression_with_modern_ciphers_and_pfs(token: str, pfs: str | None) -> None:
    suite = f"aes256gcm16-{token}"
    world = World(1, Terms(phase2=(suite,)))
    client = world.client(profile(phase2=(suite,), pfs=pfs))
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert world.passes_both_ways(client)
        there = ipv4.build(17, octets(client.address), octets(SERVER), TEXT)
        client.carry(there)
        assert outer(client) < len(there) // 2
        world.run(1.0)
        assert world.gateway.inside[-1] == there
    (warned,) = client.told("ike.weak")
    assert "length" in str(warned.fields["why"])


@pytest.mark.parametrize(
    ("ours", "theirs"), [("aes128-sha1-lzs", "aes128-sha1"), ("aes128-sha1", "aes128-sha1-deflate")]
)
def test_compression_at_one_end_only_is_named(ours: str, theirs: str) -> None:
    world = World(1, Terms(phase2=(theirs,)))
    client = world.client(profile(phase2=(ours,)))
    client.connect()
    assert world.decided(client)
    assert client.reason == "phase2-refused"
    (difference,) = world.gateway.told("ike.proposal-compared")
    fields = difference.fields
    assert fields["attribute"] == "compression"
    assert (fields["remote"], fields["local"]) in {("IPComp", "none"), ("none", "deflate")}


def test_nobody_compresses_unless_it_was_switched_on() -> None:
    with pytest.raises(InvalidProfile, match="ipcomp"):
        Profile(
            "n", "192.0.2.1", group="g", phase2=("aes256gcm16-lzs",), legacy=("aggressive-psk",)
        )
    told = problems('[gateway]\nphase2 = ["AES128-SHA+IPCOMP"]\n', "gateway.toml")
    assert any("legacy switch ipcomp" in one.what for one in told)
