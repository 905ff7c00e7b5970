"""Handing the state of one process to the next as JSON: by declared types, both ways.

What is handed over of a mutable class is a `Part`: its attributes with their types, and the names
of those that the new process makes itself. Dataclasses go field by field, whatever else has to
travel has a `Form`. Moments travel as ages, so that clocks need not agree. Nothing is executed,
nothing unpickled; what does not fit its declared type is a `MessageError`.
"""

from __future__ import annotations

import types
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from enum import Enum
from typing import Any, NewType, Union, cast, get_args, get_origin, get_type_hints

from culvert.driver.message import MessageError
from culvert.errors import CulvertError

Moment = NewType("Moment", float)
"""A time of the process's own clock."""


class Here:
    """In place of a type: the part that stands there already, to be filled in place."""


@dataclass(frozen=True, slots=True)
class Part:
    """A class with state. ``anew``: attributes that are not handed over."""

    kind: type[Any]
    handed: Mapping[str, object]
    anew: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one type travel: as a text."""

    write: Callable[[Any], str]
    read: Callable[[str], object]


Write = Callable[[Any], object]
Read = Callable[[object], object]

_PLAIN: tuple[object, ...] = (bool, int, float, str, None, type(None))
_STRICT: tuple[object, ...] = (bool, int, str)
_ROWS: Mapping[object, Callable[[Iterable[Any]], object]] = {
    list: list,
    set: set,
    frozenset: frozenset,
    deque: deque,
}
_TABLES: Mapping[object, Callable[[Iterable[Any]], object]] = {
    dict: dict,
    OrderedDict: OrderedDict,
    Counter: lambda pairs: Counter(dict(pairs)),
    Mapping: dict,
}


@dataclass
class Codec:
    """``parts`` and ``forms`` are all that may travel besides plain values and dataclasses."""

    parts: Iterable[Part]
    forms: Mapping[object, Form]
    _now: float = 0.0
    _writes: dict[object, Write] = field(default_factory=dict[object, Write])
    _reads: dict[object, Read] = field(default_factory=dict[object, Read])

    def __post_init__(self) -> None:
        self._by_kind = {part.kind: part for part in self.parts}

    # --- writing -----------------------------------------------------------------------------

    def written(self, value: object, hint: object, *, now: float) -> object:
        """``value``, which is a ``hint``, as JSON has it."""
        self._now = now
        return self._write(hint)(value)

    def emptied(self, part: object, *, now: float) -> object:
        """What `fill` takes: the state of a part."""
        self._now = now
        return self._attributes(part)

    def _attributes(self, value: object) -> dict[str, object]:
        handed = self._part_of(type(value)).handed
        return {
            name: self._attributes(getattr(value, name))
            if hint is Here
            else self._write(hint)(getattr(value, name))
            for name, hint in handed.items()
        }

    def _part_of(self, kind: type[Any]) -> Part:
        for known in kind.__mro__:
            if known in self._by_kind:
                return self._by_kind[known]
        raise MessageError(f"a {kind.__name__} is not handed over")

    def _write(self, hint: object) -> Write:
        known = self._writes.get(hint)
        if known is None:
            known = self._writes[hint] = self._writer(hint)
        return known

    def _writer(self, hint: object) -> Write:
        if hint in self.forms:
            return self.forms[hint].write
        if hint is Moment:
            return lambda value: value - self._now
        if hint is bytes:
            return bytes.hex
        if hint in _PLAIN:
            return lambda value: value
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Union or origin is types.UnionType:
            one = self._write(_optional(hint))
            return lambda value: None if value is None else one(value)
        if origin is tuple and not _endless(inner):
            each = [self._write(one) for one in inner]
            return lambda value: [w(v) for w, v in zip(each, value, strict=True)]
        if origin is tuple or origin in _ROWS:
            first = self._write(inner[0])
            if origin in (set, frozenset):
                return lambda value: [first(one) for one in sorted(value)]
            return lambda value: [first(one) for one in value]
        if origin in _TABLES:
            key, item = self._write(inner[0]), self._write(_values(origin, inner))
            return lambda value: [[key(k), item(v)] for k, v in value.items()]
        return self._class_writer(hint)

    def _class_writer(self, hint: object) -> Write:
        if not isinstance(hint, type):
            raise MessageError(f"{hint} is not handed over")
        if hint in self._by_kind:
            return self._attributes
        if issubclass(hint, Enum):
            return lambda value: value.value
        named = _members(cast("type[Any]", hint))
        # Looked up when used: a type may contain itself.
        return lambda value: {n: self._write(h)(getattr(value, n)) for n, h in named.items()}

    # --- reading -----------------------------------------------------------------------------

    def read(self, found: object, hint: object, *, now: float) -> object:
        """The value back. Raises MessageError."""
        self._now = now
        try:
            return self._read(hint)(found)
        except (TypeError, ValueError, KeyError, CulvertError) as error:
            raise MessageError(f"state that makes no sense: {error}") from error

    def fill(self, part: object, found: object, *, now: float) -> None:
        """The state of a part into one that was made anew. Raises MessageError."""
        self._now = now
        try:
            self._fill(part, found)
        except (TypeError, ValueError, KeyError, CulvertError) as error:
            raise MessageError(f"state that makes no sense: {error}") from error

    def _fill(self, target: object, found: object) -> None:
        given = _object(found)
        for name, hint in self._part_of(type(target)).handed.items():
            if hint is Here:
                self._fill(getattr(target, name), given[name])
            else:
                setattr(target, name, self._read(hint)(given[name]))

    def _read(self, hint: object) -> Read:
        known = self._reads.get(hint)
        if known is None:
            known = self._reads[hint] = self._reader(hint)
        return known

    def _reader(self, hint: object) -> Read:
        if hint in self.forms:
            form = self.forms[hint]
            return lambda found: form.read(cast("str", _of(str, found)))
        if hint is Moment:
            return lambda found: _number(found) + self._now
        if hint is bytes:
            return lambda found: bytes.fromhex(cast("str", _of(str, found)))
        if hint is float:
            return _number
        if hint is None or hint is type(None):
            return lambda found: _of(type(None), found)
        if isinstance(hint, type) and hint in _STRICT:
            kind = cast("type[Any]", hint)
            return lambda found: _of(kind, found)
        origin, inner = get_origin(hint), get_args(hint)
        if origin is Union or origin is types.UnionType:
            one = self._read(_optional(hint))
            return lambda found: None if found is None else one(found)
        if origin is tuple and not _endless(inner):
            each = [self._read(one) for one in inner]
            return lambda found: tuple([r(v) for r, v in zip(each, _list(found), strict=True)])
        if origin is tuple or origin in _ROWS:
            make = _ROWS.get(origin, tuple)
            first = self._read(inner[0])
            return lambda found: make([first(one) for one in _list(found)])
        if origin in _TABLES:
            fold = _TABLES[origin]
            key, item = self._read(inner[0]), self._read(_values(origin, inner))
            return lambda found: fold([(key(k), item(v)) for k, v in map(_list, _list(found))])
        return self._class_reader(hint)

    def _class_reader(self, hint: object) -> Read:
        if not isinstance(hint, type):
            raise MessageError(f"{hint} is not handed over")
        if hint in self._by_kind:
            return lambda found: self._made(hint, found)
        if issubclass(hint, Enum):
            return hint
        kind = cast("type[Any]", hint)
        named, needed = _members(kind), _needed(kind)

        def read(found: object) -> object:
            given = _object(found)
            if not needed <= given.keys() <= named.keys():
                raise MessageError(f"{kind.__name__} has other fields")
            return kind(**{name: self._read(named[name])(one) for name, one in given.items()})

        return read

    def _made(self, kind: type[Any], found: object) -> object:
        made: object = object.__new__(kind)
        self._fill(made, found)
        return made


def _optional(hint: object) -> object:
    """The other member of ``… | None``."""
    inner = [one for one in get_args(hint) if one is not type(None)]
    if len(inner) != 1:
        raise MessageError(f"{hint} is not handed over: which of them it is, is not told")
    return inner[0]


def _endless(inner: tuple[object, ...]) -> bool:
    return len(inner) == 2 and inner[1] is Ellipsis


def _values(origin: object, inner: tuple[object, ...]) -> object:
    return int if origin is Counter else inner[1]


def _members(kind: type[Any]) -> Mapping[str, object]:
    """The fields of a dataclass or named tuple that its constructor takes."""
    hints = get_type_hints(kind)
    if is_dataclass(kind):
        return {one.name: hints[one.name] for one in fields(kind) if one.init}
    names = cast("tuple[str, ...]", getattr(kind, "_fields", ()))
    if not names:
        raise MessageError(f"a {kind.__name__} is not handed over")
    return {name: hints[name] for name in names}


def _needed(kind: type[Any]) -> frozenset[str]:
    if not is_dataclass(kind):
        defaults = cast("Mapping[str, object]", getattr(kind, "_field_defaults", {}))
        return frozenset(_members(kind)) - frozenset(defaults)
    return frozenset(
        one.name
        for one in fields(kind)
        if one.init and one.default is MISSING and one.default_factory is MISSING
    )


def _of(kind: type[Any], found: object) -> object:
    if type(found) is not kind:
        raise MessageError(f"a {type(found).__name__} where {kind.__name__} is due")
    return found


def _number(found: object) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise MessageError(f"a {type(found).__name__} where a number is due")
    return float(found)


def _list(found: object) -> list[object]:
    return cast("list[object]", _of(list, found))


def _object(found: object) -> dict[str, object]:
    return cast("dict[str, object]", _of(dict, found))
