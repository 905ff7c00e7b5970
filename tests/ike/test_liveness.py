"""Dead peer detection (RFC 3706): when it asks, and when it gives up."""

from __future__ import annotations

from math import inf

from culvert.ike.liveness import DOUBT, Dead, Liveness, Question


def liveness(delay: float = 30.0) -> Liveness:
    return Liveness(delay=delay, retry=5.0, tries=3, sequence=7, now=0.0)


def asked(one: Liveness) -> list[tuple[float, int]]:
    """When it asks which question until it gives up, hearing nothing any more."""
    found: list[tuple[float, int]] = []
    while True:
        now = one.deadline
        match one.tick(now):
            case Question(sequence=sequence):
                found.append((now, sequence))
            case Dead() | None:
                return found


def test_silence_is_asked_about_after_the_delay_and_repeats_keep_the_number() -> None:
    one = liveness()
    assert asked(one) == [(30.0, 8), (35.0, 8), (40.0, 8)]
    assert one.deadline == inf


def test_a_stream_that_stops_is_asked_about_at_once_without_dying_sooner() -> None:
    one = liveness()
    one.heard(100.0, streaming=True)
    questions = asked(one)
    assert questions[0] == (100.0 + DOUBT, 8)
    assert questions[1:] == [(130.0, 9), (135.0, 9), (140.0, 9)]


def test_the_early_question_can_be_answered_and_then_all_is_quiet_for_the_delay() -> None:
    one = liveness()
    one.heard(100.0, streaming=True)
    assert one.tick(103.0) == Question(8)
    assert one.answered(8, 103.5) == 0.5
    assert one.deadline == 133.5


def test_single_packets_raise_no_doubt() -> None:
    one = liveness()
    one.heard(100.0)
    assert one.deadline == 130.0


def test_a_delay_shorter_than_the_doubt_stays_what_it_is() -> None:
    one = liveness(delay=2.0)
    one.heard(100.0, streaming=True)
    assert asked(one) == [(102.0, 8), (107.0, 8), (112.0, 8)]


def test_with_asking_switched_off_there_is_no_doubt_either() -> None:
    one = liveness(delay=0.0)
    one.heard(100.0, streaming=True)
    assert one.deadline == inf


def test_an_answer_to_nothing_asked_counts_for_nothing() -> None:
    one = liveness()
    assert one.answered(7, 1.0) is None
    assert one.tick(30.0) == Question(8)
    assert one.answered(9, 31.0) is None
    assert one.answered(8, 31.0) == 1.0
    assert one.answered(8, 31.0) is None


def test_every_new_question_has_the_next_number() -> None:
    """RFC 3706 §6.2: one more for each new question, the same for its repeats."""
    one = liveness()
    numbers: list[int] = []
    for turn in range(3):
        question = one.tick(30.0 * (turn + 1))
        assert isinstance(question, Question)
        numbers.append(question.sequence)
        one.answered(question.sequence, 30.0 * (turn + 1))
    assert numbers == [8, 9, 10]


def test_numbers_keep_their_top_bit_clear() -> None:
    one = Liveness(delay=1.0, retry=1.0, tries=1, sequence=0xFFFFFFFF, now=0.0)
    assert one.tick(1.0) == Question(0)


def test_the_dead_are_told_apart_by_silence_and_questions() -> None:
    one = liveness()
    one.heard(10.0)
    for now in (40.0, 45.0, 50.0):
        assert isinstance(one.tick(now), Question)
    assert one.tick(55.0) == Dead(45.0, 3)
    assert one.tick(99.0) is None


def test_anything_heard_while_asking_is_life() -> None:
    one = liveness()
    assert one.tick(30.0) == Question(8)
    one.heard(31.0)
    assert one.deadline == 61.0
    assert one.tick(61.0) == Question(9)


def test_questions_of_the_peer_are_answered_once_new_or_repeated_never_old() -> None:
    one = liveness()
    taken = [one.questioned(number) for number in (100, 101, 101, 105, 104, 100, 105, 106)]
    assert taken == [True, True, True, True, False, False, True, True]


def test_numbers_of_the_peer_may_wrap() -> None:
    one = liveness()
    assert one.questioned(0xFFFFFFFF)
    assert one.questioned(0)
    assert not one.questioned(0xFFFFFFFF)


def test_with_asking_switched_off_questions_are_still_judged() -> None:
    one = liveness(delay=0.0)
    assert one.tick(1e9) is None
    assert one.questioned(5)
    assert not one.questioned(4)


def test_questions_to_many_peers_wait_for_the_same_moment() -> None:
    def silent_since(now: float) -> Liveness:
        return Liveness(delay=30.0, retry=5.0, tries=3, sequence=7, now=now, grain=1.0)

    peers = [silent_since(now) for now in (100.01, 100.5, 101.0)]
    assert {peer.deadline for peer in peers} == {131.0}
    first = peers[0]
    assert asked(first)[:2] == [(131.0, 8), (136.0, 8)]
    first.heard(136.3)
    assert first.deadline == 167.0


def test_a_number_asked_twice_in_a_row_is_not_new() -> None:
    one = liveness()
    assert one.asks_anew(5)
    assert one.questioned(5)
    assert not one.asks_anew(5)
    assert one.asks_anew(6)
