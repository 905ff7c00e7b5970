"""Makes pools, groups and users out of the file's tables, and checks them against each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network
from itertools import combinations
from pathlib import Path

from culvert.errors import ConfigError
from culvert.gateway.key_strength import SAFE_BITS, bits, strong
from culvert.gateway.reading import TABLE, Table
from culvert.identity.account import Account
from culvert.ike.natt import permitted
from culvert.ike.selector import Network
from culvert.ike.settings import GROUP_KEYS
from culvert.ike.suite import AUTHENTICATION, EspSuite, IkeSuite
from culvert.ike.wire.firewall import ARE_YOU_THERE, CENTRAL_POLICY, Firewall
from culvert.policy.group import Group, Liveness
from culvert.policy.hours import Hours
from culvert.policy.pool import AddressRange, PoolPlan
from culvert.profile.proposal import (
    AGGRESSIVE_PSK,
    EARLY_SWITCH,
    WEAKNESSES,
    LegacyMode,
    shown,
    suggestion,
)
from culvert.secret import Secret
from culvert.store.users import check_name
from culvert.tables.loader import rows
from culvert.tables.proposal_names import way_of
from culvert.vault.password import SCHEMES, FastHash

LONGEST_BANNER = 510
"""Octets: what the VPN 3000 allowed, and what its clients show."""
LONGEST_GROUP_NAME = 128
"""Octets: above any real group name; an identity that claims more cannot be one."""
LONGEST_IDENTITY = 128
"""Octets: it stands in the answer to strangers, which must not be large."""
MOST_BACKUP_SERVERS = 10
"""What the Cisco client keeps."""
WEAK_KEY = "weak-group-key"
"""The switch for group keys of fewer than `SAFE_BITS`."""
OTHERS = 0o077

SWITCHES: Mapping[str, str] = WEAKNESSES | {
    row.name: row.weak for row in rows(TABLE, "legacy", LegacyMode)
}
"""Legacy switch → why what it allows is weak."""
FAST_HASH = FastHash.name

_DOMAIN = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*\.?[A-Za-z0-9_])*\.?")
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")


# --- single values -----------------------------------------------------------------------------


def ipv4(text: str) -> str:
    """An IPv4 address, as it is handed out."""
    return str(IPv4Address(text))


def address(text: str) -> str:
    return str(ip_address(text))


def network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{shown(text)} is no network: {error}{_meant(text)}") from None


def network4(text: str) -> Network:
    found = network(text)
    if isinstance(found, IPv6Network):
        raise ConfigError(f"{shown(text)}: only IPv4 travels inside a tunnel; leave it out")
    return found


def range4(text: str) -> AddressRange:
    found = AddressRange.parse(text)
    if found.version != 4:
        raise ConfigError(f"{shown(text)}: only IPv4 addresses are handed out")
    return found


def domain(text: str) -> str:
    if not _DOMAIN.fullmatch(text):
        raise ConfigError(f"{shown(text)} is no domain name")
    return text


def _meant(text: str) -> str:
    """``192.168.2.5/24`` is almost always meant as the network around it."""
    try:
        return f'; did you mean "{IPv4Network(text, strict=False)}"?'
    except ValueError:
        return ""


def check_start(gateway: Table) -> None:
    """What is taken over at start only, beyond the kind of each value."""
    if not gateway.texts("listen"):
        gateway.problem("listen", "listen names no address; leave it out to listen on all of them")
    if gateway.number("ike_port") == gateway.number("natt_port"):
        gateway.problem("natt_port", "ike_port and natt_port must differ; clients expect 500, 4500")
    if gateway.number("udp_port") in (gateway.number("ike_port"), gateway.number("natt_port")):
        gateway.problem("udp_port", "IPsec over UDP must move to another port: this one is IKE's")
    if len(gateway.text("identity").encode()) > LONGEST_IDENTITY:
        gateway.problem("identity", f"identity is longer than {LONGEST_IDENTITY} octets")
    if not _INTERFACE.fullmatch(gateway.text("tun")):
        gateway.problem("tun", "tun: an interface name has 1 to 15 letters, digits and . _ -")


def same_names(tables: Iterable[Table]) -> None:
    """Notes every name that stands twice."""
    seen: set[str] = set()
    for table in tables:
        name = table.text("name")
        if name and name in seen:
            table.problem("name", f"{table.heading} {shown(name)} stands here a second time")
        seen.add(name)


# --- pools -------------------------------------------------------------------------------------


def pools(tables: Sequence[Table], lan: Iterable[Network]) -> tuple[PoolPlan, ...]:
    """Every pool that has addresses; overlaps are noted."""
    same_names(tables)
    made = [(table, table.each("addresses", range4)) for table in tables]
    for table, ranges in made:
        if table.gives("addresses") and not table.texts("addresses"):
            table.problem("addresses", f"pool {shown(table.text('name'))} has no addresses")
        for part in ranges:
            for inside in lan:
                if part.overlaps(_range(inside)):
                    table.problem(
                        "addresses",
                        f"{part} lies in {inside} of [gateway] lan: hosts there would look for "
                        "clients on their own wire; take addresses from elsewhere",
                    )
    parts = [(table, part) for table, ranges in made for part in ranges]
    for (first, low), (second, high) in combinations(parts, 2):
        if low.overlaps(high):
            names = f"{shown(first.text('name'))} and {shown(second.text('name'))}"
            second.problem("addresses", f"{low} and {high} overlap (pools {names})")
    return tuple(PoolPlan(table.text("name"), ranges) for table, ranges in made if ranges)


def _range(network: Network) -> AddressRange:
    return AddressRange(
        network.version, int(network.network_address), int(network.broadcast_address)
    )


# --- proposals and switches --------------------------------------------------------------------


def switches(table: Table) -> frozenset[str]:
    """The legacy switches that are on; each is warned of where it stands."""
    for switch in table.texts("legacy") if table.gives("legacy") else ():
        if switch in SWITCHES:
            table.warning("legacy", f"legacy {switch} is on: {SWITCHES[switch]}")
        else:
            what = f"legacy: there is no switch {shown(switch)}{suggestion(switch, SWITCHES)}"
            table.problem("legacy", what)
    return frozenset(table.texts("legacy")) & SWITCHES.keys()


def check_main_mode(gateway: Table, groups: Sequence[str]) -> None:
    name = gateway.text("main_mode_group")
    if name and name not in groups:
        gateway.problem(
            "main_mode_group",
            f"there is no group {shown(name)} for callers in main mode{suggestion(name, groups)}",
        )


def check_authentication(gateway: Table, groups: Sequence[str]) -> None:
    """Every way is known, and what it needs is there."""
    ways = gateway.texts("authentication")
    if not ways:
        gateway.problem("authentication", "authentication is empty: nobody could prove anything")
    for way in ways:
        if way not in AUTHENTICATION:
            hint = suggestion(way, AUTHENTICATION)
            gateway.problem("authentication", f"there is no authentication {shown(way)}{hint}")
        elif way == "psk":
            gateway.warning(
                "authentication",
                "authentication psk is on: whoever knows a group's key comes in without a name",
            )
    name = gateway.text("certificate_group")
    if name and name not in groups:
        gateway.problem(
            "certificate_group",
            f"there is no group {shown(name)} for certificates that name none"
            f"{suggestion(name, groups)}",
        )


def keyed(gateway: Table) -> Keyed:
    """Who needs the key of a group."""
    named = any(way in GROUP_KEYS for way in gateway.texts("authentication"))
    return Keyed(named, gateway.text("main_mode_group"))


def check_proposals(
    table: Table,
    on: frozenset[str],
    outer: frozenset[str] = frozenset(),
    ways: Collection[str] = (),
) -> None:
    """Every proposal is known, and what it needs is switched on.

    A group that inherits proposals but has switches of its own is told only what it lost against
    ``outer``, the switches of the gateway; the rest was told there. ``ways``: authentications that
    may be had; a name that stands for another could never be agreed on.
    """
    makers: dict[str, Callable[[str], IkeSuite | EspSuite]]
    makers = {"phase1": IkeSuite.named, "phase2": EspSuite.named}
    for name in table.texts("phase1") if ways else ():
        if (way := way_of(name)) and way not in ways:
            table.problem(
                "phase1",
                f"phase1: {name} stands for authentication {way}, which is not in authentication; "
                "add it there, or leave the proposal out",
            )
    for key, named in makers.items():
        given = table.gives(key)
        if given and not table.texts(key):
            table.problem(key, f"{key} is empty: nothing could ever be agreed on")
        for suite in table.each(key, named) if given else _sound(table.texts(key), named):
            missing = suite.legacy - on
            for switch in sorted(missing if given else missing & outer):
                table.problem(
                    key,
                    f"{key}: {suite.name} needs the legacy switch {switch} ({SWITCHES[switch]}); "
                    f'add "{switch}" to legacy, or leave the proposal out',
                )


def _sound(
    names: Iterable[str], named: Callable[[str], IkeSuite | EspSuite]
) -> Iterator[IkeSuite | EspSuite]:
    for name in names:
        with suppress(ConfigError):
            yield named(name)


# --- groups ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class KeyedGroup:
    """A group, and the key that the vault alone shall have."""

    group: Group
    key: Secret


@dataclass(frozen=True, slots=True)
class Keyed:
    """Whether callers come with group keys, and the group whose key serves in main mode."""

    by_name: bool
    main_mode_group: str

    def needs(self, group: str) -> bool:
        return self.by_name or group == self.main_mode_group


def groups(
    tables: Sequence[Table],
    plans: Sequence[PoolPlan],
    folder: Path,
    outer: frozenset[str],
    keys: Keyed,
) -> tuple[KeyedGroup, ...]:
    """Every group; ``outer`` are the gateway's switches, ``folder`` is where key files stand."""
    same_names(tables)
    pools = [plan.name for plan in plans]
    return tuple(_group(table, pools, folder, outer, keys) for table in tables)


