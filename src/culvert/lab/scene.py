"""What `culvert demo` plays: two clients behind one PAT and a gateway, in namespaces or in memory.

The secrets are drawn anew for each scene and go with it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from culvert.eventlog.entry import Entry
from culvert.eventlog.ring import Recent
from culvert.lab import topology
from culvert.lab.pat import Neighbour, Xlate
from culvert.secret import Secret
from culvert.vault.password import Argon2id

Row = Mapping[str, object]

GATEWAY = "gw"
CLIENTS = {"client1": topology.CLIENT1, "client2": topology.CLIENT2}
USERS = {"client1": "vpnclient1", "client2": "vpnclient2"}
GROUP = "ciscovpn"
GATEWAY_NAME = "vpn.example.test"
CONNECTION = "office"
BANNER = "Welcome to the lab"
DOMAIN = "corp.test"

DOWNLOAD = "100M.bin"
PINGS = 5

SECRET_OCTETS = 24
"""Drawn for a group key or password: what fits well above the 20 characters the gateway wants."""


@dataclass(frozen=True, slots=True)
class Pinged:
    """``milliseconds``: the round trips of those that were answered."""

    sent: int
    milliseconds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Downloaded:
    octets: int
    seconds: float
    sha256: str
    identical: bool

    @property
    def megabits_per_second(self) -> float:
        return self.octets * 8 / 1e6 / max(self.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class Told:
    """A daemon's answer to one request of the control protocol."""

    rows: tuple[Row, ...]
    entries: tuple[Entry, ...]
    result: Row

    @property
    def story(self) -> Recent:
        """The answer to ``story``."""
        left_out, gap = self.result.get("left_out"), self.result.get("gap_after")
        return Recent(
            self.entries,
            left_out if isinstance(left_out, int) else 0,
            gap if isinstance(gap, int) else 0,
        )


Progress = Callable[[str, int], None]
"""Who has how many octets so far."""


class Scene(Protocol):
    """One place to play in. Every method may take its time; `end` leaves nothing behind."""

    @property
    def place(self) -> str:
        """Where it is played, as sentences for the audience."""
        ...

    def build(self) -> None: ...

    def start(self) -> None:
        """The gateway, and the service of each client."""
        ...

    def connect(self) -> Mapping[str, float]:
        """Both clients at the same time; how many seconds each took."""
        ...

    def ping(self, client: str) -> Pinged: ...

    def download(self, progress: Progress) -> Mapping[str, Downloaded]:
        """Both clients at the same time."""
        ...

    def xlate(self) -> Xlate: ...

    def arp(self) -> Sequence[Neighbour]: ...

    def ask(self, who: str, method: str, params: Row) -> Told:
        """A request of the control protocol to a client's service or to the gateway."""
        ...

    def disconnect(self, client: str) -> None: ...

    def left_over(self) -> Sequence[str]:
        """What of routes, addresses, devices and DNS is not as it was before."""
        ...

    def end(self) -> None: ...


def _draw() -> Secret:
    return Secret(secrets.token_urlsafe(SECRET_OCTETS))


@dataclass(frozen=True, slots=True)
class Secrets:
    """One group key and a password for each client's user."""

    group_key: Secret = field(default_factory=_draw)
    passwords: Mapping[str, Secret] = field(
        default_factory=lambda: {client: _draw() for client in CLIENTS}
    )


def gateway_file(known: Secrets) -> str:
    """The gateway's configuration. Holds the group key."""
    return "".join(_gateway_lines(known))


def _gateway_lines(known: Secrets) -> Iterator[str]:
    yield "[gateway]\n"
    yield _toml(lan=[topology.PRIVATE], legacy=["aggressive-psk"])
    yield "[[pool]]\n"
    yield _toml(name="clients", addresses=[topology.POOL])
    yield "[[group]]\n"
    yield _toml(
        name=GROUP,
        key=known.group_key.reveal(),
        pool="clients",
        dns=[topology.SERVER],
        default_domain=DOMAIN,
        banner=BANNER,
        split_include=[topology.PRIVATE],
    )
    scheme = Argon2id()
    for client, user in USERS.items():
        yield "[[user]]\n"
        hashed = scheme.hash(known.passwords[client])
        yield _toml(name=user, password_hash=hashed, groups=[GROUP])


def profile_file(client: str, known: Secrets) -> str:
    """A client's profile. Holds the group key; the password is given when it is asked for."""
    return _toml(
        host=GATEWAY_NAME,
        group=GROUP,
        group_key=known.group_key.reveal(),
        user=USERS[client],
        legacy=["aggressive-psk"],
    )


def _toml(**values: str | list[str]) -> str:
    """JSON's texts and lists are TOML's too."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
