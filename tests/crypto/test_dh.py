"""Diffie-Hellman in every group: both sides agree, and values that leak are refused."""

from __future__ import annotations

import pytest

from culvert.crypto.dh import KeyExchangeError, KeyPair, check_public, key_pair
from culvert.rng import SeededRandom
from culvert.tables.algorithms import GROUPS, Group

MODP = [group for group in GROUPS if group.prime]
CURVES = [group for group in GROUPS if group.curve]
every_modp_group = pytest.mark.parametrize("group", MODP, ids=lambda group: group.token)
every_curve = pytest.mark.parametrize("group", CURVES, ids=lambda group: group.token)
every_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.token)
SMALLEST = GROUPS[0]


def prime(group: Group) -> int:
    return int(group.prime, 16)


def wide(group: Group, value: int) -> bytes:
    return value.to_bytes(group.octets, "big")


@every_group
def test_both_sides_agree_on_a_value_as_wide_as_the_group(group: Group) -> None:
    ours, theirs = key_pair(group.number, SeededRandom(1)), key_pair(group.number, SeededRandom(2))
    shared = ours.shared(theirs.public)
    assert shared == theirs.shared(ours.public)
    assert len(ours.public) == len(theirs.public) == group.octets
    assert len(shared) == group.field_octets
    assert ours.public != theirs.public


@every_modp_group
def test_the_public_value_is_two_to_the_private(group: Group) -> None:
    pair = key_pair(group.number, SeededRandom(3))
    private = int.from_bytes(pair.private, "big")
    assert int.from_bytes(pair.public, "big") == pow(2, private, prime(group))
    # Twice the group's strength at least (RFC 3526 §8), and the top bit always set.
    assert private.bit_length() == (256 if group.bits <= 3072 else 512)


@every_modp_group
def test_values_that_leak_are_refused(group: Group) -> None:
    p = prime(group)
    pair = KeyPair(group.number, b"", b"\x05")
    for value in (0, 1, p - 1, p, p + 1, 2**group.bits - 1):
        with pytest.raises(KeyExchangeError, match=r"outside 2 … p-2"):
            pair.shared(wide(group, value))
    for value in (2, p - 2):
        check_public(group.number, wide(group, value))


@every_group
def test_a_value_of_another_width_is_refused(group: Group) -> None:
    public = key_pair(group.number, SeededRandom(1)).public
    for wrong in (b"", public[1:], b"\x00" + public, public[: group.octets // 2]):
        with pytest.raises(KeyExchangeError, match=f"which has {group.octets}"):
            check_public(group.number, wrong)


@every_modp_group
def test_a_shared_value_with_leading_zeros_keeps_its_width(group: Group) -> None:
    """2^3 is eight: everything before the last octet is zero and belongs to what is hashed."""
    shared = KeyPair(group.number, b"", b"\x03").shared(wide(group, 2))
    assert shared == wide(group, 8)


def test_a_real_shared_value_may_begin_with_zero() -> None:
    """1 in 256 does: dropping that octet makes keys differ once in a while."""
    ours = key_pair(SMALLEST.number, SeededRandom(1))
    found = (
        (ours.shared(theirs.public), theirs.shared(ours.public))
        for theirs in (key_pair(SMALLEST.number, SeededRandom(seed)) for seed in range(2, 5_000))
    )
    here, there = next(pair for pair in found if pair[0][0] == 0)
    assert here == there
    assert len(here) == SMALLEST.octets


def test_the_private_value_is_not_shown() -> None:
    assert "private" not in repr(key_pair(SMALLEST.number, SeededRandom(1)))


def test_two_pairs_are_never_the_same() -> None:
    rng = SeededRandom(1)
    assert len({key_pair(SMALLEST.number, rng).public for _ in range(20)}) == 20


def test_the_secret_of_two_points_is_the_printed_one() -> None:
    """RFC 5903 §8.1: the x coordinate alone, and public values of x and y."""
    i = "C88F01F510D9AC3F70A292DAA2316DE544E9AAB8AFE84049C62A9C57862D1433"
    public_r = (
        "D12DFB5289C8D4F81208B70270398C342296970A0BCCB74C736FC7554494BF63"
        "56FBF3CA366CC23E8157854C13C58D6AAC23F046ADA30F8353E74F33039872AB"
    )
    shared = "D6840F6B42F6EDAFD13116E0E12565202FEF8E9ECE7DCE03812464D04B9442DE"
    assert KeyPair(19, b"", bytes.fromhex(i)).shared(bytes.fromhex(public_r)).hex() == (
        shared.lower()
    )


@every_curve
def test_what_is_no_point_of_the_curve_is_refused(group: Group) -> None:
    public = key_pair(group.number, SeededRandom(1)).public
    for position in range(0, len(public), 7):
        bent = bytes([*public[:position], public[position] ^ 1, *public[position + 1 :]])
        with pytest.raises(KeyExchangeError, match="no point"):
            check_public(group.number, bent)
    with pytest.raises(KeyExchangeError, match="no point"):
        check_public(group.number, bytes(group.octets))
