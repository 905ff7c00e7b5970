"""Diffie-Hellman in the MODP groups (RFC 2409 §6, RFC 3526). Values are always group-wide."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from culvert.crypto.modexp import Modulus
from culvert.errors import ProtocolError
from culvert.rng import Random
from culvert.tables.algorithms import GROUPS, Group

_GENERATOR = b"\x02"
_BY_NUMBER = {group.number: group for group in GROUPS}


class KeyExchangeError(ProtocolError):
    """The peer's public value is none: wrong width, or one of the values that leak."""

    code = "peer.key-exchange"
    notify = 17  # INVALID-KEY-INFORMATION


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Our half of an exchange in group ``group``."""

    group: int
    public: bytes
    private: bytes = field(repr=False)

    def shared(self, peer_public: bytes) -> bytes:
        """g^xy, as wide as the group. Raises KeyExchangeError for a value that is none."""
        check_public(self.group, peer_public)
        modulus, _ = _modulus(_BY_NUMBER[self.group])
        return modulus.power(peer_public, self.private)


def check_public(group_number: int, public: bytes) -> None:
    """Costs nothing, so it comes before the work. Raises KeyExchangeError."""
    row = _BY_NUMBER[group_number]
    _, prime = _modulus(row)
    if len(public) != row.octets:
        raise KeyExchangeError(
            f"public value of {len(public)} octets in group {row.number}, which has {row.octets}"
        )
    if not 1 < int.from_bytes(public, "big") < prime - 1:
        raise KeyExchangeError(f"public value outside 2 … p-2 of group {row.number}")


def key_pair(group_number: int, rng: Random) -> KeyPair:
    """A fresh private value (RFC 3526 §8: twice the group's strength) and its public one."""
    row = _BY_NUMBER[group_number]
    modulus, _ = _modulus(row)
    private = rng.octets(32 if row.bits <= 3072 else 64)
    # The top bit set keeps the length, and with it the running time, the same for all.
    private = bytes([private[0] | 0x80]) + private[1:]
    return KeyPair(group_number, modulus.power(_GENERATOR, private), private)


@cache
def _modulus(row: Group) -> tuple[Modulus, int]:
    prime = int(row.prime, 16)
    return Modulus(prime), prime
