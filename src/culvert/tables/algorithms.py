"""Rows of algorithms.toml and groups.toml, found by token or number."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.tables.loader import rows


@dataclass(frozen=True, slots=True)
class IkeCipher:
    token: str
    cipher: str
    number: int
    key_bits: int
    key_octets: int
    block: int
    label: str
    legacy: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True)
class Hash:
    token: str
    name: str
    number: int
    octets: int
    label: str
    aliases: tuple[str, ...] = ()
    legacy: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """How the ends prove themselves. ``skeyid``: what SKEYID follows from, "psk" or "signature"
    (what was exchanged). ``proof_i`` and ``proof_r``: what each end proves itself by in phase 1,
    "hash" or "signature". ``xauth``: the caller's person proves itself after it."""

    name: str
    number: int
    label: str
    xauth: bool
    skeyid: str
    proof_i: str
    proof_r: str

    @property
    def signed(self) -> bool:
        """Whether any certificate is needed."""
        return "signature" in (self.proof_i, self.proof_r)


@dataclass(frozen=True, slots=True)
class EspCipher:
    token: str
    cipher: str
    number: int
    key_bits: int
    key_octets: int
    label: str
    wireshark: str
    salt_octets: int = 0
    aead: bool = False
    legacy: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True)
class Integrity:
    token: str
    name: str
    number: int
    key_octets: int
    label: str
    wireshark: str
    aliases: tuple[str, ...] = ()
    legacy: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True)
class Compression:
    """IPComp: ``number`` is that of the transform, and the well-known CPI."""

    token: str
    number: int
    label: str
    legacy: str = ""
    weak: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """A MODP group (``prime`` is hexadecimal text, ``k`` the constant of its formula), or one of
    points on a ``curve``."""

    number: int
    token: str
    bits: int
    k: int = 0
    prime: str = ""
    curve: str = ""
    legacy: str = ""
    weak: str = ""

    @property
    def field_octets(self) -> int:
        """The width of g^xy: a whole value, or a point's x."""
        return (self.bits + 7) // 8

    @property
    def octets(self) -> int:
        """The width of a public value: points are x and y (RFC 5903 §7)."""
        return self.field_octets * (2 if self.curve else 1)


IKE_CIPHERS = rows("algorithms.toml", "ike_cipher", IkeCipher)
HASHES = rows("algorithms.toml", "hash", Hash)
AUTHENTICATIONS = rows("algorithms.toml", "authentication", Authentication)
ESP_CIPHERS = rows("algorithms.toml", "esp_cipher", EspCipher)
INTEGRITIES = rows("algorithms.toml", "integrity", Integrity)
COMPRESSIONS = rows("algorithms.toml", "compression", Compression)
GROUPS = rows("groups.toml", "group", Group)

_Row = IkeCipher | Hash | EspCipher | Integrity | Compression | Group
_CIPHERS: tuple[_Row, ...] = (*IKE_CIPHERS, *HASHES, *ESP_CIPHERS, *INTEGRITIES)
_ROWS: tuple[_Row, ...] = (*_CIPHERS, *COMPRESSIONS, *GROUPS)

LEGACY_SWITCHES = frozenset([row.legacy for row in _ROWS if row.legacy])
"""Every switch that lets something weak in."""
