"""Our events in the words of older products, from tables/renderings.toml; else in our own words.

Each product's form of a record (its head, its numbering) has a module beside this one; all three
are objects, because their numbers and counts rise from record to record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_network
from types import MappingProxyType

from culvert.eventlog.entry import Entry
from culvert.eventlog.event import NO_FIELDS, Field
from culvert.eventlog.render import own
from culvert.eventlog.sentence import fits
from culvert.eventlog.wording import fill, one_line
from culvert.tables.algorithms import ESP_CIPHERS, INTEGRITIES
from culvert.tables.loader import rows
from culvert.tables.numbers import PAYLOADS
from culvert.tables.texts.vpn3000 import exchange_title

TABLE = "renderings.toml"
PAYLOAD_NUMBERS = {row.short: row.number for row in PAYLOADS.values()}
NONE = "0.0.0.0"  # noqa: S104  # how LANCOM shows that there is no server
POLL_SECONDS = 30
"""The usual interval of line polling (S3-10 row 23), which a connection without it has as well."""
SOFT = 0.9
"""New keys are made after this part of a lifetime (S3-10 row 21)."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a product for one of our events; the columns are explained in the table."""

    style: str
    code: str
    id: str
    lines: tuple[str, ...]
    when: Mapping[str, Field] = field(default_factory=lambda: NO_FIELDS)
    stands: bool = False


@cache
def records(style: str) -> Mapping[str, tuple[Record, ...]]:
    """The rows of one product by our code, in the table's order."""
    found: dict[str, tuple[Record, ...]] = {}
    for row in rows(TABLE, "record", Record):
        if row.style == style:
            found[row.code] = (*found.get(row.code, ()), row)
    return MappingProxyType(found)


Filled = tuple[str, list[str]]
"""Id and lines of one record."""


class Facts:
    """What a record needs that its event does not carry, from earlier events about the same."""

    def __init__(self) -> None:
        self._peers: dict[str, tuple[str, str]] = {}
        self._standing: set[str] = set()

    def fitting(self, entry: Entry, style: str) -> list[tuple[Record, list[str]]]:
        """The records for an entry, filled."""
        known = self._known(entry)
        return [
            (row, [one_line(fill(line, known)) for line in row.lines])
            for row in records(style).get(entry.code, ())
            if fits(entry, row.when)
        ]

    def whole(self, entry: Entry, style: str, ours: tuple[str, list[str]]) -> list[Filled]:
        """Id and lines of all records for an entry; ``ours`` is among them if none of the product's
        stands for it."""
        found = self.fitting(entry, style)
        stands = any(row.stands for row, _ in found)
        return [*[(row.id, lines) for row, lines in found], *([] if stands else [ours])]

    def _known(self, entry: Entry) -> Mapping[str, Field]:
        key = _key(entry)
        peer = str(entry.field("peer") or entry.field("public") or entry.field("source"))
        host, port = split(peer)
        if entry.code == "client.resolved":
            host = str(entry.field("address"))
        if host:
            self._peers[key] = (host, port or "500")
        last = self._peers.get(key, ("", "500"))
        if entry.code == "ike.phase1-established":
            self._standing.add(key)
        elif entry.code == "ike.over":
            self._standing.discard(key)
        made = _made(entry)
        made |= {"peer_host": host or last[0], "peer_last": last[0], "port_last": last[1]}
        made["phase1_count"] = len(self._standing)
        mine, theirs = str(entry.field("connection") or "<no_id>"), last[0]
        calls = entry.side == "client"
        made["initiator_id"] = mine if calls else theirs
        made["responder_id"] = theirs if calls else str(entry.field("group") or "<no_id>")
        return {**made, **entry.event.fields}


def _key(entry: Entry) -> str:
    return own.where(entry)


def split(peer: str) -> tuple[str, str]:
    """Host and port of ``192.0.2.1:500``, ``[2001:db8::1]:500`` or an address without port."""
    if peer.startswith("["):
        host, _, port = peer[1:].partition("]")
        return host, port.removeprefix(":")
    if peer.count(":") == 1:
        host, _, port = peer.partition(":")
        return host, port
    return peer, ""


