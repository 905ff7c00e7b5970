"""A log event: a code and fields. What it means, and how it reads, stands in tables/events.toml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

Field = str | int | float | bool | tuple[str, ...]

NO_FIELDS: Mapping[str, Field] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LogEvent:
    """Something that happened. Returned by cores among their outputs; never holds a secret.

    ``code`` is a row of ``tables/events.toml``; ``fields`` are the row's placeholders and the keys
    that correlate it (``session``, ``cookies``, ``user``, ``group``, ``peer``).
    """

    code: str
    fields: Mapping[str, Field] = field(default_factory=lambda: NO_FIELDS)

    def with_fields(self, **more: Field) -> LogEvent:
        """The same event with correlation keys added; keys it has already are kept."""
        return LogEvent(self.code, {**more, **self.fields})
