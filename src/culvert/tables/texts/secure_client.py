"""Error codes and texts of the SSL VPN client (secure_client.toml)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from culvert.tables.loader import rows

TABLE = "texts/secure_client.toml"


@dataclass(frozen=True, slots=True)
class SslError:
    """A failure by code. ``own`` is how we say a text that names another product."""

    code: str
    text: str
    action: str
    own: str = ""
    given: bool = False


@dataclass(frozen=True, slots=True)
class AlwaysOnRefusal:
    """What Always-On refuses, in the order of its checks."""

    result: int
    about: str
    text: str
    spellings: tuple[str, ...] = ()


@cache
def ssl_errors() -> Mapping[str, SslError]:
    return MappingProxyType({row.code: row for row in rows(TABLE, "error", SslError)})


@cache
def always_on_refusals() -> tuple[AlwaysOnRefusal, ...]:
    return rows(TABLE, "always_on", AlwaysOnRefusal)