def _group(
    table: Table, known_pools: Sequence[str], folder: Path, outer: frozenset[str], keys: Keyed
) -> KeyedGroup:
    on = switches(table)
    check_proposals(table, on, outer)
    needs = keys.needs(table.text("name"))
    gives = table.text("key") or table.text("key_file")
    key = key_of(table, folder) if needs or gives else Secret("")
    _check_group(table, on, key, aggressive=keys.by_name)
    made = Group(
        name=table.text("name"),
        pool=_pool(table, known_pools),
        authentication=_ways(table),
        ike_proposals=table.texts("phase1"),
        esp_proposals=table.texts("phase2"),
        legacy=on,
        dns=table.each("dns", ipv4),
        nbns=table.each("nbns", ipv4),
        default_domain=table.text("default_domain"),
        split_include=table.each("split_include", network4),
        split_exclude=table.each("split_exclude", network4),
        split_dns=table.each("split_dns", domain),
        banner=table.text("banner"),
        backup_servers=table.texts("backup_servers"),
        save_password=table.flag("save_password"),
        pfs=table.flag("pfs"),
        push=table.text("mode_config") == "push",
        firewall=table.text("firewall"),
        firewall_wanted=Firewall(
            table.number("firewall_vendor"),
            table.number("firewall_product"),
            CENTRAL_POLICY if table.text("firewall_policy") else ARE_YOU_THERE,
            table.text("firewall_policy"),
        ),
        idle_seconds=table.number("idle_timeout"),
        session_seconds=table.number("max_connect_time"),
        max_logins=table.number("max_logins"),
        hours=table.each("hours", Hours.parse),
        ike_life_seconds=table.number("phase1_lifetime"),
        esp_life_seconds=table.number("phase2_lifetime"),
        esp_life_kilobytes=table.number("phase2_volume"),
        natt=permitted(table.text("nat_traversal"), on),
        natt_force=table.text("nat_traversal") == "force",
        over_udp=table.flag("ipsec_over_udp"),
        keepalive_seconds=table.number("keepalive_interval"),
        liveness=liveness(table),
    )
    return KeyedGroup(made, key)


