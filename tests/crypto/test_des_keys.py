"""Weak DES keys are known by what they do, and refused wherever a key of DES follows."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.crypto.des_keys import WEAK, WEAK_HALVES, refused, with_parity
from culvert.ike import keys
from culvert.ike.keys import WeakKeyError, phase1_keys, split_keymat
from culvert.ike.suite import EspSuite, IkeSuite

ZERO = bytes(8)
ALL = sorted(WEAK | WEAK_HALVES)


def encrypted(key: bytes, block: bytes) -> bytes:
    return cbc_encrypt("des-cbc", key, ZERO, block)


def undone_by(key: bytes) -> list[bytes]:
    """The keys of the table that decrypt by encrypting what this one encrypted."""
    block = os.urandom(8)
    return [other for other in ALL if encrypted(other, encrypted(key, block)) == block]


def test_the_table_is_the_4_weak_and_12_semi_weak_keys_and_no_other() -> None:
    assert len(WEAK) == 16
    real = {key for key in ALL if undone_by(key)}
    assert len(real) == 16
    assert sum(undone_by(key) == [key] for key in real) == 4
    # The RFC prints two of the weak ones with halves that the key schedule does not have.
    assert set(ALL) - real == {
        bytes.fromhex("1f1f1f1fe0e0e0e0"),
        bytes.fromhex("e0e0e0e01f1f1f1f"),
    }


@given(st.sampled_from(ALL), st.integers(0, 255))
def test_a_weak_key_is_known_whatever_its_parity_bits(key: bytes, bits: int) -> None:
    turned = bytes(octet ^ (bits >> at & 1) for at, octet in enumerate(key))
    assert refused("des-cbc", turned)
    assert with_parity(turned) == key


@given(st.binary(min_size=8, max_size=8))
def test_parity_is_odd_and_changes_no_ciphertext(key: bytes) -> None:
    odd = with_parity(key)
    assert all(octet.bit_count() % 2 for octet in odd)
    assert cbc_decrypt("des-cbc", odd, ZERO, encrypted(key, ZERO)) == ZERO
    assert refused("des-cbc", key) == (odd in ALL)


def test_3des_that_is_only_des_is_refused() -> None:
    one, two, three = os.urandom(8), os.urandom(8), os.urandom(8)
    assert refused("3des-cbc", one + one + three)
    assert refused("3des-cbc", one + three + three)
    assert not refused("3des-cbc", one + two + three)
    assert not refused("3des-cbc", one + two + one)


def test_other_ciphers_have_no_weak_keys() -> None:
    assert not refused("aes-cbc", bytes(16))
    assert not refused("null", b"")


@pytest.mark.requirement("S1-176", part="weak keys of DES")
@pytest.mark.parametrize("key", ALL)
def test_an_ipsec_sa_with_a_weak_key_is_refused(key: bytes) -> None:
    with pytest.raises(WeakKeyError, match="des-cbc"):
        split_keymat(EspSuite.named("des-md5"), key + bytes(16))
    with pytest.raises(WeakKeyError, match="3des-cbc"):
        split_keymat(EspSuite.named("3des-md5"), key + key + bytes(8 + 16))


@pytest.mark.parametrize("cipher", ["des", "3des"])
def test_an_ike_sa_with_a_weak_key_is_refused(cipher: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No exchange is known from which a weak key follows, so every key is called one."""
    suite = IkeSuite.named(f"{cipher}-md5-modp1024")
    exchanged = (os.urandom(16), os.urandom(128), os.urandom(16), os.urandom(128), os.urandom(128))
    assert phase1_keys(suite, *exchanged).cipher_key
    monkeypatch.setattr(keys, "refused", lambda *_: True)
    with pytest.raises(WeakKeyError):
        phase1_keys(suite, *exchanged)
