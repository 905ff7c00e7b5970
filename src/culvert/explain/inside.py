"""What opened messages of a capture say, a phrase each: XAUTH, Mode Config, quick mode, notifies.

Passwords and other answers of a person are not among it.
"""

from __future__ import annotations

from collections.abc import Iterator

from culvert.errors import ProtocolError
from culvert.ike.dialogue import readable
from culvert.ike.wire.config import (
    ACK,
    REPLY,
    REQUEST,
    SET,
    XAUTH_MESSAGE,
    XAUTH_STATUS,
    XAUTH_TYPE,
    XAUTH_USER_NAME,
    ConfigMessage,
)
from culvert.ike.wire.header import INFORMATIONAL, QUICK, TRANSACTION, Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import R_U_THERE, R_U_THERE_ACK, Delete, Notify
from culvert.ike.wire.payload import ATTRIBUTES, DELETE, ID, NOTIFY, SA, Chain, Part, of_kind, one
from culvert.ike.wire.proposal import PROTO_ISAKMP, SecurityAssociation, Transform
from culvert.ike.wire.reason import DELETE_WITH_REASON, Reason
from culvert.ike.xauth import OK
from culvert.tables.algorithms import ESP_CIPHERS, GROUPS, INTEGRITIES
from culvert.tables.numbers import attribute_name, notify_name

GROUP, INTEGRITY, KEY_LENGTH = 3, 5, 6
STATUS_FROM = 16384  # RFC 2408 §3.14.1: below are errors
SHOWN_OFFERS = 8
LONGEST = 200
ENDS = {"I": "initiator", "R": "responder"}


def said(header: Header, chain: Chain, side: str) -> Iterator[str]:
    """Phrases about a message of ``side``, I or R. What cannot be parsed is named as such."""
    try:
        match header.exchange:
            case e if e == TRANSACTION:
                for part in of_kind(chain, ATTRIBUTES):
                    yield from _transaction(ConfigMessage.parse(part), side)
            case e if e == QUICK:
                yield from _quick(chain, side)
            case e if e == INFORMATIONAL:
                yield from _informational(chain, side)
            case _:
                yield from _names(chain, side)
    except ProtocolError as error:
        yield f"an opened message that is damaged: {error}"


def _clean(text: str) -> str:
    return "".join(sign if sign.isprintable() else " " for sign in text)[:LONGEST]


def _names(chain: Chain, side: str) -> Iterator[str]:
    for part in of_kind(chain, ID)[:1]:
        yield f"phase 1 name of the {ENDS[side]}: {_clean(str(Identity.parse(part)))}"


# --- XAUTH and Mode Config ---------------------------------------------------------------------


def _transaction(message: ConfigMessage, side: str) -> Iterator[str]:
    if message.about_person:
        yield from _person(message)
        return
    named = ", ".join(attribute_name(one.kind) for one in message.attributes)
    match message.kind:
        case kind if kind == REQUEST:
            yield f"Mode Config: the {ENDS[side]} asks for {named}"
        case kind if kind in (REPLY, SET):
            for attribute in message.attributes:
                name, value = attribute_name(attribute.kind), _clean(readable(attribute))
                yield f"Mode Config: the {ENDS[side]} gives {name} = {value or '(nothing)'}"
            yield f"Mode Config: {len(message.attributes)} settings from the {ENDS[side]}"
        case _:
            yield f"Mode Config: the {ENDS[side]} acknowledges"


def _person(message: ConfigMessage) -> Iterator[str]:
    wanted = [one for one in message.attributes if one.kind not in (XAUTH_TYPE, XAUTH_MESSAGE)]
    named = ", ".join(attribute_name(one.kind) for one in wanted)
    status = message.value(XAUTH_STATUS)
    if status is not None and message.kind != ACK:
        yield f"XAUTH status {'OK' if status.number == OK else 'FAIL'}"
        return
    match message.kind:
        case kind if kind == REQUEST:
            told = message.value(XAUTH_MESSAGE)
            yield f"XAUTH asks for {named}" + (f": {_clean(readable(told))}" if told else "")
        case kind if kind == REPLY:
            user = message.value(XAUTH_USER_NAME)
            name = _clean(user.value.decode("utf-8", "replace")) if user else ""
            yield f"XAUTH answer of user {name or '(no name)'}, with {named}"
        case _:
            yield "XAUTH status acknowledged"


# --- quick mode --------------------------------------------------------------------------------


def _quick(chain: Chain, side: str) -> Iterator[str]:
    sa = one(chain, SA)
    if sa is None:
        done = side == "I"
        yield "quick mode is complete" if done else "quick mode: a further message"
        return
    offer = SecurityAssociation.parse(sa)
    spi = "".join(proposal.spi.hex() for proposal in offer.proposals[:1])
    verb = "offers" if side == "I" else "chooses"
    for proposal in offer.proposals[:SHOWN_OFFERS]:
        for transform in proposal.transforms[:SHOWN_OFFERS]:
            yield f"quick mode: the {ENDS[side]} {verb} {_esp(transform)}"
    parts = of_kind(chain, ID)
    if len(parts) == 2:
        first, second = (_network(part) for part in parts)
        yield f"quick mode: the {ENDS[side]} has {first} === {second}, SPI 0x{spi}"


def _network(part: Part) -> str:
    found = Identity.parse(part)
    narrowed = f" protocol {found.protocol}" if found.protocol else ""
    return f"{_clean(str(found))}{narrowed}"


def _esp(transform: Transform) -> str:
    bits = transform.value(KEY_LENGTH) or 0
    number = transform.identifier
    cipher = next(
        (row.token for row in ESP_CIPHERS if row.number == number and row.key_bits == bits),
        f"cipher {number}{f'/{bits}' if bits else ''}",
    )
    made = [cipher]
    if (integrity := transform.value(INTEGRITY)) is not None:
        known = (row.token for row in INTEGRITIES if row.number == integrity)
        made.append(next(known, f"integrity {integrity}"))
    if (group := transform.value(GROUP)) is not None:
        known = (row.token for row in GROUPS if row.number == group)
        made.append(next(known, f"group {group}"))
    return "-".join(made)


# --- informational -----------------------------------------------------------------------------


def _informational(chain: Chain, side: str) -> Iterator[str]:
    for part in of_kind(chain, NOTIFY):
        found = Notify.parse(part)
        name = notify_name(found.kind).replace(" ", "-")
        if found.kind in (R_U_THERE, R_U_THERE_ACK):
            word = "question" if found.kind == R_U_THERE else "answer"
            number = int.from_bytes(found.data[:4], "big")
            yield f"sign of life, {word} {number} of the {ENDS[side]}"
        elif found.kind >= STATUS_FROM:
            yield f"status of the {ENDS[side]}: {name}"
        else:
            yield f"informational of the {ENDS[side]} type={name}"
    because = ""
    for part in of_kind(chain, DELETE_WITH_REASON):
        reason = Reason.parse(part)
        because = f" because {_clean(reason.text)}" if reason.text else ""
    for part in of_kind(chain, DELETE):
        deleted = Delete.parse(part)
        what = "the IKE SA" if deleted.protocol == PROTO_ISAKMP else "ESP SAs"
        yield f"the {ENDS[side]} deletes {what}{because}"
