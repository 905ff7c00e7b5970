"""The budget for strangers, and the filter that knows who called before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.strangers import CELLS, GENERATION, Strangers
from culvert.rng import SeededRandom

RATE, BURST = 1000, 8000


def strangers() -> Strangers:
    return Strangers(SeededRandom(1), rate=RATE, burst=BURST)


def cookie(number: int) -> bytes:
    return number.to_bytes(8, "big")


@given(
    st.lists(
        st.tuples(st.floats(0.0, 20.0), st.integers(1, 3000)),
        max_size=40,
    )
)
def test_no_span_of_time_has_more_than_the_burst_and_its_share(
    wanted: list[tuple[float, int]],
) -> None:
    budget, now = strangers(), 100.0
    paid: list[tuple[float, int]] = []
    for pause, octets in wanted:
        now += pause
        if budget.pay(octets, now=now):
            paid.append((now, octets))
    for index, (began, _) in enumerate(paid):
        total = 0
        for at, octets in paid[index:]:
            total += octets
            assert total <= BURST + RATE * (at - began) + 1e-6
    assert budget.sent == sum(octets for _, octets in paid)
    assert budget.held == len(wanted) - len(paid)


def test_time_that_goes_back_gives_nothing() -> None:
    budget = strangers()
    assert budget.pay(BURST, now=100.0)
    assert not budget.room(1, now=50.0)
    assert not budget.room(1, now=100.0)
    assert budget.room(RATE, now=101.0)


def test_a_call_is_known_when_it_comes_again_and_forgotten_after_a_while() -> None:
    known = strangers()
    assert not known.called_before(cookie(1), "192.0.2.1", now=100.0)
    assert known.called_before(cookie(1), "192.0.2.1", now=101.0)
    assert known.called_before(cookie(1), "192.0.2.1", now=100.0 + GENERATION)
    assert not known.called_before(cookie(1), "192.0.2.1", now=100.0 + 3 * GENERATION)


def test_another_cookie_or_another_host_is_another_call() -> None:
    known = strangers()
    assert not known.called_before(cookie(1), "192.0.2.1", now=100.0)
    assert not known.called_before(cookie(2), "192.0.2.1", now=101.0)
    assert not known.called_before(cookie(1), "192.0.2.2", now=101.0)
    assert known.waved_off == 3


def test_few_of_many_forged_calls_pass_for_second_ones_and_memory_stays_the_same() -> None:
    known = strangers()
    count = 50_000
    passed = sum(known.called_before(cookie(n), "192.0.2.1", now=100.0) for n in range(count))
    assert passed < count / 1000
    sizes = {len(one.cells) for one in (known._young, known._old)}
    assert sizes <= {0, CELLS // 8}
    for later in range(1, 6):
        known.called_before(cookie(1), "192.0.2.1", now=100.0 + later * GENERATION)
    assert {len(one.cells) for one in (known._young, known._old)} <= {0, CELLS // 8}
