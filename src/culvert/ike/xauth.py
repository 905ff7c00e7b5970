"""Extended authentication (draft-ietf-ipsec-isakmp-xauth-06), both sides.

The side that asks:

    asking ── reply ──> checking ── accepted ──> telling(ok) ── ack ──> over(accepted)
      ^                    │  │
      └──── prompt ────────┘  └──── rejected ──> telling(fail) ── ack ──> over(rejected)

How many tries a person has is not decided here but by whoever gives the verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from culvert.errors import UnexpectedMessage
from culvert.ike.question import FIRST, GENERIC, KINDS, RADIUS_CHAP, Question
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import (
    ACK,
    REPLY,
    REQUEST,
    SET,
    XAUTH_ANSWER,
    XAUTH_CHALLENGE,
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

OK, FAIL = 1, 0

LONGEST_USER_NAME = 255  # longer ones are no user's; they would only fill logs

# What a gateway may ask for, and what we call it.
WANTS = {
    XAUTH_USER_NAME: "user",
    XAUTH_USER_PASSWORD: "password",
    XAUTH_PASSCODE: "passcode",
    XAUTH_NEXT_PIN: "next-pin",
    XAUTH_ANSWER: "answer",
    XAUTH_DOMAIN: "domain",
}


ASKED_AS = {name: kind for kind, name in WANTS.items()}


# --- the side that asks ------------------------------------------------------------------------


def request(identifier: int, question: Question = FIRST) -> ConfigMessage:
    """The first one to a person is without a type, as most gateways send it."""
    made: list[Attribute] = []
    if question.kind != GENERIC:
        made.append(Attribute.of(XAUTH_TYPE, question.kind))
    if question.message:
        made.append(Attribute.octets(XAUTH_MESSAGE, question.message.encode()))
    if question.challenge:
        made.append(Attribute.octets(XAUTH_CHALLENGE, question.challenge))
    made += [Attribute.octets(ASKED_AS[want], b"") for want in question.wants]
    return ConfigMessage(REQUEST, identifier, tuple(made))


def status(identifier: int, passed: bool) -> ConfigMessage:
    return ConfigMessage(SET, identifier, (Attribute.of(XAUTH_STATUS, OK if passed else FAIL),))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person typed. ``refused``: the client gave up (STATUS=FAIL in its reply)."""

    user: str
    password: Secret
    refused: bool
    answers: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    response: bytes = b""


def read_reply(message: ConfigMessage, question: Question = FIRST) -> Reply:
    """Raises UnexpectedMessage if it is none. One trailing NUL goes (Android sends it)."""
    if message.kind != REPLY:
        raise UnexpectedMessage(f"XAUTH message of type {message.kind} where a reply is due")
    given = {a.kind: a.value for a in message.attributes}
    if XAUTH_STATUS in given:
        return Reply("", Secret(""), refused=True)
    user = _text(given.get(XAUTH_USER_NAME, b""))
    if len(user) > LONGEST_USER_NAME:
        raise UnexpectedMessage(f"a user name of {len(user)} characters")
    password = given.pop(XAUTH_USER_PASSWORD, b"")
    answers = {
        name: Secret(_text(given[kind]))
        for kind, name in WANTS.items()
        if kind in given and kind != XAUTH_USER_NAME
    }
    if question.kind == RADIUS_CHAP:
        return Reply(user, Secret(""), refused=False, answers=answers, response=password)
    return Reply(user, Secret(_text(password)), refused=False, answers=answers)


# --- the side that answers ---------------------------------------------------------------------


def question_of(message: ConfigMessage) -> Question:
    """What a request asks for.

    A two-character text arrives in short form (vpnc.c); `Attribute.value` serves both.
    """
    asked = tuple(dict.fromkeys(WANTS[a.kind] for a in message.attributes if a.kind in WANTS))
    shown, dared = message.value(XAUTH_MESSAGE), message.value(XAUTH_CHALLENGE)
    kind = message.value(XAUTH_TYPE)
    return Question(
        asked,
        _text(shown.value) if shown else "",
        kind.number if kind else GENERIC,
        dared.value if dared else b"",
    )


def reply(
    message: ConfigMessage, values: Mapping[str, Secret] | None, identifier: bytes = b"\x00"
) -> ConfigMessage:
    """The answer to ``message``: what it asked for and nothing else; None gives up.

    ``identifier``: the octet of chance in a RADIUS-CHAP response.
    """
    question = question_of(message)
    if values is None:
        failed = (Attribute.of(XAUTH_STATUS, FAIL),)
        return ConfigMessage(REPLY, message.identifier, failed)
    made: list[Attribute] = []
    for attribute in message.attributes:
        if attribute.kind == XAUTH_TYPE:
            made.append(Attribute.of(XAUTH_TYPE, question.kind))
        elif attribute.kind == XAUTH_USER_PASSWORD and question.kind == RADIUS_CHAP:
            secret = values.get("password", Secret("")).octets()
            response = chap_response(identifier, secret, question.challenge)
            made.append(Attribute.octets(attribute.kind, response))
        elif (name := WANTS.get(attribute.kind)) and name in values:
            made.append(Attribute.octets(attribute.kind, values[name].octets()))
    return ConfigMessage(REPLY, message.identifier, tuple(made))


def chap_response(identifier: bytes, password: bytes, challenge: bytes) -> bytes:
    """RFC 1994 §4.1. (xauth-06 App. A names another order; RADIUS servers check this one.)"""
    hashed = hashlib.md5(identifier + password + challenge, usedforsecurity=False)
    return identifier + hashed.digest()


def kind_supported(message: ConfigMessage) -> bool:
    """Whether the question is of a kind that exists; a CHAP without challenge proves nothing."""
    question = question_of(message)
    if question.kind == RADIUS_CHAP and not question.challenge:
        return False
    return question.kind in KINDS


def passed(message: ConfigMessage) -> bool | None:
    """What a SET says, or None if it says nothing of the person."""
    told = message.value(XAUTH_STATUS)
    return None if told is None else told.number == OK


def acknowledge(message: ConfigMessage) -> ConfigMessage:
    """ACK with every attribute emptied (mode-cfg-05 §2.4)."""
    emptied = tuple([Attribute.octets(a.kind, b"") for a in message.attributes])
    return ConfigMessage(ACK, message.identifier, emptied)


def _text(value: bytes) -> str:
    return value.removesuffix(b"\x00").decode("utf-8", "replace")
