"""Profile: one saved connection, the native model that every foreign format is adapted to.

A Profile that exists is valid: construction refuses with every mistake at once. Names of keys,
their kinds, ranges and defaults stand in tables/profile_keys.toml.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from types import MappingProxyType

from culvert.errors import ConfigError
from culvert.profile.identifiers import wrong_identifiers
from culvert.profile.inside import unusable
from culvert.profile.name_service import wrong_name_service
from culvert.profile.proposal import (
    AGGRESSIVE_PSK,
    EARLY_SWITCH,
    WEAKNESSES,
    group_of,
    group_problem,
    in_order,
    problem,
    shown,
    suggestion,
    switch_of_group,
    switches_of,
)
from culvert.profile.topology import EVERYTHING, wrong_shape
from culvert.profile.watching import wrong_watch
from culvert.secret import Secret
from culvert.tables.loader import rows
from culvert.tables.proposal_names import way_of

LONGEST_TEXT = 1024
"""Characters in one text value: far above any real name or key, so a binary file fails early."""
LONGEST_LIST = 64
"""Entries of one list: the bound that RFC-conforming peers must bear for transforms as well."""
LONGEST_EXTRA = 512
"""Foreign keys kept in one profile; real .pcf files have about 40."""

Foreign = Mapping[str, Mapping[str, str]]
"""Keys of other formats that have no meaning here: format → key → value, as they stood."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a profile, a row of tables/profile_keys.toml."""

    name: str
    kind: str
    default: str
    scope: str
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    low: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Authentication:
    """A way to authenticate: what is offered in phase 1 for it, best first (rows of
    tables/algorithms.toml), and whether that takes the group key or a certificate of one's own."""

    name: str
    meaning: str
    methods: tuple[str, ...]
    group_key: bool = False
    certificate: bool = False


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with the value of ``key``, as a sentence; the line where a file has it."""

    key: str
    sentence: str
    line: int = 0


KEYS = {key.name: key for key in rows("profile_keys.toml", "key", Key)}
AUTHENTICATIONS = {
    row.name: row for row in rows("profile_names.toml", "authentication", Authentication)
}
NO_FOREIGN: Foreign = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Profile:
    """One saved connection. ``name`` is what it is called on the command line.

    ``preset`` is where the file's defaults came from; the values themselves are all here. ``pfs``
    None: no further Diffie-Hellman. ``mtu`` None: found out. A secret that is None is asked for.
    ``extra`` keeps foreign keys, so that they survive a round trip.

    Raises ConfigError with every mistake, not only the first.
    """

    name: str
    host: str
    description: str = ""
    preset: str = "none"
    backup_hosts: tuple[str, ...] = ()
    command_before: str = ""
    authentication: str = "xauth-psk"
    group: str = ""
    group_key: Secret | None = None
    certificate: str = ""
    ca: tuple[str, ...] = ()
    local_id: str = ""
    verify_remote_id: bool = True
    remote_id: str = ""
    revocation: str = "soft"
    fetch_targets: tuple[str, ...] = ()
    user: str = ""
    password: Secret | None = None
    domain: str = ""
    save_password: bool = False
    keychain: bool = False
    exchange_mode: str = "aggressive"
    transport: str = "chosen"
    nat_traversal: str = "auto"
    ike_port: str = "prefer-fixed"
    natt_port: str = "prefer-fixed"
    ipsec_over_udp: bool = False
    ipsec_over_tcp: bool = False
    tcp_port: int = 10_000
    ike_fragmentation: bool = True
    phase1: tuple[str, ...] = ("aes256-sha2_256-modp2048", "aes128-sha2_256-modp2048")
    phase2: tuple[str, ...] = (
        "aes256gcm16",
        "aes128gcm16",
        "aes256-sha2_256",
        "aes128-sha2_256",
    )
    one_proposal: bool = False
    pfs: str | None = None
    legacy: tuple[str, ...] = ()
    phase1_lifetime: int = 86_400
    phase2_lifetime: int = 3_600
    phase2_volume: int = 0
    dpd_delay: int = 30
    dpd_timeout: int = 90
    peer_timeout: int = 90
    reconnect: int = 3600
    fail_closed: bool = True
    host_name: str = ""
    firewall_claim: bool = False
    topology: str = "network"
    transport_mode: bool = False
    provisioning: str = "mode-config"
    local_address: str = ""
    local_networks: tuple[str, ...] = ()
    remote_networks: tuple[str, ...] = (EVERYTHING,)
    use_two_phase2: bool = False
    allow_local_lan: bool = False
    mtu: int | None = None
    fragmentation: str = "before-with-icmp"
    copy_dscp: bool = True
    copy_ecn: bool = True
    dns: str = "apply"
    dns_servers: tuple[str, ...] = ()
    search_domains: tuple[str, ...] = ()
    dns_mode: str = "auto"
    dns_test_name: str = "example.com"
    keepalive_interval: int = 10
    heartbeat_interval: int = 20
    keepalive: int = 0
    polling: tuple[str, ...] = ()
    polling_interval: int = 30
    polling_retries: int = 5
    polling_source: str = ""
    locked: tuple[str, ...] = ()
    extra: Foreign = field(default_factory=lambda: NO_FOREIGN)

    def __post_init__(self) -> None:
        if found := tuple(mistakes(self)):
            raise InvalidProfile(found)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Every gateway, in the order to try."""
        return (self.host, *self.backup_hosts)

    @property
    def holds_secrets(self) -> bool:
        """Whether whoever reads this profile learns a secret."""
        return bool(self.group_key or self.password) or any(
            sounds_secret(key) for kept in self.extra.values() for key in kept
        )


