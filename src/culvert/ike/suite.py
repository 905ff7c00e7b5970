"""Suites: what one transform of phase 1 or one proposal of phase 2 stands for, by name.

Names are built from the tokens of tables/algorithms.toml and groups.toml in strongSwan's manner:
``aes256-sha2_256-modp2048`` (phase 1), ``aes128-sha1`` or ``aes256gcm16-modp2048`` (phase 2, the
group asks for PFS), ``aes128-sha1-lzs`` with packets compressed (IPComp). The names of
tables/proposal_names.py stand for such tokens.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Protocol, Self, TypeVar

from culvert.errors import ConfigError
from culvert.tables.algorithms import (
    AUTHENTICATIONS,
    COMPRESSIONS,
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
    Authentication,
    Compression,
    EspCipher,
    Group,
    Hash,
    IkeCipher,
    Integrity,
)
from culvert.tables.proposal_names import proposal_name, tokens_of, way_of


class _Named(Protocol):
    @property
    def legacy(self) -> str: ...
    @property
    def weak(self) -> str: ...


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """Everything one phase 1 transform fixes, lifetime aside."""

    cipher: IkeCipher
    hash: Hash
    group: Group
    authentication: Authentication

    @classmethod
    def named(cls, name: str, authentication: str = "") -> Self:
        """Without ``authentication`` it is the name's own, for tokens xauth-psk.

        Raises ConfigError that says which word is not known.
        """
        words = tokens_of(name, 1).lower().split("-")
        if len(words) != 3:
            raise ConfigError(
                f"phase 1 proposal {name!r}: three words are wanted, cipher-hash-group, "
                "as in aes256-sha2_256-modp2048"
            )
        return cls(
            _find("cipher", words[0], _IKE_CIPHERS, name),
            _find("hash", words[1], _HASHES, name),
            _find("group", words[2], _GROUPS, name),
            AUTHENTICATION[authentication or way_of(name) or "xauth-psk"],
        )

    @property
    def name(self) -> str:
        return f"{self.cipher.token}-{self.hash.token}-{self.group.token}"

    @property
    def legacy(self) -> frozenset[str]:
        """Switches that must be on for this suite."""
        return _legacy((self.cipher, self.hash, self.group))

    @property
    def weak(self) -> tuple[str, ...]:
        return _weak((self.cipher, self.hash, self.group))


@dataclass(frozen=True, slots=True)
class EspSuite:
    """Everything one phase 2 proposal fixes, lifetime and encapsulation aside."""

    cipher: EspCipher
    integrity: Integrity | None
    pfs: Group | None = None
    compression: Compression | None = None

    @classmethod
    def named(cls, name: str) -> Self:
        """Raises ConfigError that says which word is not known."""
        words = _esp_words(name)
        cipher = _find("cipher", words.pop(0), _ESP_CIPHERS, name)
        integrity = None
        if not cipher.aead:
            if not words:
                raise ConfigError(
                    f"phase 2 proposal {name!r}: {cipher.token} needs an integrity algorithm too, "
                    f"as in {cipher.token}-sha2_256"
                )
            integrity = _find("integrity algorithm", words.pop(0), _INTEGRITIES, name)
        compression = _COMPRESSIONS[words.pop(0)] if words and words[0] in _COMPRESSIONS else None
        pfs = _find("group", words.pop(0), _GROUPS, name) if words else None
        if words:
            raise ConfigError(f"phase 2 proposal {name!r}: {'-'.join(words)!r} is too much")
        return cls(cipher, integrity, pfs, compression)

    @property
    def name(self) -> str:
        parts = (self.cipher, self.integrity, self.compression, self.pfs)
        return "-".join(part.token for part in parts if part is not None)

    @property
    def pfs_word(self) -> str:
        return self.pfs.token if self.pfs else "none"

    @property
    def authentication_label(self) -> str:
        """What proves each packet genuine: an AEAD cipher does it itself."""
        return self.integrity.label if self.integrity else "AEAD"

    @property
    def key_octets(self) -> int:
        """Octets of KEYMAT one direction takes."""
        integrity = self.integrity.key_octets if self.integrity else 0
        return self.cipher.key_octets + self.cipher.salt_octets + integrity

    @property
    def legacy(self) -> frozenset[str]:
        return _legacy((self.cipher, self.integrity, self.pfs, self.compression))

    @property
    def weak(self) -> tuple[str, ...]:
        return _weak((self.cipher, self.integrity, self.pfs, self.compression))


def _esp_words(name: str) -> list[str]:
    """The tokens; those of a name, with perhaps a group behind it."""
    words = name.lower().split("-")
    for length in range(len(words), 0, -1):
        row = proposal_name("-".join(words[:length]), 2)
        if row is not None:
            return [*row.tokens.split("-"), *words[length:]]
    return words


def ike_suites(names: Iterable[str], ways: Iterable[str]) -> tuple[IkeSuite, ...]:
    """Each way to authenticate with every proposal; a name that stands for one way with that."""
    known = tuple(names)
    return tuple(
        [IkeSuite.named(name, way) for way in ways for name in known if way_of(name) in ("", way)]
    )


def _legacy(parts: Iterable[_Named | None]) -> frozenset[str]:
    return frozenset(part.legacy for part in parts if part is not None and part.legacy)


def _weak(parts: Iterable[_Named | None]) -> tuple[str, ...]:
    return tuple(part.weak for part in parts if part is not None and part.weak)


_Part = TypeVar("_Part")


def _find(what: str, word: str, known: dict[str, _Part], name: str) -> _Part:
    found = known.get(word)
    if found is None:
        close = get_close_matches(word, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(sorted(known))}"
        raise ConfigError(f"proposal {name!r}: {word!r} is no {what}; {hint}")
    return found


_IKE_CIPHERS = {row.token: row for row in IKE_CIPHERS}
_ESP_CIPHERS = {row.token: row for row in ESP_CIPHERS}
_COMPRESSIONS = {row.token: row for row in COMPRESSIONS}
_GROUPS = {row.token: row for row in GROUPS}
_HASHES = {word: row for row in HASHES for word in (row.token, *row.aliases)}
_INTEGRITIES = {word: row for row in INTEGRITIES for word in (row.token, *row.aliases)}
AUTHENTICATION = {row.name: row for row in AUTHENTICATIONS}
