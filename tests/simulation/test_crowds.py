"""Many callers at once whose addresses may be forged: a budget of octets, and second calls."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from culvert.ike.retransmit import REPEAT_AFTER
from culvert.ike.strangers import TOLD_EVERY
from culvert.inet.address import Address
from simulation.target import Target, first_message
from simulation.test_unproved_callers import call_in_main_mode, from_everywhere
from simulation.world import Terms, profile

RATE, BURST = 2_000, 16_000
SMALL = Terms(unproved_rate=RATE, unproved_burst=BURST, half_open_limit=1_000_000)


def poured(target: Target, *, seconds: float, a_second: int, twice: bool) -> Iterator[int]:
    """A flood of forged calls; after each second, the octets the gateway has sent in it."""
    for second in range(round(seconds)):
        before = len(target.gateway.sent)
        batch = from_everywhere(a_second, first=second * a_second)
        for _ in range(1 + twice):
            for octets, source in batch:
                target.throw(octets, source)
                target.world.run(1.0 / a_second / (1 + twice))
        yield sum(len(octets) for _, octets, _ in target.gateway.sent[before:])


@pytest.mark.parametrize("twice", [False, True], ids=["once", "by a flood that calls twice"])
def test_all_answers_to_unproved_addresses_together_stay_within_the_budget(twice: bool) -> None:
    target = Target(SMALL)
    sent = list(poured(target, seconds=20, a_second=100, twice=twice))
    for first in range(20):
        for last in range(first, 20):
            assert sum(sent[first : last + 1]) <= BURST + RATE * (last - first + 1)
    told = target.gateway.core.unproved
    assert told["octets_sent"] == sum(sent) > BURST // 2
    assert told["octets_heard"] > told["octets_sent"]
    refused = target.gateway.core.refused_datagrams
    assert refused["crowd"] == told["first_calls_not_answered"] > 1000
    if twice:
        assert refused["unproved-limit"] == told["answers_held_back"] > 500


def test_a_flood_is_told_once_and_not_for_each_datagram() -> None:
    target = Target(SMALL)
    seconds = 2 * TOLD_EVERY
    list(poured(target, seconds=seconds, a_second=20, twice=True))
    for code in ("ike.strangers-crowd", "ike.strangers-held-back"):
        assert 1 <= len(target.gateway.told(code)) <= 1 + seconds / TOLD_EVERY, code
    assert target.gateway.told("ike.strangers-held-back")[-1].fields["limit"] == RATE


@pytest.mark.parametrize("main_mode", [False, True], ids=["aggressive", "main"])
def test_a_client_gets_in_while_addresses_are_forged(main_mode: bool) -> None:
    target = Target(Terms(half_open_limit=100, main_mode=main_mode))
    for octets, source in from_everywhere(1000):
        target.throw(octets, source)
    assert target.sas == 50
    kept = profile(exchange_mode="main") if main_mode else profile()
    client = target.world.client(kept, behind=target.world.nat)
    client.connect()
    flood = iter(from_everywhere(20_000, first=1000))
    while not (client.up or client.down):
        for _ in range(10):
            target.throw(*next(flood))
        target.world.run(0.05)
    assert client.up
    assert target.world.passes_both_ways(client)


def test_who_showed_our_cookie_from_where_it_went_costs_no_budget() -> None:
    """Its first message is a stranger's; everything later is an answer to a known address."""
    target = Target(Terms(main_mode=True))
    client = target.world.client(profile(exchange_mode="main"))
    client.connect()
    assert target.world.decided(client)
    assert client.up
    first, *_ = [len(octets) for _, octets, _ in target.gateway.sent]
    assert target.gateway.core.unproved["octets_sent"] == first


def test_a_cookie_from_elsewhere_proves_no_address() -> None:
    target = Target(Terms(main_mode=True))
    source: Address = ("192.0.2.7", 500)
    (answer,) = target.throw(call_in_main_mode(), source).sent
    before = target.gateway.core.unproved["octets_sent"]
    assert before == len(answer)
    # What follows carries the right cookies, and is sent from an address that is another's.
    stolen = bytearray(first_message(b"stranger"))
    stolen[8:16] = answer[8:16]
    sent = target.throw(bytes(stolen), ("192.0.2.8", 500)).sent
    assert target.gateway.core.unproved["octets_sent"] == before + sum(map(len, sent))


def test_repeats_of_an_answered_call_come_from_the_same_budget() -> None:
    target = Target(SMALL)
    ((octets, source),) = from_everywhere(1)
    for _ in range(200):
        target.throw(octets, source)
        target.world.run(REPEAT_AFTER)
    sent = target.gateway.core.unproved["octets_sent"]
    assert sent == sum(len(octets) for _, octets, _ in target.gateway.sent)
    times = [at for at, _, _ in target.gateway.sent]
    assert all(later > earlier for earlier, later in pairwise(times))