def _ways(table: Table) -> tuple[str, ...]:
    """How the people of a group may prove themselves."""
    ways = table.texts("authentication")
    if not table.gives("authentication"):
        return ways  # those of the gateway, which are looked at there
    if not ways:
        table.problem("authentication", "authentication is empty: nobody could prove anything")
    for way in ways:
        if way not in AUTHENTICATION:
            hint = suggestion(way, AUTHENTICATION)
            table.problem("authentication", f"there is no authentication {shown(way)}{hint}")
    return ways


def check_early(table: Table, on: frozenset[str]) -> None:
    """NAT traversal by its first drafts alone needs their switch."""
    if table.text("nat_traversal") == "early" and EARLY_SWITCH not in on:
        table.problem(
            "nat_traversal",
            f'nat_traversal "early" needs the legacy switch {EARLY_SWITCH} '
            f'({SWITCHES[EARLY_SWITCH]}); add "{EARLY_SWITCH}" to legacy, or take "auto"',
        )


def _check_group(table: Table, on: frozenset[str], key: Secret, *, aggressive: bool) -> None:
    check_early(table, on)
    name = table.text("name")
    if table.gives("name") and not (0 < len(name.encode()) <= LONGEST_GROUP_NAME):
        table.problem("name", f"name: a group name has 1 to {LONGEST_GROUP_NAME} octets")
    if aggressive and AGGRESSIVE_PSK not in on:
        table.problem(
            "legacy",
            f"group {shown(name)}: clients with a group key come by aggressive mode "
            f'({SWITCHES[AGGRESSIVE_PSK]}); add "{AGGRESSIVE_PSK}" to legacy to let them',
        )
    if key and not strong(key) and WEAK_KEY not in on:
        table.problem(
            "key_file" if table.gives("key_file") else "key",
            f"the key of group {shown(name)} has at most {bits(key)} bits where {SAFE_BITS} are "
            f"needed: {SWITCHES[WEAK_KEY]}; `culvert gateway group add` makes a good one, or "
            f'add "{WEAK_KEY}" to legacy',
        )
    if len(table.text("banner").encode()) > LONGEST_BANNER:
        table.problem("banner", f"banner is longer than {LONGEST_BANNER} octets")
    if table.text("firewall") == "required" and table.text("mode_config") == "push":
        table.problem(
            "firewall",
            'firewall = "required" needs mode_config = "pull": only who asks '
            "for its settings says which firewall it has",
        )
    if len(table.texts("backup_servers")) > MOST_BACKUP_SERVERS:
        table.problem(
            "backup_servers", f"clients keep {MOST_BACKUP_SERVERS} backup_servers at most"
        )
    if table.text("default_domain") and not _DOMAIN.fullmatch(table.text("default_domain")):
        table.problem("default_domain", "default_domain is no domain name")


