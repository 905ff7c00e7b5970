"""Repeats: when they go, when patience is over; and answers given again, but not too often."""

from __future__ import annotations

from itertools import pairwise

import pytest

from culvert.ike.retransmit import (
    FIRST_WAIT,
    LONGEST_WAIT,
    REMEMBERED,
    REPEAT_AFTER,
    Answers,
    Repeat,
)


def schedule(patience: float) -> list[float]:
    """When one unanswered message goes out, the first time included, and when it is given up."""
    repeat = Repeat(b"message", gives_up=patience, began=0.0)
    times, now = [0.0], FIRST_WAIT
    while (due := repeat.next(now)) is not None:
        times.append(now)
        now = due
    assert repeat.attempts == len(times)
    return [*times, now]


def test_the_schedule_grows_and_ends_with_patience() -> None:
    wanted = [0.0, 1.0, 2.8, 6.04, 11.872, 21.872, 30.0]
    assert schedule(30.0) == pytest.approx(wanted)


def test_repeats_are_never_further_apart_than_the_longest_wait() -> None:
    times = schedule(120.0)
    waits = [later - earlier for earlier, later in pairwise(times)]
    assert max(waits) == pytest.approx(LONGEST_WAIT)
    assert times[-1] == 120.0


def test_patience_shorter_than_the_first_wait_repeats_nothing() -> None:
    repeat = Repeat(b"message", gives_up=0.5, began=0.0)
    assert repeat.next(FIRST_WAIT) is None
    assert repeat.attempts == 1


def answers() -> Answers:
    made = Answers()
    made.keep(b"question", b"answer", now=0.0)
    return made


def test_a_repeat_gets_the_same_answer_again() -> None:
    one = answers()
    assert one.known(b"question")
    assert one.again(b"question", now=1.0) == b"answer"


def test_an_answer_is_given_at_most_once_in_a_while() -> None:
    one = answers()
    given = [now / 100 for now in range(300) if one.again(b"question", now=now / 100)]
    assert given[0] == REPEAT_AFTER
    assert len(given) == 7
    assert one.again(b"question", now=given[-1] + REPEAT_AFTER / 2) is None


def test_a_question_of_another_octet_is_another_question() -> None:
    one = answers()
    assert not one.known(b"Question")
    assert one.again(b"Question", now=9.0) is None


def test_a_question_without_an_answer_is_known_but_not_answered_until_it_has_one() -> None:
    one = Answers()
    one.keep(b"question", None, now=0.0)
    assert one.known(b"question")
    assert one.again(b"question", now=9.0) is None
    one.amend(b"question", b"late")
    assert one.again(b"question", now=9.0) == b"late"


def test_an_answer_to_a_question_that_is_forgotten_is_no_answer() -> None:
    one = Answers()
    one.amend(b"question", b"answer")
    assert not one.known(b"question")


def test_as_many_answers_are_kept_as_stands_written_oldest_out_first() -> None:
    one = Answers()
    questions = [bytes([number]) for number in range(REMEMBERED + 1)]
    for question in questions:
        one.keep(question, question, now=0.0)
    assert [one.known(question) for question in questions] == [False] + [True] * REMEMBERED
    one.keep(questions[1], b"again", now=0.0)  # the newest now
    one.keep(b"more", b"more", now=0.0)
    assert one.known(questions[1])
    assert not one.known(questions[2])
