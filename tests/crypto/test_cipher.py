"""CBC against published answers (NIST SP 800-38A F.2, and single DES as 3DES of one key)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.tables.algorithms import IKE_CIPHERS

IV = "000102030405060708090a0b0c0d0e0f"
CLEAR = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
ANSWERS = [
    pytest.param(
        "2b7e151628aed2a6abf7158809cf4f3c",
        "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        id="aes128",
    ),
    pytest.param(
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
        id="aes192",
    ),
    pytest.param(
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        id="aes256",
    ),
]


@pytest.mark.parametrize(("key", "sealed"), ANSWERS)
def test_aes_answers_as_published(key: str, sealed: str) -> None:
    values = bytes.fromhex(key), bytes.fromhex(IV)
    assert cbc_encrypt("aes-cbc", *values, bytes.fromhex(CLEAR)).hex() == sealed
    assert cbc_decrypt("aes-cbc", *values, bytes.fromhex(sealed)).hex() == CLEAR


def test_3des_answers_as_published() -> None:
    """SP 800-20 table A.1: with three equal keys it is DES, and DES of this is known."""
    key = bytes.fromhex("0101010101010101") * 3
    clear = bytes.fromhex("8000000000000000")
    assert cbc_encrypt("3des-cbc", key, bytes(8), clear).hex() == "95f8a5e5dd31d900"


def test_3des_with_three_keys_answers_as_published() -> None:
    """SP 800-67 B.1: "The qufck brown fox jump" in ECB, block by block."""
    key = bytes.fromhex("0123456789abcdef23456789abcdef01456789abcdef0123")
    blocks = [b"The qufc", b"k brown ", b"fox jump"]
    found = [cbc_encrypt("3des-cbc", key, bytes(8), block).hex() for block in blocks]
    assert found == ["a826fd8ce53b855f", "cce21c8112256fe6", "68d5c05dd9b6b900"]


@given(data=st.data(), blocks=st.integers(1, 8))
def test_every_cipher_of_the_table_undoes_itself(data: st.DataObject, blocks: int) -> None:
    for row in IKE_CIPHERS:
        key = data.draw(st.binary(min_size=row.key_octets, max_size=row.key_octets))
        iv = data.draw(st.binary(min_size=row.block, max_size=row.block))
        clear = data.draw(st.binary(min_size=blocks * row.block, max_size=blocks * row.block))
        sealed = cbc_encrypt(row.cipher, key, iv, clear)
        assert cbc_decrypt(row.cipher, key, iv, sealed) == clear


@pytest.mark.parametrize("cipher", ["aes-cbc", "3des-cbc"])
def test_parts_of_blocks_are_a_mistake_of_the_caller(cipher: str) -> None:
    octets = {"aes-cbc": 16, "3des-cbc": 8}[cipher]
    with pytest.raises(ValueError, match="block"):
        cbc_encrypt(cipher, bytes(range(24)), bytes(octets), b"x" * (octets + 1))
