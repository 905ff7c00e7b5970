"""A log event: a code and fields. What it means, and how it reads, stands in tables/events.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import cast

from culvert.errors import MisuseError

Field = str | int | float | bool | tuple[str, ...]

_PLAIN = frozenset((str, int, float, bool))  # nearly all fields; asked first because that is cheap

NO_FIELDS: Mapping[str, Field] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened. Returned by cores among their outputs; never holds a secret.

    ``code`` is a row of ``tables/events.toml``; ``fields`` are the row's placeholders and the keys
    that correlate it (``session``, ``cookies``, ``user``, ``group``, ``peer``).

    Raises MisuseError for a field that is neither text nor number: a `Secret` or raw octets, which
    may be a key, are stopped here, where whoever wrote the line sees it.
    """

    code: str
    fields: Mapping[str, Field] = field(default_factory=lambda: NO_FIELDS)

    def __post_init__(self) -> None:
        # The types forbid it already; a secret must not get through where nobody checked them.
        for name, value in cast("Mapping[str, object]", self.fields).items():
            if type(value) not in _PLAIN and not _loggable(value):
                raise MisuseError(
                    f"event {self.code}: field {name!r} is a {type(value).__name__}; "
                    "only text and numbers may be logged"
                )

    def with_fields(self, **more: Field) -> LogEvent:
        """The same event with correlation keys added; keys it has already are kept."""
        return LogEvent(self.code, {**more, **self.fields})


def _loggable(value: object) -> bool:
    if isinstance(value, str | int | float):
        return True
    if not isinstance(value, tuple):
        return False
    return all(isinstance(one, str) for one in cast("tuple[object, ...]", value))