class InvalidProfile(ConfigError):
    """A profile that cannot be; carries every mistake with its key."""

    def __init__(self, found: tuple[Mistake, ...], *, path: str = "") -> None:
        self.mistakes = found
        told = [f"{mistake.key}: {mistake.sentence}" for mistake in found]
        rest = [
            f"{path}:{mistake.line}: {sentence}" if mistake.line else f"{path}: {sentence}"
            for mistake, sentence in zip(found[1:], told[1:], strict=True)
        ]
        what = "\n".join([told[0], *rest]) if path else "; ".join(told)
        super().__init__(what, path=path, line=found[0].line)


def changed(before: Profile, after: Profile) -> tuple[Key, ...]:
    """The keys whose values differ."""
    return tuple(
        [key for key in KEYS.values() if getattr(before, key.name) != getattr(after, key.name)]
    )


def sounds_secret(key: str) -> bool:
    """Whether the value of a foreign key should be treated as a secret, judged by its name."""
    return bool(re.search(r"pass|pwd|secret|pin\b|psk|key$", key, re.IGNORECASE))


def mistakes(profile: Profile) -> Iterator[Mistake]:
    """Everything that is wrong with these values, in the order of the keys."""
    yield from _texts(profile)
    yield from _choices(profile)
    yield from _numbers(profile)
    yield from _identity(profile)
    yield from _proposals(profile)
    yield from _networks(profile)
    yield from topology_mistakes(profile)
    yield from watch_mistakes(profile)
    yield from _kept(profile)


TEXTS = (
    *("description", "group", "certificate", "local_id", "remote_id", "user", "domain"),
    "host_name",
)
NAME = re.compile(r"\w[\w .@+()-]{0,63}")
_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
HOST = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*\.?")


def _texts(profile: Profile) -> Iterator[Mistake]:
    if not NAME.fullmatch(profile.name) or profile.name != profile.name.strip():
        yield Mistake(
            "name",
            f"{shown(profile.name)} cannot be a name: at most 64 letters, digits, spaces or "
            ". _ @ + ( ) -, and a letter or digit first",
        )
    for key in TEXTS:
        value: str = getattr(profile, key)
        if sentence := _text_problem(value):
            yield Mistake(key, sentence)
    for key in ("group_key", "password"):
        secret: Secret | None = getattr(profile, key)
        if secret is not None and not secret:
            yield Mistake(key, "is empty; leave the key out to be asked for it")
        elif secret is not None and (sentence := _text_problem(secret.reveal())):
            yield Mistake(key, sentence)
    for row in KEYS.values():
        if row.kind == "list" and len(getattr(profile, row.name)) > LONGEST_LIST:
            yield Mistake(row.name, f"has more than {LONGEST_LIST} entries")


def _text_problem(value: str) -> str:
    if len(value) > LONGEST_TEXT:
        return f"is longer than {LONGEST_TEXT} characters"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in value):
        return "has control characters in it"
    return ""


def _choices(profile: Profile) -> Iterator[Mistake]:
    way = AUTHENTICATIONS.get(profile.authentication)
    if way is None:
        known = set(AUTHENTICATIONS)
        yield Mistake(
            "authentication",
            f"unknown way {shown(profile.authentication)}"
            f"{suggestion(profile.authentication, known)}",
        )
    for key in KEYS.values():
        value = getattr(profile, key.name)
        if key.choices and value not in key.choices:
            yield Mistake(key.name, f"unknown value {shown(value)}{suggestion(value, key.choices)}")


def _numbers(profile: Profile) -> Iterator[Mistake]:
    for key in KEYS.values():
        value: int | None = getattr(profile, key.name) if key.kind == "number" else None
        if value is not None and not key.low <= value <= key.high:
            yield Mistake(key.name, f"{value} is not between {key.low} and {key.high} {key.unit}")
    if profile.dpd_timeout <= profile.dpd_delay:
        yield Mistake(
            "dpd_timeout",
            f"must be longer than dpd_delay ({profile.dpd_delay} seconds), or no answer would "
            "ever come in time",
        )


