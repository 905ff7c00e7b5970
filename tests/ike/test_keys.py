"""Keys of IKEv1: expansion and sizes. The recorded connections are in test_vectors."""

from __future__ import annotations

import hmac

import pytest

from culvert.crypto.hash import digest
from culvert.ike.keys import (
    Phase1Keys,
    exchange_hash,
    exchange_iv,
    hash_i,
    hash_r,
    keymat,
    phase1_keys,
    quick_hash_3,
    split_keymat,
)
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.tables.algorithms import ESP_CIPHERS, INTEGRITIES

COOKIES = bytes(range(16))
NAMES = {"md5": "md5", "sha1": "sha1", "sha2_256": "sha256", "sha2_384": "sha384"}


def keys(cipher: str, hashed: str) -> Phase1Keys:
    suite = IkeSuite.named(f"{cipher}-{hashed}-modp1024")
    return phase1_keys(suite, b"skeyid", b"shared", COOKIES, b"public i", b"public r")


def prf(hashed: str, key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, NAMES[hashed])


@pytest.mark.parametrize("hashed", ["md5", "sha1", "sha2_256", "sha2_384"])
@pytest.mark.parametrize(("cipher", "octets"), [("3des", 24), ("aes128", 16), ("aes256", 32)])
def test_the_cipher_key_is_expanded_only_where_skeyid_e_is_too_short(
    cipher: str, octets: int, hashed: str
) -> None:
    """RFC 2409 App. B: Ka = K1 | K2 …, K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1)."""
    made = keys(cipher, hashed)
    e = made.skeyid_e
    first = prf(hashed, e, b"\x00")
    second = prf(hashed, e, first)
    wanted = e if len(e) >= octets else first + second
    assert made.cipher_key == wanted[:octets]
    assert len(made.cipher_key) == octets


@pytest.mark.parametrize("hashed", sorted(NAMES))
def test_the_chain_of_skeyids_and_the_first_iv(hashed: str) -> None:
    made = keys("aes256", hashed)
    d = prf(hashed, b"skeyid", b"shared" + COOKIES + b"\x00")
    a = prf(hashed, b"skeyid", d + b"shared" + COOKIES + b"\x01")
    e = prf(hashed, b"skeyid", a + b"shared" + COOKIES + b"\x02")
    assert (made.skeyid_d, made.skeyid_a, made.skeyid_e) == (d, a, e)
    publics = digest(keys("aes256", hashed).hash_name, b"public ipublic r")
    assert made.first_iv == publics[:16]
    assert keys("3des", hashed).first_iv == publics[:8]


def test_the_iv_of_an_exchange_is_as_wide_as_the_block() -> None:
    last = b"last block of 16"
    whole = digest("sha1", last + b"\x00\x00\x00\x07")
    assert exchange_iv(keys("aes128", "sha1"), last, 7) == whole[:16]
    assert exchange_iv(keys("3des", "sha1"), last, 7) == whole[:8]


def test_the_two_proofs_swap_publics_and_cookies() -> None:
    made = keys("aes128", "sha1")
    values = b"public i", b"public r", COOKIES, b"SA", b"ID"
    assert hash_i(made, *values) == prf("sha1", b"skeyid", b"public ipublic r" + COOKIES + b"SAID")
    swapped = COOKIES[8:] + COOKIES[:8]
    assert hash_r(made, *values) == prf("sha1", b"skeyid", b"public rpublic i" + swapped + b"SAID")


def test_hashes_of_exchanges_cover_message_id_nonces_and_the_rest() -> None:
    made = keys("aes128", "sha1")
    a = made.skeyid_a
    assert exchange_hash(made, 7, b"rest") == prf("sha1", a, b"\x00\x00\x00\x07rest")
    assert exchange_hash(made, 7, b"rest", b"Ni") == prf("sha1", a, b"\x00\x00\x00\x07Nirest")
    assert quick_hash_3(made, 7, b"Ni", b"Nr") == prf("sha1", a, b"\x00\x00\x00\x00\x07NiNr")


def suites() -> list[EspSuite]:
    return [
        EspSuite(cipher, integrity)
        for cipher in ESP_CIPHERS
        for integrity in ((None,) if cipher.aead else INTEGRITIES)
    ]


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.name)
@pytest.mark.parametrize("hashed", ["md5", "sha1", "sha2_256"])
def test_keymat_is_as_long_as_the_suite_wants_and_split_without_loss(
    suite: EspSuite, hashed: str
) -> None:
    made = keymat(keys("aes128", hashed), suite.key_octets, 3, b"spi!", b"Ni", b"Nr")
    assert len(made) == suite.key_octets
    cipher, salt, integrity = split_keymat(suite, made)
    assert cipher + salt + integrity == made
    assert (len(cipher), len(salt)) == (suite.cipher.key_octets, suite.cipher.salt_octets)


def test_keymat_goes_on_as_a_chain() -> None:
    """RFC 2409 §5.5: K2 = prf(SKEYID_d, K1 | seed)."""
    made = keys("aes128", "sha1")
    seed = b"g^xy" + b"\x03spi!" + b"NiNr"
    first = prf("sha1", made.skeyid_d, seed)
    second = prf("sha1", made.skeyid_d, first + seed)
    third = prf("sha1", made.skeyid_d, second + seed)
    got = keymat(made, 52, 3, b"spi!", b"Ni", b"Nr", b"g^xy")
    assert got == (first + second + third)[:52]


def test_keys_are_not_shown() -> None:
    shown = repr(keys("aes128", "sha1"))
    assert "skeyid" not in shown
    assert "cipher_key" not in shown
