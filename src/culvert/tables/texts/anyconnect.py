"""Names on the wire of the SSL VPN (anyconnect.toml)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from culvert.tables.loader import rows

TABLE = "texts/anyconnect.toml"


@dataclass(frozen=True, slots=True)
class Header:
    """A header with a value as printed; one name may stand in two roles."""

    name: str
    sender: Literal["client", "gateway", "either"]
    sample: str = ""
    use: str = ""

    @property
    def line(self) -> str:
        return f"{self.name}: {self.sample}"


@dataclass(frozen=True, slots=True)
class PortalAddress:
    method: str
    path: str
    about: str


@dataclass(frozen=True, slots=True)
class LoginMessage:
    """A message of the login dialect that simple clients speak."""

    sender: Literal["client", "gateway"]
    text: str


@dataclass(frozen=True, slots=True)
class SessionCookie:
    name: str
    form: str


@dataclass(frozen=True, slots=True)
class ConfigurationField:
    """A field handed to the client; ``path`` is its place in the XML."""

    path: str
    need: Literal["must", "should", "may"]
    sample: str = ""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class ProfileElement:
    element: str
    sample: str
    about: str


@dataclass(frozen=True, slots=True)
class TlsSuite:
    name: str
    version: str
    forward_secret: bool = True


@dataclass(frozen=True, slots=True)
class CaptureFilter:
    text: str
    about: str


@cache
def headers() -> tuple[Header, ...]:
    return rows(TABLE, "header", Header)


@cache
def portal_addresses() -> tuple[PortalAddress, ...]:
    return rows(TABLE, "address", PortalAddress)


@cache
def login_messages() -> tuple[LoginMessage, ...]:
    return rows(TABLE, "message", LoginMessage)


@cache
def session_cookies() -> tuple[SessionCookie, ...]:
    return rows(TABLE, "cookie", SessionCookie)


@cache
def configuration_fields() -> tuple[ConfigurationField, ...]:
    return rows(TABLE, "field", ConfigurationField)


@cache
def profile_elements() -> tuple[ProfileElement, ...]:
    return rows(TABLE, "profile", ProfileElement)


@cache
def tls_suites() -> tuple[TlsSuite, ...]:
    return rows(TABLE, "suite", TlsSuite)


@cache
def capture_filters() -> tuple[CaptureFilter, ...]:
    return rows(TABLE, "capture_filter", CaptureFilter)
