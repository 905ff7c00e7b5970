"""The anti-replay window against a model that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.esp.replay import WINDOW, ReplayWindow

NUMBERS = st.lists(
    st.one_of(
        st.integers(0, 40),
        st.integers(2**32 - 30, 2**32 - 1),
        st.integers(WINDOW - 3, WINDOW + 3),
    ),
    max_size=200,
)


@given(numbers=NUMBERS, size=st.sampled_from([1, 8, 64, WINDOW]))
def test_a_number_is_accepted_once_and_only_while_it_is_in_the_window(
    numbers: list[int], size: int
) -> None:
    window = ReplayWindow(size)
    accepted: set[int] = set()
    for number in numbers:
        highest = max(accepted, default=0)
        wanted = number > 0 and number not in accepted and number > highest - size
        assert window.fresh(number) == wanted
        if wanted:
            window.advance(number)
            accepted.add(number)
    assert window.highest == max(accepted, default=0)


def test_asking_is_not_accepting() -> None:
    window = ReplayWindow()
    assert window.fresh(7)
    assert window.fresh(7)


def test_a_jump_past_the_whole_window_forgets_what_was_below_it() -> None:
    window = ReplayWindow(8)
    for number in (1, 2, 30):
        window.advance(number)
    assert [number for number in range(31) if window.fresh(number)] == list(range(23, 30))


def test_the_window_holds_at_least_a_thousand_numbers() -> None:
    window = ReplayWindow()
    window.advance(2000)
    assert window.fresh(2000 - 1023)
    assert not window.fresh(2000 - 1024)
