"""Diffie-Hellman in the MODP groups (RFC 2409 §6, RFC 3526) and on curves (RFC 5903).

Values are always group-wide."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ec

from culvert.crypto.modexp import Modulus
from culvert.errors import ProtocolError
from culvert.rng import Random
from culvert.tables.algorithms import GROUPS, Group

_CURVES: dict[str, ec.EllipticCurve] = {
    curve.name: curve for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())
}
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
        """g^xy, as wide as the group's field. Raises KeyExchangeError for a value that is none."""
        check_public(self.group, peer_public)
        row = _BY_NUMBER[self.group]
        if row.curve:
            own = ec.derive_private_key(int.from_bytes(self.private, "big"), _CURVES[row.curve])
            return own.exchange(ec.ECDH(), _point(row, peer_public))  # x alone (RFC 5903 §9)
        modulus, _ = _modulus(row)
        return modulus.power(peer_public, self.private)


def check_public(group_number: int, public: bytes) -> None:
    """Costs next to nothing, so it comes before the work. Raises KeyExchangeError."""
    row = _BY_NUMBER[group_number]
    if len(public) != row.octets:
        raise KeyExchangeError(
            f"public value of {len(public)} octets in group {row.number}, which has {row.octets}"
        )
    if row.curve:
        _point(row, public)
        return
    _, prime = _modulus(row)
    if not 1 < int.from_bytes(public, "big") < prime - 1:
        raise KeyExchangeError(f"public value outside 2 … p-2 of group {row.number}")


def key_pair(group_number: int, rng: Random) -> KeyPair:
    """A fresh private value (RFC 3526 §8: twice the group's strength) and its public one."""
    row = _BY_NUMBER[group_number]
    if row.curve:
        return _point_pair(row, rng)
    modulus, _ = _modulus(row)
    private = rng.octets(32 if row.bits <= 3072 else 64)
    # The top bit set keeps the length, and with it the running time, the same for all.
    private = bytes([private[0] | 0x80]) + private[1:]
    return KeyPair(group_number, modulus.power(_GENERATOR, private), private)


def _point(row: Group, public: bytes) -> ec.EllipticCurvePublicKey:
    """x and y as a point of the curve; one of another curve would leak our key piece by piece."""
    half = row.field_octets
    x, y = int.from_bytes(public[:half], "big"), int.from_bytes(public[half:], "big")
    try:
        return ec.EllipticCurvePublicNumbers(x, y, _CURVES[row.curve]).public_key()
    except ValueError:
        raise KeyExchangeError(f"public value is no point of group {row.number}") from None


def _point_pair(row: Group, rng: Random) -> KeyPair:
    """One bit less than the order has, and the top one of them set: below the order, never 0."""
    value = int.from_bytes(rng.octets(row.field_octets), "big")
    top = 1 << (row.bits - 2)
    value = value % top | top
    private = ec.derive_private_key(value, _CURVES[row.curve])
    numbers, half = private.public_key().public_numbers(), row.field_octets
    public = numbers.x.to_bytes(half, "big") + numbers.y.to_bytes(half, "big")
    return KeyPair(row.number, public, value.to_bytes(half, "big"))


@cache
def _modulus(row: Group) -> tuple[Modulus, int]:
    prime = int(row.prime, 16)
    return Modulus(prime), prime
