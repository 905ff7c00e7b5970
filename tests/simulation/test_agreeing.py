"""Settings that must fit at both ends: mode, proposals, PFS, lifetimes. What comes of it where they
do not, and how it is told."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from culvert.ike.wire.header import AGGRESSIVE, IDENTITY_PROTECTION
from culvert.ike.wire.message import clear_body, parse_header
from culvert.ike.wire.payload import SA, one
from culvert.ike.wire.proposal import SecurityAssociation
from simulation.captured import quick_offer, quick_offers
from simulation.ends import IKE_PORT, ClientEnd
from simulation.journal import Seen, Told
from simulation.judged import verdicts
from simulation.world import QUICK_PHASE1, QUICK_PHASE2, Terms, World, profile

WEAKER = "3des-sha1-modp1024"


def tried(world: World, client: ClientEnd) -> bool:
    client.connect()
    assert world.decided(client)
    return client.up


@pytest.mark.parametrize(
    ("mode", "number"),
    [
        pytest.param(mode, number, marks=pytest.mark.requirement("S1-78", part=mode))
        for mode, number in (("main", IDENTITY_PROTECTION), ("aggressive", AGGRESSIVE))
    ],
)
def test_the_exchange_on_the_wire_is_the_one_that_was_chosen(mode: str, number: int) -> None:
    world = World(1, Terms(main_mode=True))
    client = world.client(profile(exchange_mode=mode))
    with world.shown_if_wrong():
        assert tried(world, client)
    assert number == {"main": 2, "aggressive": 4}[mode]
    phase1 = {
        parse_header(seen.message).exchange
        for seen in world.network.seen
        if len(seen.message) >= 28 and seen.message[18] in (2, 4)
    }
    assert phase1 == {number}


# --- several proposals -------------------------------------------------------------------------


def several(seen: Seen) -> bool:
    """Whether this is a phase 1 offer of more than one transform."""
    if seen.to[1] != IKE_PORT:
        return False
    header = parse_header(seen.message)
    if header.exchange not in (AGGRESSIVE, IDENTITY_PROTECTION) or header.encrypted:
        return False
    found = one(clear_body(seen.message, header), SA)
    if found is None:
        return False
    offered = SecurityAssociation.parse(found)
    return sum(len(proposal.transforms) for proposal in offered.proposals) > 1


def fussy(mode: str) -> World:
    """A gateway behind something that drops every offer of more than one proposal."""
    world = World(1, Terms(main_mode=True))
    link = world.gateway.link
    assert link is not None
    link.drops = several
    return world


@pytest.mark.requirement("S1-79")
@pytest.mark.parametrize("mode", ["main", "aggressive"])
def test_a_device_that_takes_one_proposal_only_is_named_and_works_with_the_tick(mode: str) -> None:
    world = fussy(mode)
    offer: dict[str, Any] = {
        "phase1": (QUICK_PHASE1, WEAKER),
        "phase2": (QUICK_PHASE2, "3des-sha1"),
    }
    client = world.client(profile(exchange_mode=mode, **offer))
    assert not tried(world, client)
    assert client.reason == "no-answer"
    here, _ = verdicts(world, client)
    assert here.id == "p1.no-response"
    assert "offer of 2 proposals" in here.why
    assert any("more than one proposal" in cause for cause in here.causes)
    assert any("one_proposal = true" in action.text for action in here.actions)
    ticked = world.client(profile(exchange_mode=mode, one_proposal=True, **offer))
    with world.shown_if_wrong():
        assert tried(world, ticked)
        assert world.passes_both_ways(ticked)
    assert not ticked.told("ike.several-offered")


def test_a_device_that_takes_one_proposal_only_in_phase_2_is_named_too() -> None:
    world = World(1)
    offer: dict[str, Any] = {"phase2": ("3des-sha1", QUICK_PHASE2)}
    client = world.client(profile(**offer))

    def several_in_phase_2(seen: Seen) -> bool:
        found = quick_offer(seen, client)
        return found is not None and len(found.proposals) > 1

    link = world.gateway.link
    assert link is not None
    link.drops = several_in_phase_2
    assert not tried(world, client)
    assert client.reason == "no-answer"
    here, _ = verdicts(world, client)
    assert here.id == "p2.no-response"
    assert "2 proposals at once" in here.why
    assert any("one_proposal = true" in action.text for action in here.actions)
    link.drops = lambda _: False
    ticked = world.client(profile(one_proposal=True, phase2=(QUICK_PHASE2, "3des-sha1")))
    assert tried(world, ticked)
    (offered,) = quick_offers(world, ticked)
    assert len(offered.proposals) == 1


def test_with_several_proposals_one_match_is_enough() -> None:
    world = World(1, Terms(phase1=(WEAKER,), phase2=("3des-md5",)))
    client = world.client(
        profile(
            phase1=("aes256-sha1-modp1024", QUICK_PHASE1, WEAKER),
            phase2=("aes256-sha1", QUICK_PHASE2, "3des-md5"),
        )
    )
    assert tried(world, client)
    assert client.told("ike.phase1-established")[0].fields["suite"] == WEAKER
    assert client.told("quick.established")[0].fields["suite"] == "3des-md5"


# --- PFS ---------------------------------------------------------------------------------------


@pytest.mark.requirement("S1-80")
@pytest.mark.parametrize(
    ("ours", "theirs", "words"),
    [
        (None, f"{QUICK_PHASE2}-modp1024", ("none", "modp1024")),
        ("modp1536", QUICK_PHASE2, ("modp1536", "none or modp1024")),
        ("modp1536", f"{QUICK_PHASE2}-modp1024", ("modp1536", "modp1024")),
    ],
)
def test_pfs_at_one_end_only_is_named_with_both_groups_at_both_ends(
    ours: str | None, theirs: str, words: tuple[str, str]
) -> None:
    world = World(1, Terms(phase2=(theirs,)))
    client = world.client(profile(pfs=ours))
    with world.shown_if_wrong():
        assert not tried(world, client)
        assert client.reason == "phase2-refused"
    here, there = verdicts(world, client)
    for verdict, (mine, other) in ((here, words), (there, words[::-1])):
        assert verdict.id == "p2.pfs-mismatch"
        assert "PFS" in verdict.why
        assert f"group {other} at the other end, {mine} here" in verdict.why


@pytest.mark.parametrize("group", [None, "modp1024"])
def test_pfs_that_fits_or_that_the_gateway_does_not_mind_works(group: str | None) -> None:
    world = World(1)
    client = world.client(profile(pfs=group))
    assert tried(world, client)
    assert world.passes_both_ways(client)
    assert not client.told("quick.pfs-mismatch")


def test_what_differs_in_more_than_pfs_is_not_called_a_mismatch_of_pfs() -> None:
    world = World(1, Terms(phase2=("3des-md5-modp1024",)))
    client = world.client(profile())
    assert not tried(world, client)
    assert verdicts(world, client)[1].id == "p2.no-proposal"


# --- lifetimes ---------------------------------------------------------------------------------


@pytest.mark.requirement("S1-81")
def test_the_shorter_lifetime_counts_and_the_difference_is_warned_of_once() -> None:
    """The check's figures: 3600 s at the peer and 28800 s here."""
    world = World(1, Terms(phase1_lifetime=3600, phase2_lifetime=3600))
    client = world.client(profile(phase1_lifetime=28_800, phase2_lifetime=28_800))
    with world.shown_if_wrong():
        assert tried(world, client)
        world.run(8000.0)
        assert world.passes_both_ways(client)
    warned = {str(one.fields["what"]): one.fields for one in client.told("ike.lifetime-differs")}
    assert len(client.told("ike.lifetime-differs")) == 2
    for what in ("IKE SA", "IPsec SA"):
        wanted = {"what": what, "ours": 28_800, "theirs": 3600, "counts": 3600}
        assert wanted.items() <= warned[what].items()
    journal = [told for told in world.network.journal if isinstance(told, Told)]
    for code in ("quick.established", "ike.phase1-established"):
        times = [told.at for told in journal if told.name == "C1" and told.event.code == code]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(gaps) >= 2
        assert max(gaps) < 3600.0
    assert not client.told("client.down")


def test_equal_lifetimes_are_not_worth_a_word() -> None:
    world = World(1, Terms(phase2_lifetime=3600))
    client = world.client(profile(phase2_lifetime=3600))
    assert tried(world, client)
    for end in (client, world.gateway):
        assert not end.told("ike.lifetime-differs")


# --- NAT traversal of a VPN 3000 ---------------------------------------------------------------


@pytest.mark.requirement("S4-14", part="what comes of it")
@pytest.mark.parametrize(
    ("preset", "of_group", "works"),
    [("none", "", True), ("vpn3000-exact", "", False), ("vpn3000-exact", "auto", True)],
)
def test_behind_a_nat_a_vpn_3000_needs_its_switch(
    preset: str, of_group: str, *, works: bool
) -> None:
    world = World(1, Terms(preset=preset, nat_traversal=of_group))
    client = world.client(profile(), behind=world.nat)
    tried(world, client)
    assert bool(client.told("ike.natt-negotiated")) is works
    assert bool(client.told("ike.natt-missing")) is not works
    if works:
        assert world.passes_both_ways(client)