def _identity(profile: Profile) -> Iterator[Mistake]:
    for key, hosts in (("host", (profile.host,)), ("backup_hosts", profile.backup_hosts)):
        for host in hosts:
            if not _is_host(host):
                yield Mistake(key, f"{shown(host)} is neither a host name nor an address")
            elif ":" in host:
                yield Mistake(
                    key,
                    f"{shown(host)} is an IPv6 address, and gateways are called over IPv4 only: "
                    "give the gateway's IPv4 address, or a name that has one",
                )
    way = AUTHENTICATIONS.get(profile.authentication)
    for key, sentence in wrong_identifiers(
        profile.local_id,
        profile.remote_id,
        certified=way is not None and way.certificate,
        exchange_mode=profile.exchange_mode,
    ):
        yield Mistake(key, sentence)
    if way is None or way.certificate:
        return
    nameless = way.name == "psk" and profile.exchange_mode == "main"
    if not profile.group and not nameless:
        yield Mistake("group", f"is needed with {way.name}: the group name given by your gateway")
    if not way.group_key:
        return
    if profile.exchange_mode == "aggressive" and AGGRESSIVE_PSK not in profile.legacy:
        yield Mistake(
            "legacy",
            f'must contain "{AGGRESSIVE_PSK}", because aggressive mode uses it and it is weak: '
            f"{WEAKNESSES[AGGRESSIVE_PSK]}",
        )


def _is_host(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return bool(HOST.fullmatch(host)) and not host.replace(".", "").isdecimal()
    return "%" not in host


def _proposals(profile: Profile) -> Iterator[Mistake]:
    needed: list[tuple[str, str]] = []
    for key, phase, names in (("phase1", 1, profile.phase1), ("phase2", 2, profile.phase2)):
        if not names:
            yield Mistake(key, "needs at least one proposal")
        for name in names:
            if (sentence := problem(name, phase)) or (
                phase == 1 and (sentence := _other_way(profile, name))
            ):
                yield Mistake(key, sentence)
            else:
                needed += [(switch, name) for switch in switches_of(name, phase)]
    groups = sorted({group_of(name) for name in profile.phase1 if not problem(name, 1)})
    if len(groups) > 1 and profile.exchange_mode == "aggressive":
        yield Mistake(
            "phase1",
            f"uses several groups ({', '.join(groups)}); aggressive mode can offer only one, "
            "because its first message already carries the key",
        )
    if profile.pfs is not None:
        if sentence := group_problem(profile.pfs):
            yield Mistake("pfs", sentence)
        elif switch := switch_of_group(profile.pfs):
            needed.append((switch, profile.pfs))
    yield from _early(profile)
    yield from _switches(profile.legacy, needed)


def _early(profile: Profile) -> Iterator[Mistake]:
    if profile.nat_traversal == "early" and EARLY_SWITCH not in profile.legacy:
        yield Mistake(
            "legacy",
            f'must contain "{EARLY_SWITCH}" for nat_traversal "early"; it is weak: '
            f"{WEAKNESSES[EARLY_SWITCH]}",
        )


def _other_way(profile: Profile, name: str) -> str:
    way, row = way_of(name), AUTHENTICATIONS.get(profile.authentication)
    if not way or row is None or way in row.methods:
        return ""
    return (
        f"{shown(name)} stands for authentication {way}, but this connection uses "
        f"{profile.authentication}: set authentication, or take another proposal"
    )


def _switches(given: tuple[str, ...], needed: list[tuple[str, str]]) -> Iterator[Mistake]:
    for switch in given:
        if switch not in WEAKNESSES:
            yield Mistake(
                "legacy", f"unknown switch {shown(switch)}{suggestion(switch, WEAKNESSES)}"
            )
    for switch in in_order(switch for switch, _ in needed):
        if switch not in given:
            names = [name for needs, name in needed if needs == switch]
            yield Mistake(
                "legacy",
                f'must contain "{switch}" to use {", ".join(dict.fromkeys(names))}; it is weak: '
                f"{WEAKNESSES[switch]}",
            )


def topology_mistakes(profile: Profile) -> Iterator[Mistake]:
    """What does not fit the topology."""
    for key, sentence in (*wrong_shape(profile), *wrong_name_service(profile)):
        yield Mistake(key, sentence)


def watch_mistakes(profile: Profile) -> Iterator[Mistake]:
    """What is wrong with line polling."""
    for key, sentence in wrong_watch(profile):
        yield Mistake(key, sentence)


def _networks(profile: Profile) -> Iterator[Mistake]:
    if not profile.remote_networks:
        yield Mistake("remote_networks", f'is empty; for everything write ["{EVERYTHING}"]')
    for text in profile.remote_networks:
        if wrong := unusable(text, "192.168.2.0/24"):
            yield Mistake("remote_networks", wrong)


def _kept(profile: Profile) -> Iterator[Mistake]:
    for key in profile.locked:
        if key not in KEYS:
            yield Mistake("locked", f"unknown key {shown(key)}{suggestion(key, KEYS)}")
    if profile.password is not None and not profile.save_password:
        yield Mistake("password", "may stand in a profile only with save_password = true")
    if sum(len(kept) for kept in profile.extra.values()) > LONGEST_EXTRA:
        yield Mistake("extra", f"keeps more than {LONGEST_EXTRA} foreign keys")
    for kept in profile.extra.values():
        for key, value in kept.items():
            if sentence := _text_problem(key) or _text_problem(value):
                yield Mistake("extra", f"{shown(key)} {sentence}")
