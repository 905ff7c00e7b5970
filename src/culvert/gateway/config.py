"""GatewayConfig: everything the gateway was told, checked (docs/reference/gateway.toml).

Settings that need a restart and settings a running gateway can take over are two classes, so that
a reload cannot half-work. Group keys stand apart from groups, for the vault alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from culvert.ike.selector import Network
from culvert.policy.group import Group
from culvert.policy.pool import PoolPlan
from culvert.secret import Secret


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """Taken over at start only: sockets, devices, files and what stands on them."""

    listen: tuple[str, ...] = ("0.0.0.0",)  # noqa: S104  # a gateway is there to be reached
    ike_port: int = 500
    natt_port: int = 4500
    tun: str = "culvert0"
    mtu: int = 1400
    state_directory: str = "/var/lib/culvert"
    lan: tuple[Network, ...] = ()
    pools: tuple[PoolPlan, ...] = ()


@dataclass(frozen=True, slots=True)
class Lockout:
    """After ``tries`` failures within ``window_seconds`` a user is locked for ``seconds`` from
    that source; 0 tries switches it off."""

    tries: int = 5
    window_seconds: int = 300
    seconds: int = 300


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Taken over while running."""

    identity: str = ""
    session_limit: int = 100
    half_open_limit: int = 1000
    half_open_per_source: int = 32
    ike_proposals: tuple[str, ...] = ()
    legacy: frozenset[str] = frozenset()
    natt: bool = True
    alert_when_disconnecting: bool = True
    application_version: str = "culvert"
    lockout: Lockout = Lockout()
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Where people are looked up: ``local`` (argon2id) or ``fast-hash``; live."""

    backend: str = "local"
    inline: tuple[InlineUser, ...] = ()


@dataclass(frozen=True, slots=True)
class InlineUser:
    """A user in the configuration file itself, for small set-ups."""

    name: str
    password_hash: str = field(repr=False)
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """One checked configuration file."""

    path: str
    restart: RestartSettings
    live: LiveSettings
    users: UserSettings
    group_keys: Mapping[str, Secret] = field(
        default_factory=lambda: MappingProxyType({}), repr=False
    )

    def group(self, name: str) -> Group | None:
        return next((group for group in self.live.groups if group.name == name), None)

    def pool(self, name: str) -> PoolPlan | None:
        return next((pool for pool in self.restart.pools if pool.name == name), None)
