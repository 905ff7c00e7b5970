"""Timers: the next deadline, and what is due when."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.timers import Name, Timers

KINDS = ("repeat", "life", "keepalive")
steps = st.lists(
    st.tuples(
        st.sampled_from(("set", "stop", "due")),
        st.sampled_from(KINDS),
        st.integers(0, 2),
        st.integers(0, 50),
    ),
    max_size=60,
)


@given(steps=steps)
def test_timers_do_what_a_plain_list_of_deadlines_does(
    steps: list[tuple[str, str, int, int]],
) -> None:
    timers = Timers()
    model: dict[Name, float] = {}
    for step, kind, number, at in steps:
        match step:
            case "set":
                timers.set(kind, at, number)
                model[kind, number] = at
            case "stop":
                timers.stop(kind, number)
                model.pop((kind, number), None)
            case _:
                come = sorted((when, name) for name, when in model.items() if when <= at)
                assert timers.due(at) == [name for _, name in come]
                for _, name in come:
                    del model[name]
        assert timers.deadline == min(model.values(), default=inf)
        assert timers.running(kind, number) is ((kind, number) in model)


def test_what_is_due_runs_no_more() -> None:
    timers = Timers()
    timers.set("life", 5.0)
    assert timers.due(4.9) == []
    assert timers.due(5.0) == [("life", 0)]
    assert timers.due(5.0) == []
    assert timers.deadline == inf


def test_all_stop_at_once() -> None:
    timers = Timers()
    timers.set("life", 5.0)
    timers.set("repeat", 1.0, 7)
    timers.stop_all()
    assert timers.deadline == inf
    assert timers.due(99.0) == []
