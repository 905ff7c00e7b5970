"""algorithms.toml and groups.toml: primes rebuilt from their formula, sizes that fit together."""

from __future__ import annotations

from math import isqrt

import pytest

from culvert.tables.algorithms import (
    AUTHENTICATIONS,
    COMPRESSIONS,
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
    LEGACY_SWITCHES,
    Group,
)

MODP = [row for row in GROUPS if row.prime]


def arctangent_of_one_over(n: int, unit: int) -> int:
    total, power, divisor, sign = 0, unit // n, 1, 1
    while power:
        total += sign * (power // divisor)
        power //= n * n
        divisor += 2
        sign = -sign
    return total


def floor_of_pi_times_two_to_the(bits: int) -> int:
    """Machin: pi = 16 arctan(1/5) - 4 arctan(1/239), with 64 bits to spare."""
    unit = 1 << (bits + 64)
    return (16 * arctangent_of_one_over(5, unit) - 4 * arctangent_of_one_over(239, unit)) >> 64


def test_pi_is_pi() -> None:
    assert hex(floor_of_pi_times_two_to_the(64)) == "0x3243f6a8885a308d3"


@pytest.mark.parametrize("group", MODP, ids=lambda group: group.token)
def test_every_prime_is_what_its_formula_says(group: Group) -> None:
    """RFC 2409 §6.1 and RFC 3526: p = 2^n - 2^(n-64) - 1 + 2^64 ([2^(n-130) pi] + k)."""
    n = group.bits
    middle = floor_of_pi_times_two_to_the(n - 130) + group.k
    assert int(group.prime, 16) == 2**n - 2 ** (n - 64) - 1 + 2**64 * middle


@pytest.mark.parametrize("group", MODP, ids=lambda group: group.token)
def test_every_modulus_looks_prime_and_safe(group: Group) -> None:
    """Fermat to two bases for p and (p-1)/2 where that is quick."""
    p = int(group.prime, 16)
    assert p.bit_length() == group.bits == 8 * group.octets
    assert isqrt(p) ** 2 != p
    if group.bits <= 2048:
        for number in (p, (p - 1) // 2):
            assert pow(2, number - 1, number) == pow(3, number - 1, number) == 1


def test_group_numbers_are_those_of_the_rfcs() -> None:
    assert {group.number: group.bits for group in GROUPS} == {
        1: 768,
        2: 1024,
        5: 1536,
        14: 2048,
        15: 3072,
        16: 4096,
        17: 6144,
        18: 8192,
        19: 256,
        20: 384,
        21: 521,
    }
    for group in GROUPS:
        kind = "ecp" if group.curve else "modp"
        assert group.token == f"{kind}{group.bits}"
        assert bool(group.curve) != bool(group.prime)


def test_tokens_and_aliases_are_unambiguous() -> None:
    for table in (IKE_CIPHERS, ESP_CIPHERS, GROUPS):
        tokens = [row.token for row in table]
        assert len(tokens) == len(set(tokens))
    for table in (HASHES, INTEGRITIES):
        words = [word for row in table for word in (row.token, *row.aliases)]
        assert len(words) == len(set(words))


def test_numbers_with_their_key_lengths_are_unambiguous() -> None:
    for table in (IKE_CIPHERS, ESP_CIPHERS):
        pairs = [(row.number, row.key_bits) for row in table]
        assert len(pairs) == len(set(pairs))
    for rows in (HASHES, INTEGRITIES, AUTHENTICATIONS):
        numbers = [row.number for row in rows]
        assert len(numbers) == len(set(numbers))


def test_key_lengths_in_bits_and_octets_agree() -> None:
    for row in (*IKE_CIPHERS, *ESP_CIPHERS):
        assert row.key_bits in (0, 8 * row.key_octets), row.token


def test_whatever_is_weak_has_a_switch_and_the_other_way_round() -> None:
    for row in (*IKE_CIPHERS, *ESP_CIPHERS, *HASHES, *INTEGRITIES, *GROUPS, *COMPRESSIONS):
        assert bool(row.weak) == bool(row.legacy), row.token
    switches = {"des", "null", "3des", "md5", "sha1", "ipcomp", "modp768", "modp1024", "modp1536"}
    assert switches == LEGACY_SWITCHES


def test_only_aead_ciphers_have_a_salt() -> None:
    for row in ESP_CIPHERS:
        assert row.aead == bool(row.salt_octets), row.token
