"""Values between the processes of gateway or client, as JSON: only these classes, checked by field.

    {"~": "Judge", "ticket": 7, "password": {"~s": "…"}, …}      octets: {"~x": "00ff"}

The worker parses strangers' octets and may be captured: whatever it says is taken apart here by
the declared types, and anything else is a `MessageError`. Nothing is executed, nothing unpickled.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import cache
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from culvert.datapath.xfrm.orders import (
    Expired,
    Policy,
    PolicyName,
    Remapped,
    Seen,
    State,
    StateName,
)
from culvert.effects import (
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    EchoAnswered,
    HumanAnswered,
    Inquire,
    InstallSa,
    Judge,
    JudgeCertificate,
    Judged,
    MachineConfigured,
    OpenStream,
    Replied,
    Resolve,
    Resolved,
    RestoreMachine,
    SaHalf,
    SessionEnded,
    Sign,
    Signed,
    StreamOpened,
    TunnelSettings,
)
from culvert.errors import CulvertError
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import GroupKey, Keyed
from culvert.ike.question import Question
from culvert.ike.wire.identity import Identity
from culvert.secret import Secret

LONGEST = 1 << 20
"""Octets of one message. A certificate order is the largest: some 64 KB."""
DEEPEST = 12
"""Levels of nesting."""

KNOWN: Mapping[str, type] = {
    one.__name__: one
    for one in (
        AskEcho,
        AskHuman,
        CertificateJudged,
        ConfigureMachine,
        EchoAnswered,
        Expired,
        GroupKey,
        HumanAnswered,
        Identity,
        Inquire,
        InstallSa,
        Judge,
        JudgeCertificate,
        Judged,
        Keyed,
        LogEvent,
        MachineConfigured,
        OpenStream,
        Policy,
        PolicyName,
        Question,
        Remapped,
        Replied,
        Resolve,
        Resolved,
        RestoreMachine,
        SaHalf,
        Seen,
        SessionEnded,
        Sign,
        Signed,
        State,
        StateName,
        StreamOpened,
        TunnelSettings,
    )
}

KIND, OCTETS, SECRET = "~", "~x", "~s"

_ENCODED = json.JSONEncoder(separators=(",", ":")).encode
_AS_IT_IS = frozenset((str, int, float, bool, type(None)))
_EXACT: Mapping[Any, frozenset[type]] = {
    str: frozenset((str,)),
    int: frozenset((int,)),
    float: frozenset((float, int)),
    bool: frozenset((bool,)),
    type(None): frozenset((type(None),)),
}
"""What a declared type is without looking further; nearly all there is."""


class MessageError(CulvertError):
    """What another of our processes said makes no sense."""

    code = "internal"


def written(value: object) -> str:
    """One line."""
    return _ENCODED(plain(value))


def plain(value: object, known: Mapping[str, type] = KNOWN) -> object:
    """What JSON can say of it. ``known``: the classes that may be in it."""
    if type(value) in _AS_IT_IS:
        return value
    match value:
        case None | bool() | int() | float() | str():
            return value
        case LogEvent() if "LogEvent" in known:  # of plain values, as it has seen to itself
            return {KIND: "LogEvent", "code": value.code, "fields": dict(value.fields)}
        case bytes():
            return {OCTETS: value.hex()}
        case Secret():
            return {SECRET: value.reveal()}
        case tuple() | list():
            return [plain(one, known) for one in cast("tuple[object, ...]", value)]
        case Mapping():
            found = cast("Mapping[str, object]", value)
            return {key: plain(one, known) for key, one in found.items()}
        case _ if (kind := type(value).__name__) in known and is_dataclass(value):
            named = {one: plain(getattr(value, one), known) for one in _names(known[kind])}
            return {KIND: kind, **named}
        case _:
            raise MessageError(f"a {type(value).__name__} does not travel between processes")


def read(text: str | bytes) -> object:
    """The value back; dictionaries of messages stay dictionaries."""
    if len(text) > LONGEST:
        raise MessageError(f"a message of {len(text)} octets")
    try:
        return value_of(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise MessageError(f"not a message: {error}") from error


def object_in(text: str | bytes, speaker: str) -> dict[str, object]:
    """The JSON object that ``speaker`` has sent. Raises MessageError."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"what {speaker} says makes no sense: {error}") from error
    if not isinstance(found, dict):
        raise MessageError(f"what {speaker} says makes no sense")
    return cast("dict[str, object]", found)


