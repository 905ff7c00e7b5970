"""Does the gateway still know us: questions, a call, questions in earnest, and what ends them."""

from __future__ import annotations

from math import inf

import pytest

from culvert.client.doubt import BETWEEN, EARNEST, QUESTIONS, QUIET, SLOWEST, Act, Doubt


def in_doubt() -> tuple[Doubt, float]:
    """Packets left, none came, every question stayed unanswered: at the call."""
    doubt = Doubt()
    doubt.carried(heard=False, sent=True, now=0.0)
    assert doubt.tick(QUIET / 2) is None
    now = QUIET
    for _ in range(QUESTIONS):
        assert doubt.tick(now) is Act.ASK
        now = doubt.deadline
    assert doubt.tick(now) is Act.CALL
    return doubt, now


def earnest(doubt: Doubt) -> float:
    """When the connection is replaced, all the questions in earnest having stayed unanswered."""
    for _ in range(EARNEST):
        assert doubt.tick(doubt.deadline) is Act.ASK
    last = doubt.deadline
    assert doubt.tick(last) is Act.REPLACE
    assert doubt.deadline == inf
    return last


def test_who_answers_the_call_but_no_question_has_forgotten_us() -> None:
    doubt, now = in_doubt()
    doubt.called(now + 0.01)
    assert earnest(doubt) - now < 2.0


def test_on_a_slow_line_the_last_answer_is_waited_for_longer() -> None:
    quick, now = in_doubt()
    slow, _ = in_doubt()
    quick.called(now + BETWEEN / 4)
    slow.called(now + 2.0)
    waited = earnest(slow) - (now + 2.0), earnest(quick) - (now + BETWEEN / 4)
    assert waited[0] - waited[1] == pytest.approx(SLOWEST - BETWEEN)


def test_one_packet_ends_every_doubt() -> None:
    doubt, now = in_doubt()
    doubt.called(now)
    doubt.carried(heard=True, sent=True, now=now + 0.1)
    assert (doubt.calling, doubt.found, doubt.deadline) == (False, False, inf)


def test_nobody_answering_the_call_leads_to_another_question() -> None:
    doubt, now = in_doubt()
    doubt.call_failed(now + 1.0)
    assert doubt.tick(now + 1.0 + BETWEEN) in (Act.ASK, Act.CALL)
