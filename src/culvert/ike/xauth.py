"""Extended authentication (draft-ietf-ipsec-isakmp-xauth-06), both sides.

The side that asks:

    asking ── reply ──> checking ── accepted ──> telling(ok) ── ack ──> over(accepted)
      ^                    │  │
      └──── prompt ────────┘  └──── rejected ──> telling(fail) ── ack ──> over(rejected)

How many tries a person has is not decided here but by whoever gives the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from culvert.errors import UnexpectedMessage
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

OK, FAIL = 1, 0
GENERIC = 0

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


# --- the side that asks ------------------------------------------------------------------------


def request(identifier: int, prompt: str = "") -> ConfigMessage:
    """Ask for name and password, showing ``prompt`` if there is one."""
    wanted = [Attribute.octets(XAUTH_USER_NAME, b""), Attribute.octets(XAUTH_USER_PASSWORD, b"")]
    if prompt:
        wanted.insert(0, Attribute.octets(XAUTH_MESSAGE, prompt.encode()))
    return ConfigMessage(REQUEST, identifier, tuple(wanted))


def status(identifier: int, passed: bool) -> ConfigMessage:
    return ConfigMessage(SET, identifier, (Attribute.of(XAUTH_STATUS, OK if passed else FAIL),))


@dataclass(frozen=True, slots=True)
class Reply:
    """What a person typed. ``refused``: the client gave up (STATUS=FAIL in its reply)."""

    user: str
    password: Secret
    refused: bool


def read_reply(message: ConfigMessage) -> Reply:
    """Raises UnexpectedMessage if it is none. One trailing NUL goes (Android sends it)."""
    if message.kind != REPLY:
        raise UnexpectedMessage(f"XAUTH message of type {message.kind} where a reply is due")
    given = {a.kind: a.value for a in message.attributes}
    if XAUTH_STATUS in given:
        return Reply("", Secret(""), refused=True)
    user = _text(given.get(XAUTH_USER_NAME, b""))
    if len(user) > LONGEST_USER_NAME:
        raise UnexpectedMessage(f"a user name of {len(user)} characters")
    return Reply(user, Secret(_text(given.get(XAUTH_USER_PASSWORD, b""))), refused=False)


# --- the side that answers ---------------------------------------------------------------------


def wants(message: ConfigMessage) -> tuple[tuple[str, ...], str]:
    """What a request asks for, by our names, and the text to show.

    A two-character text arrives in short form (vpnc.c); `Attribute.value` serves both.
    """
    asked = tuple(WANTS[a.kind] for a in message.attributes if a.kind in WANTS)
    shown = message.value(XAUTH_MESSAGE)
    return asked, _text(shown.value) if shown else ""


def reply(message: ConfigMessage, values: Mapping[str, Secret] | None) -> ConfigMessage:
    """The answer to ``message``: what it asked for and nothing else; None gives up."""
    if values is None:
        failed = (Attribute.of(XAUTH_STATUS, FAIL),)
        return ConfigMessage(REPLY, message.identifier, failed)
    made: list[Attribute] = []
    for attribute in message.attributes:
        if attribute.kind == XAUTH_TYPE:
            made.append(Attribute.of(XAUTH_TYPE, GENERIC))
        elif (name := WANTS.get(attribute.kind)) and name in values:
            made.append(Attribute.octets(attribute.kind, values[name].octets()))
    return ConfigMessage(REPLY, message.identifier, tuple(made))


def kind_supported(message: ConfigMessage) -> bool:
    """Only the generic type is answered; CHAP and one-time passwords come later."""
    asked = message.value(XAUTH_TYPE)
    return asked is None or asked.number == GENERIC


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
