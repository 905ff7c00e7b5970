"""XAUTH messages of both sides."""

from __future__ import annotations

from hashlib import md5

import pytest

from culvert.errors import UnexpectedMessage
from culvert.ike import xauth
from culvert.ike.question import Question
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import (
    ACK,
    REPLY,
    REQUEST,
    SET,
    XAUTH_ANSWER,
    XAUTH_DOMAIN,
    XAUTH_MESSAGE,
    XAUTH_NEXT_PIN,
    XAUTH_PASSCODE,
    XAUTH_STATUS,
    XAUTH_TYPE,
    XAUTH_USER_NAME,
    XAUTH_USER_PASSWORD,
    ConfigMessage,
)
from culvert.secret import Secret


def wired(message: ConfigMessage) -> ConfigMessage:
    return ConfigMessage.parse(message.part())


def empty(*kinds: int) -> tuple[Attribute, ...]:
    return tuple(Attribute.octets(kind, b"") for kind in kinds)


def replied(user: bytes, password: bytes) -> xauth.Reply:
    given = (
        Attribute.octets(XAUTH_USER_NAME, user),
        Attribute.octets(XAUTH_USER_PASSWORD, password),
    )
    return xauth.read_reply(wired(ConfigMessage(REPLY, 7, given)))


VALUES = {"user": Secret("alice"), "password": Secret("pässword")}


def test_a_question_and_its_answer() -> None:
    asked = wired(xauth.request(7, Question(message="Second try")))
    assert xauth.question_of(asked) == Question(message="Second try")
    found = xauth.read_reply(wired(xauth.reply(asked, VALUES)))
    assert (found.user, found.password, found.refused) == ("alice", Secret("pässword"), False)


def test_a_question_without_a_prompt_has_no_message() -> None:
    asked = wired(xauth.request(0))
    assert [a.kind for a in asked.attributes] == [XAUTH_USER_NAME, XAUTH_USER_PASSWORD]
    assert xauth.question_of(asked) == Question()


def test_one_trailing_nul_goes_and_no_more() -> None:
    """Android sends it."""
    assert replied(b"alice\x00", b"secret\x00").user == "alice"
    assert replied(b"alice\x00", b"secret\x00").password == Secret("secret")
    assert replied(b"alice\x00\x00", b"a\x00b").user == "alice\x00"
    assert replied(b"alice", b"a\x00b").password == Secret("a\x00b")


def test_two_characters_in_short_form_are_text() -> None:
    """vpnc writes and reads two octets in short form."""
    short = Attribute(XAUTH_MESSAGE, b"Hi", short=True)
    asked = xauth.question_of(wired(ConfigMessage(REQUEST, 0, (short,))))
    assert asked == Question((), "Hi")
    user = Attribute(XAUTH_USER_NAME, b"al", short=True)
    assert xauth.read_reply(wired(ConfigMessage(REPLY, 0, (user,)))).user == "al"


def test_a_client_may_give_up() -> None:
    given_up = xauth.reply(xauth.request(9), None)
    assert given_up.identifier == 9
    found = xauth.read_reply(wired(given_up))
    assert found.refused
    assert not found.password


def test_a_client_answers_what_was_asked_and_nothing_else() -> None:
    asked = ConfigMessage(
        REQUEST, 3, empty(XAUTH_TYPE, XAUTH_USER_NAME, XAUTH_PASSCODE, XAUTH_NEXT_PIN)
    )
    answer = wired(xauth.reply(asked, {**VALUES, "passcode": Secret("123")}))
    assert (answer.kind, answer.identifier) == (REPLY, 3)
    assert [(a.kind, a.value) for a in answer.attributes] == [
        (XAUTH_TYPE, b"\x00\x00"),
        (XAUTH_USER_NAME, b"alice"),
        (XAUTH_PASSCODE, b"123"),
    ]


def test_the_type_is_echoed_only_where_it_was_asked() -> None:
    answer = xauth.reply(xauth.request(0), VALUES)
    assert XAUTH_TYPE not in [a.kind for a in answer.attributes]


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (XAUTH_USER_NAME, "user"),
        (XAUTH_USER_PASSWORD, "password"),
        (XAUTH_PASSCODE, "passcode"),
        (XAUTH_NEXT_PIN, "next-pin"),
        (XAUTH_ANSWER, "answer"),
        (XAUTH_DOMAIN, "domain"),
    ],
)
def test_everything_a_gateway_may_want_has_a_name(kind: int, name: str) -> None:
    assert xauth.question_of(ConfigMessage(REQUEST, 0, empty(kind))) == Question((name,))


@pytest.mark.parametrize(("kind", "challenge"), [(0, b""), (1, b"16 octets"), (2, b""), (3, b"")])
def test_every_kind_of_the_draft_is_read_back_and_answered(kind: int, challenge: bytes) -> None:
    question = Question(("user", "passcode"), "Hello", kind, challenge)
    asked = wired(xauth.request(0, question))
    assert xauth.question_of(asked) == question
    assert xauth.kind_supported(asked)


@pytest.mark.parametrize("question", [Question(kind=4), Question(kind=1)])
def test_other_kinds_and_a_chap_without_challenge_are_not(question: Question) -> None:
    assert not xauth.kind_supported(xauth.request(0, question))


def test_a_chap_response_is_that_of_rfc_1994() -> None:
    question = Question(kind=1, challenge=b"challenge")
    answer = wired(xauth.reply(xauth.request(0, question), VALUES, b"\x07"))
    found = xauth.read_reply(answer, question)
    assert found.response == b"\x07" + md5(b"\x07" + "pässword".encode() + b"challenge").digest()
    assert not found.password


@pytest.mark.parametrize("kind", [REQUEST, SET, ACK, 9])
def test_only_a_reply_is_a_reply(kind: int) -> None:
    with pytest.raises(UnexpectedMessage, match=f"type {kind} where a reply is due"):
        xauth.read_reply(ConfigMessage(kind, 0, empty(XAUTH_USER_NAME)))


def test_a_user_name_has_a_limit() -> None:
    assert len(replied(b"a" * xauth.LONGEST_USER_NAME, b"").user) == 255
    with pytest.raises(UnexpectedMessage, match="user name of 256 characters"):
        replied(b"a" * 256, b"")


def test_a_reply_without_values_is_nobody() -> None:
    found = xauth.read_reply(ConfigMessage(REPLY, 0, ()))
    assert (found.user, found.password, found.refused) == ("", Secret(""), False)


def test_octets_that_are_no_text_are_read_all_the_same() -> None:
    assert replied(b"caf\xe9", b"").user == "caf\ufffd"


def test_a_status_says_passed_or_not_or_nothing() -> None:
    assert xauth.passed(wired(xauth.status(0, True))) is True
    assert xauth.passed(wired(xauth.status(0, False))) is False
    assert xauth.passed(ConfigMessage(SET, 0, ())) is None


def test_an_acknowledgement_empties_what_it_acknowledges() -> None:
    answer = wired(xauth.acknowledge(xauth.status(5, True)))
    assert (answer.kind, answer.identifier) == (ACK, 5)
    assert [(a.kind, a.value) for a in answer.attributes] == [(XAUTH_STATUS, b"")]
