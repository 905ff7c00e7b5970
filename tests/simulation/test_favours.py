"""What certificates cost before a caller has proved anything: answers stay small and rationed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.gateway.certificates import BURST, RATE
from culvert.ike.called import ALLOWANCE, FAVOUR
from culvert.ike.proposal import offer_ike
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.header import (
    AGGRESSIVE,
    IDENTITY_PROTECTION,
    INFORMATIONAL,
    NO_COOKIE,
    Header,
)
from culvert.ike.wire.identity import KEY_ID, Identity
from culvert.ike.wire.message import clear_message, parse_header
from culvert.ike.wire.payload import KE, NONCE, SA, VENDOR_ID, Part
from simulation.certificates import GATEWAY_NAME, gateway_vault
from simulation.plugin import examples
from simulation.target import STRANGER
from simulation.test_authentication import MODES, OFFERED, world_of
from simulation.world import GATEWAY, GROUP, QUICK_PHASE1, World

MOST_PER_SECOND = 2048  # octets to one address that nobody has proved, once its burst is used up


def question(cookie: int, way: str, *, more: int = 0) -> bytes:
    """A first message of aggressive mode, ``more`` octets longer than it has to be."""
    suite = IkeSuite.named(QUICK_PHASE1, way)
    parts = (
        Part(SA, offer_ike([suite], 86_400).to_bytes()),
        Part(KE, b"\x05" * suite.group.octets),
        Part(NONCE, bytes(16)),
        Identity(KEY_ID, GROUP.encode()).part(),
        Part(VENDOR_ID, bytes(more)),
    )
    head = Header(cookie.to_bytes(8, "big"), NO_COOKIE, SA, AGGRESSIVE, 0, 0)
    return clear_message(head, parts)


def thrown(world: World, octets: bytes, seconds: float = 0.05) -> list[bytes]:
    """What the gateway sends to a stranger's datagram within so many seconds."""
    before = len(world.gateway.sent)
    world.gateway.datagram(octets, STRANGER, (GATEWAY, 500))
    world.run(seconds)
    return [sent for _, sent, _ in world.gateway.sent[before:]]


@pytest.mark.parametrize("way", ["rsa", "xauth-rsa", "hybrid"])
def test_an_answer_with_certificates_is_at_most_four_times_the_question(way: str) -> None:
    world = World(1, OFFERED, vault=gateway_vault(GATEWAY, GATEWAY_NAME))
    kinds: set[int] = set()
    last = 0

    @given(st.integers(0, 1500))
    @examples(60)
    def holds(more: int) -> None:
        nonlocal last
        last += 1
        octets = question(last, way, more=more)
        world.run(1.0 / RATE)
        sent = thrown(world, octets)
        assert sum(map(len, sent)) <= FAVOUR * len(octets)
        kinds.update(parse_header(answer).exchange for answer in sent)

    holds()
    assert kinds == {AGGRESSIVE, INFORMATIONAL}, "some are answered, some too short for it"


def test_one_address_gets_so_many_answers_and_then_one_a_second() -> None:
    world = World(1, replace(OFFERED), vault=gateway_vault(GATEWAY))
    sent = [thrown(world, question(n, "hybrid", more=1000), 0.001) for n in range(1, 200)]
    world.run(0.05)
    assert len(sent) == 199
    answers = [octets for _, octets, _ in world.gateway.sent]
    assert len(answers) <= 5, "of one address and port: its half-open limit comes first"
    world.run(40.0)
    world.gateway.sent.clear()
    for port in range(300):
        world.gateway.datagram(
            question(1000 + port, "hybrid", more=1000), (STRANGER[0], port + 1), (GATEWAY, 500)
        )
    world.run(0.05)
    at_once = [octets for _, octets, _ in world.gateway.sent]
    assert len(at_once) == BURST
    assert world.gateway.told("ike.answer-rationed")


def test_a_flood_with_a_forged_address_brings_it_no_more_than_its_ration() -> None:
    world = World(1, OFFERED, vault=gateway_vault(GATEWAY))
    seconds = 60
    for last in range(1, seconds * 10 + 1):
        octets = question(last, "hybrid", more=1000)
        world.gateway.datagram(octets, (STRANGER[0], last % 60_000 + 1), (GATEWAY, 500))
        world.run(0.1)
    total = sum(len(octets) for _, octets, _ in world.gateway.sent)
    answers = len(world.gateway.sent)
    assert answers <= BURST + RATE * seconds + 1
    assert total <= (BURST + seconds) * MOST_PER_SECOND
    world.run(60.0)
    assert world.left_over() == []


@pytest.mark.parametrize("way", ["psk", "xauth-psk", "rsa", "xauth-rsa", "hybrid"])
def test_main_mode_answers_exceed_their_questions_by_200_octets_at_most(way: str) -> None:
    world, client = world_of(way, "main")
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    asked = [
        octets
        for _, octets, _ in client.sent
        if parse_header(octets).exchange == IDENTITY_PROTECTION
    ]
    answered = [
        o for _, o, _ in world.gateway.sent if parse_header(o).exchange == IDENTITY_PROTECTION
    ]
    # The third of each is proved, and with certificates may travel in pieces.
    assert len(asked) >= 3 <= len(answered)
    for question_octets, answer in zip(asked[:2], answered[:2], strict=True):
        assert len(answer) <= len(question_octets) + ALLOWANCE


def test_a_caller_with_a_chain_that_does_not_fit_gets_the_certificate_alone() -> None:
    """The authority in between is left out; this client has it."""
    world = World(1, OFFERED, vault=gateway_vault(GATEWAY))
    (answer,) = thrown(world, question(1, "hybrid", more=150))
    assert parse_header(answer).exchange == AGGRESSIVE
    (whole,) = thrown(world, question(2, "hybrid", more=1000))
    assert len(whole) > len(answer) + 500


@pytest.mark.parametrize("mode", MODES)
def test_a_signature_is_made_once_for_each_exchange(mode: str) -> None:
    world, client = world_of("rsa", mode)
    client.connect()
    assert world.decided(client)
    for octets in {octets for _, octets, _ in client.sent}:
        world.gateway.datagram(octets, ("198.51.100.2", 500), (GATEWAY, 500))
    world.run(5.0)
    assert client.up
    assert world.passes_both_ways(client)


def test_nobody_comes_by_a_group_key_in_aggressive_mode_unless_its_switch_is_on() -> None:
    terms = replace(OFFERED, authentication=("hybrid",), legacy=("sha1", "modp1024", "fast-hash"))
    world, client = world_of("xauth-psk", "aggressive", terms=terms)
    client.connect()
    assert world.decided(client)
    assert client.reason == "proposal-refused"
    assert not world.gateway.told("ike.group-unknown")
