"""SPIs: never reserved, never twice at a time."""

from __future__ import annotations

from collections import Counter

import pytest

from culvert.ike.phase1 import new_cookie
from culvert.ike.spis import RESERVED, Spis
from culvert.inet.lane import LANES, MOST_WORKERS, Share, lane_of
from culvert.rng import SeededRandom


class Drawn:
    """Chance that says what it is told to."""

    def __init__(self, *values: int) -> None:
        self._values = list(values)

    def octets(self, count: int) -> bytes:
        return self._values.pop(0).to_bytes(count, "big")


def test_reserved_ones_are_drawn_again() -> None:
    drawn = Drawn(0, 1, RESERVED - 1, RESERVED)
    assert Spis().draw(drawn) == RESERVED + 1


def test_one_in_use_is_not_drawn_again_until_it_is_released() -> None:
    spis, drawn = Spis(), Drawn(0x1000, 0x1000, 0x2000, 0x1000)
    assert [spis.draw(drawn, 0x503), spis.draw(drawn, 0x503)] == [0x1003, 0x2003]
    assert len(spis) == 2
    spis.release(0x1003)
    assert spis.draw(drawn, 0x503) == 0x1003


def test_sessions_take_lanes_in_turn_and_keep_theirs() -> None:
    spis, rng = Spis(), SeededRandom(2)
    first = [spis.draw(rng) for _ in range(2 * LANES)]
    assert Counter(map(lane_of, first)) == dict.fromkeys(range(1, 1 + LANES), 2)
    assert [lane_of(spis.draw(rng, one)) for one in first] == [lane_of(one) for one in first]


@pytest.mark.parametrize("workers", range(2, 1 + MOST_WORKERS))
def test_every_worker_draws_spis_and_cookies_of_its_own_share(workers: int) -> None:
    rng = SeededRandom(3)
    shares = [Share(worker, workers) for worker in range(workers)]
    for share in shares:
        spis = Spis(share)
        drawn = [spis.draw(rng) for _ in range(2 * LANES)]
        drawn += [spis.draw(rng, one) for one in drawn]
        assert {lane_of(one) for one in drawn} == set(range(1, 1 + LANES))
        for spi in drawn:
            assert [one for one in shares if one.has_spi(spi)] == [share]
        cookie = new_cookie(rng, share)
        assert [one for one in shares if one.has_cookie(cookie)] == [share]


def test_releasing_what_is_not_in_use_changes_nothing() -> None:
    spis = Spis()
    spis.release(0x1234)
    assert len(spis) == 0
