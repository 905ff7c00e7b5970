"""Pairs of IPsec SAs: how they are found, and when each is due."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from culvert.ike.pairs import CROSSING, LINGER, Pair, Pairs
from culvert.ike.proposal import Lifetime
from culvert.ike.selector import Selector
from culvert.ike.timers import Timers
from culvert.rng import SeededRandom

HERE, THERE = Selector(ip_network("10.0.0.7/32")), Selector(ip_network("0.0.0.0/0"))
HOUR = Lifetime(3_600)


def pairs(seed: int = 1) -> tuple[Pairs, Timers]:
    timers = Timers()
    return Pairs(timers, SeededRandom(seed)), timers


def pair(number: int, *, initiator: bool = True, local: Selector = HERE) -> Pair:
    return Pair(number, 0x1000 + number, 0x2000 + number, local, THERE, initiator)


def test_numbers_are_never_given_twice() -> None:
    made, _ = pairs()
    first = made.next_number()
    made.add(pair(first), HOUR, now=0.0)
    made.drop(first)
    assert made.next_number() == first + 1


@pytest.mark.parametrize("seed", range(20))
def test_who_asked_renews_between_eight_and_nine_tenths_of_the_life(seed: int) -> None:
    made, timers = pairs(seed)
    made.add(pair(1), HOUR, now=100.0)
    assert 100.0 + 0.8 * 3_600 < timers.deadline <= 100.0 + 0.9 * 3_600
    assert timers.due(timers.deadline) == [("pair-soft", 1)]
    assert timers.deadline == 3_700.0


def test_who_was_asked_waits_for_the_end() -> None:
    made, timers = pairs()
    made.add(pair(1, initiator=False), HOUR, now=0.0)
    assert timers.deadline == 3_600.0
    assert timers.due(3_600.0) == [("pair-hard", 1)]


def test_no_limit_of_seconds_sets_no_deadline() -> None:
    made, timers = pairs()
    made.add(pair(1), Lifetime(0, 1_000), now=0.0)
    assert timers.due(1e9) == []


def test_the_newest_pair_for_the_same_selectors_is_found() -> None:
    made, _ = pairs()
    other = Selector(ip_network("10.0.0.8/32"))
    for each in (pair(1), pair(2), pair(3, local=other)):
        made.add(each, HOUR, now=0.0)
    assert made.same(HERE, THERE) == 2
    assert made.same(other, THERE) == 3
    assert made.same(THERE, HERE) == 0


def test_a_pair_is_found_by_the_spi_of_either_direction() -> None:
    made, _ = pairs()
    made.add(pair(1), HOUR, now=0.0)
    assert made.by_spi(0x1001) == made.by_spi(0x2001) == pair(1)
    assert made.by_spi(0x3001) is None


def test_a_replaced_pair_lingers_and_is_not_renewed_any_more() -> None:
    made, timers = pairs()
    made.add(pair(1), HOUR, now=0.0)
    made.retire(1, now=50.0)
    assert timers.deadline == 50.0 + LINGER
    assert timers.due(3_000.0) == [("pair-retired", 1)]
    made.retire(77, now=50.0)
    assert not timers.running("pair-retired", 77)


def test_a_dropped_pair_leaves_no_timer() -> None:
    made, timers = pairs()
    made.add(pair(1), HOUR, now=0.0)
    made.retire(1, now=1.0)
    assert made.drop(1) == pair(1)
    assert timers.due(1e9) == []
    assert (len(made), made.get(1), made.drop(1)) == (0, None, None)


def test_pairs_may_be_dropped_while_looked_through() -> None:
    made, _ = pairs()
    for number in (1, 2, 3):
        made.add(pair(number), HOUR, now=0.0)
    for each in made:
        made.drop(each.number)
    assert len(made) == 0


def test_a_worn_pair_is_renewed_at_once_unless_its_successor_carries() -> None:
    made, timers = pairs()
    made.add(pair(1, initiator=False), HOUR, now=0.0)
    made.worn(1, now=10.0)
    assert timers.due(10.0) == [("pair-soft", 1)]
    made.retire(1, now=11.0)
    made.worn(1, now=12.0)
    assert timers.due(12.0) == []


def test_what_is_used_up_fast_is_renewed_so_early_that_the_rest_lasts_for_a_renewal() -> None:
    made, _ = pairs()
    volume = Lifetime(3_600, 1_000_000)  # a gigabyte
    first, hard = made.volumes(pair(1), volume, now=0.0)
    assert 0.8 * hard < first <= 0.9 * hard
    made.add(pair(1), volume, now=0.0)
    made.worn(1, now=first / 100e6)  # at 100 MB a second
    assert made.volumes(pair(2), volume, now=10.0) == (pytest.approx(0.7 * hard, abs=2), hard)
    made.add(pair(2), volume, now=10.0)
    made.worn(2, now=10.5)  # faster than can be provided for: not before its half
    assert made.volumes(pair(3), volume, now=11.0) == (hard // 2, hard)
    made.add(pair(3), volume, now=11.0)
    made.worn(3, now=1_000.0)
    slow, _ = made.volumes(pair(4), volume, now=1_000.0)
    assert 0.8 * hard < slow <= 0.9 * hard


def test_the_responder_asks_late_however_fast_it_goes() -> None:
    made, _ = pairs()
    volume = Lifetime(3_600, 1_000_000)
    soft, hard = made.volumes(pair(1, initiator=False), volume, now=0.0)
    made.add(pair(1, initiator=False), volume, now=0.0)
    made.worn(1, now=0.1)
    assert (soft, hard) == made.volumes(pair(2, initiator=False), volume, now=1.0)


def test_both_ends_delete_the_same_of_two_that_they_asked_for_at_once() -> None:
    """Each knows only which of the two is its own to delete."""
    for one, other in ((0x10, 0x30), (0x30, 0x10)):
        retired: list[int] = []
        for initiator in (True, False):
            made, timers = pairs()
            mine = Pair(1, one, 0x20, HERE, THERE, initiator)
            theirs = Pair(2, 0x40, other, HERE, THERE, not initiator)
            for added in (mine, theirs):
                made.add(added, HOUR, now=0.0)
            carries = made.settle(2, (), now=10.0)
            gone = [number for number in (1, 2) if timers.running("pair-retired", number)]
            assert carries == (3 - gone[0] if gone else 0)
            assert made.settle(2, (), now=11.0) == 0
            retired += gone
        assert len(retired) == 1


def test_one_that_the_peer_has_not_confirmed_or_that_is_for_others_is_no_rival() -> None:
    made, timers = pairs()
    made.add(pair(1), HOUR, now=0.0)
    made.add(pair(2, initiator=False), HOUR, now=0.0)
    made.add(pair(3, initiator=False, local=Selector(ip_network("10.0.0.8/32"))), HOUR, now=0.0)
    assert made.settle(1, (2,), now=1.0) == 0
    assert made.settle(3, (), now=1.0) == 0
    assert not any(timers.running("pair-retired", number) for number in (1, 2, 3))


def test_what_wears_once_its_successor_carries_is_not_renewed_again() -> None:
    made, timers = pairs()
    for number in (1, 2):
        made.add(pair(number, initiator=False), HOUR, now=0.0)
    made.add(pair(3, initiator=False), HOUR, now=4.0)
    made.succeeded(1, 3)
    made.worn(1, now=5.0)
    made.worn(2, now=5.0)
    assert timers.due(5.0) == [("pair-soft", 2)]


@pytest.mark.parametrize("seconds", [CROSSING - 1, CROSSING + 1])
def test_a_successor_that_comes_much_later_was_asked_for_as_one(seconds: float) -> None:
    made, timers = pairs()
    made.add(Pair(1, 0x10, 0x20, HERE, THERE, initiator=True), HOUR, now=0.0)
    made.add(Pair(2, 0x08, 0x40, HERE, THERE, initiator=False), HOUR, now=seconds)
    made.succeeded(1, 2)
    assert made.settle(2, (), now=seconds) == (2 if seconds < CROSSING else 0)
    made.worn(1, now=seconds)
    assert not timers.running("pair-soft", 1) or timers.at("pair-soft", 1) > seconds


def test_one_that_the_peer_should_have_deleted_and_did_not_is_a_rival_again() -> None:
    made, _ = pairs()
    made.add(Pair(1, 0x10, 0x20, HERE, THERE, initiator=True), HOUR, now=0.0)
    made.add(Pair(2, 0x18, 0x40, HERE, THERE, initiator=False), HOUR, now=0.0)
    assert made.settle(2, (), now=1.0) == 0
    made.drop(1)
    for number, now, kept in ((3, 2.0, 0), (4, 20.0, 2)):
        made.add(Pair(number, 0x30 + number, 0x60, HERE, THERE, initiator=True), HOUR, now=now)
        assert made.settle(number, (), now=now) == kept