def _made(entry: Entry) -> dict[str, Field]:
    """The fields that a wording may use besides those of the event."""
    of = entry.field
    named = str(of("connection") or of("user") or of("group") or "DEFAULT")
    cipher, _, rest = str(of("suite")).partition("-")
    life = of("life_seconds")
    kilobytes = of("life_kilobytes")
    firewall, _, capability = str(of("firewall")).partition(", capability ")
    made: dict[str, Field] = {
        "message_bare": _hex(of("message_id")).lower(),
        "sequence_bare": _hex(of("sequence")).lower(),
        "value_bare": _hex(_number(of("value"))),
        "payload_chain": _chain(str(of("payloads"))),
        "mode_upper": str(of("mode")).upper(),
        "role": "inititiator" if entry.side == "client" else "responder",
        "peer_name": named,
        "peer_again": named,
        "attribute_again": of("attribute"),
        "number_again": of("number"),
        "suite_cipher": cipher,
        "suite_hash": rest.partition("-")[0] or cipher,
        "esp_cipher": cipher.upper(),
        "esp_hmac": f"HMAC_{(rest or 'none').upper()}",
        "esp_bits": "".join(sign for sign in cipher[3:6] if sign.isdigit()) or "192",
        "product": firewall,
        "capability": capability,
        "soft_seconds": int(life * SOFT) if isinstance(life, int) else 0,
        "soft_kilobytes": int(kilobytes * SOFT) if isinstance(kilobytes, int) else 0,
        "local_masked": _masked(str(of("local"))),
        "remote_masked": _masked(str(of("remote"))),
        "remote_last": _last(str(of("remote"))),
        "poll_seconds": POLL_SECONDS,
    }
    made |= _header(entry) | _engine(str(of("suite")))
    for end in ("local", "remote"):
        made[f"{end}_address"], made[f"{end}_mask"] = _parted(str(of(end)))
    for name in ("dns", "nbns"):
        servers = of(name)
        first, second, *_ = (*(servers if isinstance(servers, tuple) else ()), NONE, NONE)
        made |= {f"{name}_1": first, f"{name}_2": second}
    for name in ("spi_in", "spi_out"):
        made[f"{name}_bare"] = _hex(of(name))
        made[f"{name}_lower"] = _hex(of(name)).lower()
    return made


def _header(entry: Entry) -> dict[str, Field]:
    """What the head of a message says, as far as it is not among the event's own fields."""
    cookie_i, _, cookie_r = str(entry.field("cookies")).partition("/")
    first, _, _ = str(entry.field("payloads")).partition(", ")
    encrypted = entry.field("encrypted") is True
    return {
        "cookie_i": _spaced(cookie_i),
        "cookie_r": _spaced(cookie_r),
        "first_payload": first or "NONE",
        "first_number": PAYLOAD_NUMBERS.get(first, 0),
        "exchange_long": exchange_title(str(entry.field("exchange"))),
        "flags": int(encrypted),
        "flag_names": "ENCRYPT" if encrypted else "none",
    }


def _spaced(cookie: str) -> str:
    """``C5 A0 F0 8B 69 60 D7 47``; eight zeros where there is none yet."""
    digits = (cookie or "0" * 16).upper()
    return " ".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _engine(suite: str) -> dict[str, Field]:
    """Octets of the keys, and the numbers of the algorithms (RFC 2407 §4.4.4 and §4.5)."""
    cipher, _, rest = suite.partition("-")
    by_cipher = next((row for row in ESP_CIPHERS if row.token == cipher), None)
    by_hash = next((row for row in INTEGRITIES if row.token == rest), None)
    block = 0 if by_cipher is None else 16 if by_cipher.token.startswith("aes") else 8
    return {
        "cipher_octets": by_cipher.key_octets if by_cipher else 0,
        "hash_octets": by_hash.key_octets if by_hash else 0,
        "iv_octets": 8 if by_cipher and by_cipher.aead else block,
        "esp_number": by_cipher.number if by_cipher else 0,
        "hmac_number": by_hash.number if by_hash else 0,
    }


def _parted(network: str) -> tuple[str, str]:
    address, _, mask = _masked(network).partition("/")
    return address, mask


def _hex(value: Field) -> str:
    """Eight digits, in network order as everywhere (S4-54)."""
    if isinstance(value, str):
        return value.removeprefix("0x").rjust(8, "0").upper()
    return f"{value:08X}" if isinstance(value, int) else "00000000"


def _number(value: Field) -> Field:
    return int(value) if isinstance(value, str) and value.isdigit() else value


def _chain(payloads: str) -> str:
    """``HASH (8) + NOTIFY (11) + NONE (0)``."""
    names = [name for name in payloads.split(", ") if name]
    return " + ".join(f"{name} ({PAYLOAD_NUMBERS.get(name, 0)})" for name in (*names, "NONE"))


def _masked(network: str) -> str:
    try:
        return ip_network(network, strict=False).with_netmask
    except ValueError:
        return network


def _last(network: str) -> str:
    """The address that a key request names: the only one of a host, else the broadcast."""
    try:
        return str(ip_network(network, strict=False).broadcast_address)
    except ValueError:
        return network
