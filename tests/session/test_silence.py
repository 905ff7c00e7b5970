"""A tunnel that brings nothing back (S4-30, S4-31)."""

from __future__ import annotations

from math import inf

from culvert.session.session import Counters
from culvert.session.silence import ENOUGH, PATIENCE, Silence


def watch(*, untraversed: bool = False, encapsulated: bool = False) -> Silence:
    return Silence(untraversed=untraversed, encapsulated=encapsulated, now=100.0)


def gone(silence: Silence, count: int, now: float, *, back: int = 0) -> None:
    silence.counted(Counters(packets_out=count, packets_in=back), now=now)


def test_a_nat_without_traversal_is_a_problem_before_anything_was_sent() -> None:
    problem = watch(untraversed=True).problem
    assert problem is not None
    assert problem.id == "ike.natt-missing"
    assert "UDP 4500" in problem.action


def test_behind_a_nat_waiting_is_enough_and_the_counts_are_told() -> None:
    silence = watch(untraversed=True)
    assert silence.deadline == 100.0 + PATIENCE < 130.0
    gone(silence, 13, 101.0)
    assert silence.tick(now=110.0) is None
    told = silence.tick(now=120.0)
    assert told is not None
    assert dict(told.fields) == {"packets_out": 13, "packets_in": 0}
    assert silence.problem is not None
    assert silence.problem.id == "data.no-natt"
    assert "13 packets went out, 0 came back" in silence.problem.sentence
    assert silence.deadline == inf
    assert silence.tick(now=200.0) is None


def test_elsewhere_packets_must_have_gone_out() -> None:
    silence = watch()
    assert (silence.problem, silence.deadline) == (None, inf)
    gone(silence, ENOUGH - 1, 101.0)
    assert silence.deadline == inf
    gone(silence, ENOUGH, 105.0)
    gone(silence, ENOUGH + 5, 109.0)
    assert silence.deadline == 105.0 + PATIENCE
    assert silence.tick(now=silence.deadline) is not None
    assert silence.problem is not None
    assert silence.problem.id == "data.esp-blocked"
    gone(silence, ENOUGH + 9, 130.0)
    assert silence.deadline == inf  # told once


def test_in_udp_the_way_is_not_to_blame() -> None:
    silence = watch(encapsulated=True)
    gone(silence, ENOUGH, 101.0)
    silence.tick(now=150.0)
    assert silence.problem is not None
    assert silence.problem.id == "data.one-way"


def test_one_packet_of_the_peers_ends_the_matter() -> None:
    for untraversed in (False, True):
        silence = watch(untraversed=untraversed)
        gone(silence, ENOUGH, 101.0)
        silence.tick(now=150.0)
        gone(silence, ENOUGH, 151.0, back=1)
        assert silence.problem is None
        gone(silence, 1000, 152.0, back=1)
        assert (silence.deadline, silence.tick(now=1e6)) == (inf, None)