def value_of(found: object, known: Mapping[str, type] = KNOWN, depth: int = DEEPEST) -> object:
    """What `plain` was given. Raises MessageError or ValueError."""
    if depth == 0:
        raise MessageError("a message nested too deeply")
    if type(found) in _AS_IT_IS:
        return found
    match found:
        case list():
            listed = cast("list[object]", found)
            return tuple(
                [
                    one if type(one) in _AS_IT_IS else value_of(one, known, depth - 1)
                    for one in listed
                ]
            )
        case {"~x": str(octets)}:
            return bytes.fromhex(octets)
        case {"~s": str(secret)}:
            return Secret(secret)
        case {"~": str(kind)}:
            return _made(kind, cast("dict[str, object]", found), known, depth)
        case dict():
            named = cast("dict[str, object]", found)
            return {
                key: one if type(one) in _AS_IT_IS else value_of(one, known, depth - 1)
                for key, one in named.items()
            }
        case _:
            return found


def _made(kind: str, found: Mapping[str, object], known: Mapping[str, type], depth: int) -> object:
    wanted = known.get(kind)
    if wanted is None:
        raise MessageError(f"no such kind of value: {kind!r}")
    given = {
        key: one if type(one) in _AS_IT_IS else value_of(one, known, depth - 1)
        for key, one in found.items()
        if key != KIND
    }
    checks = _checks(wanted)
    for name, value in given.items():
        if name not in checks or not checks[name](value):
            raise MessageError(f"{kind}: {name!r} is not what it must be")
    try:
        return wanted(**given)
    except (TypeError, CulvertError) as error:
        raise MessageError(f"{kind}: {error}") from error


Check = Callable[[object], bool]
"""Whether a value is of the declared type, members included."""


@cache
def _names(wanted: type) -> tuple[str, ...]:
    return tuple(_checks(wanted))


@cache
def _checks(wanted: type) -> Mapping[str, Check]:
    """Of each field. Made once: taking types apart anew for every message cost more than reading
    it."""
    return {name: _check(hint) for name, hint in get_type_hints(wanted).items()}


def _check(hint: Any) -> Check:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Union or origin is types.UnionType:
        return _any_of(inner)
    if origin is tuple:
        return _all_of(inner[0]) if len(inner) == 2 and inner[1] is Ellipsis else _each_of(inner)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_of(*map(_check, inner))
    if not isinstance(hint, type):
        return lambda _: False
    if exact := _EXACT.get(hint):
        return lambda value: type(value) in exact or _is(value, hint)
    return lambda value: isinstance(value, hint)


def _is(value: object, hint: type) -> bool:
    """JSON's true is no number, and any number is a float."""
    if hint in (int, float) and isinstance(value, bool):
        return False
    return isinstance(value, float | int if hint is float else hint)


def _any_of(inner: tuple[Any, ...]) -> Check:
    exact = frozenset([kind for one in inner for kind in _EXACT.get(one, ())])
    checks = tuple(map(_check, inner))
    return lambda value: type(value) in exact or any(check(value) for check in checks)


def _all_of(member: Any) -> Check:
    """tuple[T, ...]"""
    check = _check(member)

    def all_fit(value: object) -> bool:
        return isinstance(value, tuple) and all(map(check, cast("tuple[object, ...]", value)))

    return all_fit


def _each_of(inner: tuple[Any, ...]) -> Check:
    checks = tuple(map(_check, inner))

    def each_fits(value: object) -> bool:
        if not isinstance(value, tuple):
            return False
        members = cast("tuple[object, ...]", value)
        return len(checks) == len(members) and all(
            check(one) for check, one in zip(checks, members, strict=True)
        )

    return each_fits


def _mapping_of(key_fits: Check, value_fits: Check) -> Check:
    def all_fit(value: object) -> bool:
        if not isinstance(value, dict):
            return False
        named = cast("dict[object, object]", value)
        return all(map(key_fits, named)) and all(map(value_fits, named.values()))

    return all_fit
