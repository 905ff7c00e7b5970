"""Hashes and HMACs against published answers (FIPS 180-4, RFC 1321, 2202, 4231)."""

from __future__ import annotations

import pytest

from culvert.crypto.hash import digest, hmac, same
from culvert.tables.algorithms import HASHES

ABC = {
    "md5": "900150983cd24fb0d6963f7d28e17f72",
    "sha1": "a9993e364706816aba3e25717850c26c9cd0d89d",
    "sha2-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "sha2-384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
    "8086072ba1e7cc2358baeca134c825a7",
    "sha2-512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
}
# Test case 2 of RFC 2202 and RFC 4231: key "Jefe".
JEFE = {
    "md5": "750c783e6ab0b503eaa86e310a5db738",
    "sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "sha2-256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha2-384": "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
    "8e2240ca5e69e2c78b3239ecfab21649",
    "sha2-512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
}


@pytest.mark.parametrize("name", sorted(ABC))
def test_digests_are_the_published_ones(name: str) -> None:
    assert digest(name, b"abc").hex() == ABC[name]


@pytest.mark.parametrize("name", sorted(JEFE))
def test_hmacs_are_the_published_ones(name: str) -> None:
    assert hmac(name, b"Jefe", b"what do ya want for nothing?").hex() == JEFE[name]


def test_every_hash_of_the_table_works_and_has_its_size() -> None:
    assert {row.name for row in HASHES} == set(ABC)
    for row in HASHES:
        assert len(digest(row.name, b"")) == len(hmac(row.name, b"k", b"")) == row.octets


def test_same_is_equality() -> None:
    assert same(b"abc", b"abc")
    assert not same(b"abc", b"abd")
    assert not same(b"abc", b"ab")
