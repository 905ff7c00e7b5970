"""Values between the processes of gateway or client, as JSON: only these classes, checked by field.

    {"~": "Judge", "ticket": 7, "password": {"~s": "…"}, …}      octets: {"~x": "00ff"}

The worker parses strangers' octets and may be captured: whatever it says is taken apart here by
the declared types, and anything else is a `MessageError`. Nothing is executed, nothing unpickled.
"""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
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


class MessageError(CulvertError):
    """What another of our processes said makes no sense."""

    code = "internal"


def written(value: object) -> str:
    """One line."""
    return json.dumps(plain(value), separators=(",", ":"))


def plain(value: object, known: Mapping[str, type] = KNOWN) -> object:
    """What JSON can say of it. ``known``: the classes that may be in it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes():
            return {OCTETS: value.hex()}
        case Secret():
            return {SECRET: value.reveal()}
        case tuple() | list():
            return [plain(one, known) for one in cast("tuple[object, ...]", value)]
        case Mapping():
            found = cast("Mapping[str, object]", value)
            return {key: plain(one, known) for key, one in found.items()}
        case _ if type(value).__name__ in known and is_dataclass(value):
            named = {one.name: plain(getattr(value, one.name), known) for one in fields(value)}
            return {KIND: type(value).__name__, **named}
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


def value_of(found: object, known: Mapping[str, type] = KNOWN, depth: int = DEEPEST) -> object:
    """What `plain` was given. Raises MessageError or ValueError."""
    if depth == 0:
        raise MessageError("a message nested too deeply")
    match found:
        case list():
            listed = cast("list[object]", found)
            return tuple([value_of(one, known, depth - 1) for one in listed])
        case {"~x": str(octets)}:
            return bytes.fromhex(octets)
        case {"~s": str(secret)}:
            return Secret(secret)
        case {"~": str(kind)}:
            return _made(kind, cast("dict[str, object]", found), known, depth)
        case dict():
            named = cast("dict[str, object]", found)
            return {key: value_of(one, known, depth - 1) for key, one in named.items()}
        case _:
            return found


def _made(kind: str, found: Mapping[str, object], known: Mapping[str, type], depth: int) -> object:
    wanted = known.get(kind)
    if wanted is None:
        raise MessageError(f"no such kind of value: {kind!r}")
    given = {key: value_of(one, known, depth - 1) for key, one in found.items() if key != KIND}
    hints = _hints(wanted)
    for name, value in given.items():
        if name not in hints or not _fits(value, hints[name]):
            raise MessageError(f"{kind}: {name!r} is not what it must be")
    try:
        return wanted(**given)
    except (TypeError, CulvertError) as error:
        raise MessageError(f"{kind}: {error}") from error


@cache
def _hints(wanted: type) -> Mapping[str, Any]:
    return get_type_hints(wanted)


def _fits(value: object, hint: Any) -> bool:
    """Whether ``value`` is of the declared type, members included."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Union or origin is types.UnionType:
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        members = cast("tuple[object, ...]", value)
        if len(inner) == 2 and inner[1] is Ellipsis:  # tuple[T, ...]
            return all(_fits(one, inner[0]) for one in members)
        return len(members) == len(inner) and all(map(_fits, members, inner))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            return False
        named = cast("dict[object, object]", value)
        return all(_fits(key, inner[0]) and _fits(one, inner[1]) for key, one in named.items())
    if hint is None or hint is type(None):
        return value is None
    if hint is float:
        return isinstance(value, float | int) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(hint, type) and isinstance(value, hint)
