"""Rations: so many at once, then at a rate, and each address has its own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.policy.ration import MOST_ADDRESSES, Ration


def test_a_burst_is_granted_and_then_one_at_a_time() -> None:
    ration = Ration(burst=3, rate=0.5)
    assert [ration.take("a", now=0.0) for _ in range(5)] == [True, True, True, False, False]
    assert [ration.take("a", now=at) for at in (1.0, 2.0, 2.1, 4.0)] == [False, True, False, True]


def test_an_address_takes_nothing_from_another() -> None:
    ration = Ration(burst=1, rate=0.1)
    assert ration.take("a", now=0.0)
    assert not ration.take("a", now=0.0)
    assert ration.take("b", now=0.0)


@given(st.lists(st.floats(0.0, 2.0), max_size=200))
def test_never_more_than_burst_and_rate_allow(pauses: list[float]) -> None:
    ration = Ration(burst=4, rate=2.0)
    now, granted = 0.0, 0
    for pause in pauses:
        now += pause
        granted += ration.take("a", now=now)
        assert granted <= 4 + 2.0 * now


def test_forged_addresses_do_not_pile_up() -> None:
    ration = Ration(burst=1, rate=0.001)
    for number in range(MOST_ADDRESSES * 2):
        ration.take(str(number), now=0.0)
    assert len(ration) == MOST_ADDRESSES
