"""GatewayConfig: everything the gateway was told, checked (docs/reference/gateway.toml).

Settings that need a restart and settings a running gateway can take over are two classes, so that
a reload cannot half-work. Group keys stand apart from groups, for the vault alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from culvert.datapath.fragmentation import Policy
from culvert.errors import ConfigError
from culvert.gateway import checking, site_checking, worker_checking
from culvert.gateway.reading import Findings, Table, Tables, read
from culvert.gateway.trust import CertificateSettings, certificate_settings, gateway_trust
from culvert.identity.account import Account
from culvert.identity.lockout import LockoutRule
from culvert.ike.selector import Network
from culvert.inet.lane import ALONE, Share
from culvert.inet.marks import chosen
from culvert.policy.group import Group
from culvert.policy.pool import PoolPlan
from culvert.policy.site import Site
from culvert.secret import Secret
from culvert.vault.trust import Trust

_HOLDS_SECRETS = re.compile(r"""\b(?:key|password_hash)["']?[ \t]*=""")


@dataclass(frozen=True, slots=True)
class RestartSettings:
    """Taken over at start only: sockets, devices, routes, and what sessions stand on.

    ``copied``: bits of DSCP and ECN that datagrams have of the packets in them. ``cut``: where
    packets are that are longer than ``mtu``.
    """

    listen: tuple[str, ...]
    ike_port: int
    natt_port: int
    udp_port: int
    over_tcp: bool
    tcp_port: int
    tun: str
    workers: int
    mtu: int
    cut: Policy
    copied: int
    lan: tuple[Network, ...]
    forwarding: bool
    pools: tuple[PoolPlan, ...]
    sites: tuple[Site, ...]
    main_mode_group: str
    users_backend: str
    accounts: tuple[Account, ...]
    certificates: CertificateSettings


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Taken over while running. 0 stands for "no limit" in ``session_limit``.

    ``authentication`` are rows of tables/algorithms.toml. ``ike_proposals`` and ``legacy`` are what
    counts before a client has named its group.
    """

    identity: str
    application_version: str
    session_limit: int
    half_open_limit: int
    half_open_per_source: int
    half_open_per_port: int
    unproved_rate: int
    unproved_burst: int
    alert_when_disconnecting: bool
    authentication: tuple[str, ...]
    aggressive_certificates: bool
    vpn3000_vendor_id: bool
    ike_fragmentation: bool
    certificate_group: str
    ike_proposals: tuple[str, ...]
    legacy: frozenset[str]
    lockout: LockoutRule
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """One checked configuration file. ``share``: which of its workers is meant."""

    path: str
    restart: RestartSettings
    live: LiveSettings
    group_keys: Mapping[str, Secret] = field(repr=False)
    trust: Trust = field(repr=False)
    share: Share = ALONE

    def group(self, name: str) -> Group | None:
        return next((group for group in self.live.groups if group.name == name), None)

    def pool(self, name: str) -> PoolPlan | None:
        return next((pool for pool in self.restart.pools if pool.name == name), None)


class InvalidConfig(ConfigError):
    """A file that cannot be used; carries every mistake, not only the first."""

    def __init__(self, found: tuple[ConfigError, ...]) -> None:
        self.problems = found
        first, *rest = found
        what = "\n".join([first.what, *(str(one) for one in rest)])
        super().__init__(what, path=first.path, line=first.line)


@dataclass(frozen=True, slots=True)
class Examined:
    """A file as it was found; ``config`` is None if there are problems."""

    config: GatewayConfig | None
    problems: tuple[ConfigError, ...]
    warnings: tuple[ConfigError, ...]


def load(text: str, path: str) -> GatewayConfig:
    """Raises InvalidConfig with every mistake."""
    examined = examine(text, path)
    if examined.config is None:
        raise InvalidConfig(examined.problems)
    return examined.config


def problems(text: str, path: str) -> list[ConfigError]:
    """Every mistake, in the order of the file; key files are looked at too."""
    return list(examine(text, path).problems)


def examine(text: str, path: str) -> Examined:
    """The configuration in ``text``; ``path`` is where it stands, for messages and key files."""
    try:
        tables = read(text, path)
    except ConfigError as error:
        return Examined(None, (error,), ())
    config, found = _config(tables, path), tables.findings
    _check_openness(text, path, found)
    wrong = _sorted(found.problems)
    return Examined(None if wrong else config, wrong, _sorted(found.warnings))


def _config(tables: Tables, path: str) -> GatewayConfig:
    gateway, lockout = tables.single["gateway"], tables.single["lockout"]
    checking.check_start(gateway)
    on = checking.switches(gateway)
    checking.check_proposals(gateway, on, ways=gateway.texts("authentication"))
    lan = gateway.each("lan", checking.network)
    plans = checking.pools(tables.repeated["pool"], lan)
    if not tables.repeated["group"] and not tables.repeated["site"]:
        gateway.problem("", "there is no [[group]] and no [[site]], so nobody could log in")
    folder = Path(path).parent
    keyed = checking.groups(tables.repeated["group"], plans, folder, on, checking.keyed(gateway))
    names = [one.group.name for one in keyed]
    sites = site_checking.sites(tables.repeated["site"], folder, on, names)
    worker_checking.check_workers(
        gateway,
        plans,
        sites=tables.repeated["site"],
        over_udp=[table for table in tables.repeated["group"] if table.flag("ipsec_over_udp")],
        not_in_udp=[
            table for table in tables.repeated["group"] if table.text("nat_traversal") == "off"
        ],
    )
    checking.check_main_mode(gateway, names)
    checking.check_authentication(gateway, names)
    accounts = checking.users(tables.repeated["user"], names, tables.single["users"], on)
    return GatewayConfig(
        path,
        RestartSettings(
            listen=gateway.each("listen", checking.address),
            ike_port=gateway.number("ike_port"),
            natt_port=gateway.number("natt_port"),
            udp_port=gateway.number("udp_port"),
            over_tcp=gateway.flag("ipsec_over_tcp"),
            tcp_port=gateway.number("tcp_port"),
            main_mode_group=gateway.text("main_mode_group"),
            tun=gateway.text("tun"),
            workers=gateway.number("workers"),
            mtu=gateway.number("mtu"),
            cut=Policy(gateway.text("fragmentation")),
            copied=chosen(dscp=gateway.flag("copy_dscp"), ecn=gateway.flag("copy_ecn")),
            lan=lan,
            forwarding=gateway.flag("forwarding"),
            pools=plans,
            sites=tuple(one.site for one in sites),
            users_backend=tables.single["users"].text("backend"),
            accounts=accounts,
            certificates=certificate_settings(gateway),
        ),
        _live(gateway, lockout, on, tuple(one.group for one in keyed)),
        MappingProxyType(
            {one.group.name: one.key for one in keyed} | {one.site.name: one.key for one in sites}
        ),
        gateway_trust(gateway, folder, on),
    )


def _live(
    gateway: Table, lockout: Table, on: frozenset[str], groups: tuple[Group, ...]
) -> LiveSettings:
    return LiveSettings(
        identity=gateway.text("identity"),
        application_version=gateway.text("application_version"),
        session_limit=gateway.number("session_limit"),
        half_open_limit=gateway.number("half_open_limit"),
        half_open_per_source=gateway.number("half_open_per_source"),
        half_open_per_port=gateway.number("half_open_per_port"),
        unproved_rate=gateway.number("unproved_rate"),
        unproved_burst=gateway.number("unproved_burst"),
        alert_when_disconnecting=gateway.flag("alert_when_disconnecting"),
        authentication=gateway.texts("authentication"),
        aggressive_certificates=gateway.flag("aggressive_certificates"),
        vpn3000_vendor_id=gateway.flag("vpn3000_vendor_id"),
        ike_fragmentation=gateway.flag("ike_fragmentation"),
        certificate_group=gateway.text("certificate_group"),
        ike_proposals=gateway.texts("phase1"),
        legacy=on,
        lockout=LockoutRule(
            lockout.number("tries"), lockout.number("window"), lockout.number("duration")
        ),
        groups=groups,
    )


def _check_openness(text: str, path: str, found: Findings) -> None:
    """A file that holds keys should be its owner's alone; a text without a file cannot be open."""
    place = Path(path)
    if _HOLDS_SECRETS.search(text) and place.is_file() and place.stat().st_mode & checking.OTHERS:
        found.warning((), f"holds keys and is open to others; chmod 600 {path}")


def _sorted(found: list[ConfigError]) -> tuple[ConfigError, ...]:
    return tuple(sorted(found, key=lambda one: one.line))
