"""Packet ciphers against printed packets, an independent HMAC, and what keeps them safe."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from culvert.crypto.packet import packet_suite
from culvert.errors import MisuseError
from culvert.rng import SeededRandom
from culvert.tables.algorithms import ESP_CIPHERS, INTEGRITIES
from culvert.tables.packet import PACKET_CIPHERS, PACKET_INTEGRITIES

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "esp.json").read_text()
)
SHA1_KEY = bytes(range(20))
HASHES = {
    "hmac-md5-96": "md5",
    "hmac-sha1-96": "sha1",
    "hmac-sha2-256-128": "sha256",
    "hmac-sha2-384-192": "sha384",
    "hmac-sha2-512-256": "sha512",
}


@pytest.mark.parametrize("vector", VECTORS["rfc3602"], ids=lambda vector: f"case-{vector['case']}")
def test_printed_cbc_packets_open(vector: dict[str, Any]) -> None:
    packet, inner = bytes.fromhex(vector["packet"]), bytes.fromhex(vector["inner"])
    check = hmac.digest(SHA1_KEY, packet, "sha1")[:12]
    suite = packet_suite("aes-cbc", "hmac-sha1-96")
    clear = suite.opener(bytes.fromhex(vector["key"]), b"", SHA1_KEY).open(packet + check)
    assert clear is not None
    assert clear[: len(inner)] == inner
    assert clear[-1] == vector["next_header"]


@pytest.mark.parametrize("vector", VECTORS["gcm"], ids=lambda vector: vector["key"][:4])
def test_printed_gcm_packets_open(vector: dict[str, Any]) -> None:
    octets = {name: bytes.fromhex(value) for name, value in vector.items()}
    opener = packet_suite("aes-gcm-16", "").opener(octets["key"], octets["salt"], b"")
    assert opener.open(octets["header"] + octets["iv"] + octets["sealed"]) == octets["clear"]


def test_a_gcm_sealer_writes_the_printed_packet_when_the_sequence_is_its_iv() -> None:
    vector = {name: bytes.fromhex(value) for name, value in VECTORS["gcm"][0].items()}
    sealer = packet_suite("aes-gcm-16", "").sealer(
        vector["key"], vector["salt"], b"", SeededRandom(1)
    )
    sealed = sealer.seal(vector["header"], int.from_bytes(vector["iv"], "big"), vector["clear"])
    assert sealed == vector["header"] + vector["iv"] + vector["sealed"]


@pytest.mark.parametrize("name", PACKET_INTEGRITIES)
def test_the_check_value_is_the_standard_librarys_hmac_cut_short(name: str) -> None:
    row = PACKET_INTEGRITIES[name]
    key = bytes(range(100, 100 + row.key))
    sealer = packet_suite("aes-cbc", name).sealer(bytes(16), b"", key, SeededRandom(1))
    for size in (16, 64, 1440):
        sealed = sealer.seal(b"SPI.SEQ.", size, bytes(size))
        body, check = sealed[: -row.icv], sealed[-row.icv :]
        assert check == hmac.digest(key, body, HASHES[name])[: row.icv]


def test_every_stream_packet_is_plain_cbc_under_the_iv_it_carries() -> None:
    key = bytes(range(16))
    sealer = packet_suite("aes-cbc", "hmac-sha1-96").sealer(key, b"", SHA1_KEY, SeededRandom(1))
    seen: set[bytes] = set()
    for sequence in range(1, 50):
        clear = hashlib.shake_128(bytes([sequence])).digest(16 * sequence)
        sealed = sealer.seal(b"SPI.SEQ.", sequence, clear)
        iv, body = sealed[8:24], sealed[24:-12]
        other = Cipher(AES(key), modes.CBC(iv)).decryptor()
        assert other.update(body) + other.finalize() == clear
        seen.add(iv)
    assert len(seen) == 49


@pytest.mark.parametrize("cipher", ["aes-cbc", "3des-cbc"])
def test_an_iv_is_the_number_encrypted_behind_a_secret(cipher: str) -> None:
    """So a peer cannot foresee it (RFC 3602 §3), none comes twice, no packet waits."""
    key = bytes(range(24))
    suite = packet_suite(cipher, "hmac-sha1-96")
    block = suite.cipher.block
    chain = int.from_bytes(SeededRandom(1).octets(block), "big")
    algorithm = AES(key) if cipher == "aes-cbc" else TripleDES(key)
    encryptor = Cipher(algorithm, modes.ECB()).encryptor()  # noqa: S305 - one block, to compare
    sealer = suite.sealer(key, b"", SHA1_KEY, SeededRandom(1))
    for sequence in (1, 2, 9, 2**32 - 1):
        sealed = sealer.seal(b"SPI.SEQ.", sequence, bytes(sequence % 5 * block + block))
        assert sealed[8 : 8 + block] == encryptor.update((chain ^ sequence).to_bytes(block, "big"))


def test_the_first_iv_depends_on_chance() -> None:
    suite = packet_suite("aes-cbc", "hmac-sha1-96")
    ivs = {
        suite.sealer(bytes(16), b"", SHA1_KEY, SeededRandom(seed)).seal(bytes(8), 1, bytes(16))[
            8:24
        ]
        for seed in (1, 2)
    }
    assert len(ivs) == 2


def test_a_wrong_check_value_leaves_the_decryptor_untouched() -> None:
    suite = packet_suite("aes-cbc", "hmac-sha1-96")
    sealer = suite.sealer(bytes(16), b"", SHA1_KEY, SeededRandom(1))
    opener = suite.opener(bytes(16), b"", SHA1_KEY)
    good = sealer.seal(b"SPI.SEQ.", 1, b"x" * 32)
    assert opener.open(good[:-1] + bytes([good[-1] ^ 1])) is None
    assert opener.open(good) == b"x" * 32


def test_everything_that_can_be_negotiated_can_be_carried_with_keys_of_that_size() -> None:
    carried = 0
    for cipher in ESP_CIPHERS:
        key, salt = bytes(range(cipher.key_octets)), bytes(cipher.salt_octets)
        for name, octets in (
            [("", 0)] if cipher.aead else [(row.name, row.key_octets) for row in INTEGRITIES]
        ):
            suite = packet_suite(cipher.cipher, name)
            sealed = suite.sealer(key, salt, bytes(octets), SeededRandom(1)).seal(
                b"SPI.SEQ.", 1, bytes(48)
            )
            assert (len(sealed) - suite.shortest) % suite.cipher.align == 0
            assert suite.opener(key, salt, bytes(octets)).open(sealed) == bytes(48)
            carried += 1
    assert carried >= len(PACKET_CIPHERS) + len(PACKET_INTEGRITIES)


@pytest.mark.parametrize(
    ("cipher", "integrity"),
    [
        ("aes-ctr", "hmac-sha1-96"),
        ("aes-cbc", ""),
        ("aes-cbc", "crc"),
        ("aes-gcm-16", "hmac-md5-96"),
    ],
)
def test_a_suite_nobody_knows_is_refused(cipher: str, integrity: str) -> None:
    with pytest.raises(MisuseError):
        packet_suite(cipher, integrity)


@pytest.mark.parametrize(
    ("key", "salt", "check"), [(15, 0, 20), (16, 4, 20), (16, 0, 16), (0, 0, 20)]
)
def test_keys_of_a_wrong_size_are_refused(key: int, salt: int, check: int) -> None:
    suite = packet_suite("aes-cbc", "hmac-sha1-96")
    with pytest.raises(MisuseError):
        suite.opener(bytes(key), bytes(salt), bytes(check))