def _pool(table: Table, known: Sequence[str]) -> str:
    name = table.text("pool")
    if not name and len(known) == 1:
        return known[0]
    if not name:
        table.problem(
            "pool",
            f"group {shown(table.text('name'))} has no pool, so its people get no address"
            f"{suggestion(name, known) if known else '; add a [[pool]]'}",
        )
    elif name not in known:
        hint = suggestion(name, known) if known else "; add a [[pool]]"
        table.problem("pool", f"there is no pool {shown(name)}{hint}")
    return name


def liveness(table: Table) -> Liveness:
    return Liveness(table.number("dpd_delay"), table.number("dpd_retry"), table.number("dpd_tries"))


def key_of(table: Table, folder: Path) -> Secret:
    """The pre-shared key of a group or a site."""
    what = f"{table.place[0]} {shown(table.text('name'))}"
    if table.text("key") and table.text("key_file"):
        table.problem("key_file", f"{what} has key and key_file; one of them is too much")
    if table.text("key_file"):
        return _key_in_file(table, folder / table.text("key_file"))
    if not table.text("key"):
        table.problem("key", f"{what} has no key: put it into a file and name it as key_file")
    return Secret(table.text("key"))


def _key_in_file(table: Table, path: Path) -> Secret:
    try:
        mode, text = path.stat().st_mode, path.read_text("utf-8")
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        table.problem("key_file", f"key_file {path} cannot be read: {why}")
        return Secret("")
    if mode & OTHERS:
        table.warning("key_file", f"key_file {path} is open to others; chmod 600 {path}")
    key = text.removesuffix("\n").removesuffix("\r")
    if not key or "\n" in key:
        table.problem("key_file", f"key_file {path} must hold the key in one line and nothing else")
        return Secret("")
    return Secret(key)


# --- users -------------------------------------------------------------------------------------


def users(
    tables: Sequence[Table], known_groups: Sequence[str], settings: Table, on: frozenset[str]
) -> tuple[Account, ...]:
    """The people named in the file itself."""
    same_names(tables)
    backend = settings.text("backend")
    if backend == FAST_HASH and FAST_HASH not in on:
        settings.problem(
            "backend",
            f"backend {FAST_HASH} needs the legacy switch of that name ({SWITCHES[FAST_HASH]}); "
            f'add "{FAST_HASH}" to legacy of [gateway], or use "local"',
        )
    return tuple(_user(table, known_groups, backend) for table in tables)


def _user(table: Table, known_groups: Sequence[str], backend: str) -> Account:
    name = table.text("name")
    if table.gives("name"):
        try:
            check_name(name)
        except ConfigError as error:
            table.problem("name", error.what)
    for group in table.texts("groups"):
        if group not in known_groups:
            hint = suggestion(group, known_groups) if known_groups else ""
            table.problem("groups", f"user {shown(name)}: there is no group {shown(group)}{hint}")
    stored = table.text("password_hash")
    if table.gives("password_hash") and not SCHEMES[backend].knows(stored):
        table.problem(
            "password_hash",
            f"password_hash of {shown(name)} is no hash of back end {backend}, or a weaker one "
            "than it makes; make one with `culvert gateway user hash`",
        )
    return Account(name, stored, frozenset(table.texts("groups")), table.flag("enabled"))
