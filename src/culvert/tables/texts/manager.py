"""Pages and labels of the concentrator's manager (manager.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import rows

TABLE = "texts/manager.toml"


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its menu path; ``before`` is where it stood until version 4.1."""

    id: str
    path: str
    before: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    id: str
    page: str
    text: str


@dataclass(frozen=True, slots=True)
class LogoutAll:
    """A kind of session that can be ended at once; not ``built``: no protocol of ours."""

    text: str
    built: bool = True


@cache
def pages() -> Mapping[str, Page]:
    return MappingProxyType({row.id: row for row in rows(TABLE, "page", Page)})


@cache
def labels() -> Mapping[str, Label]:
    return MappingProxyType({row.id: row for row in rows(TABLE, "label", Label)})


@cache
def logout_kinds() -> tuple[LogoutAll, ...]:
    return rows(TABLE, "logout", LogoutAll)
