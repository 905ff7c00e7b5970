"""Encryption of ISAKMP messages: which IV a message takes, and when a chain moves on."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.errors import WireError
from culvert.ike.keys import Phase1Keys, exchange_iv, phase1_keys
from culvert.ike.sealing import CHAINS, Sealing
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.header import AGGRESSIVE, ENCRYPTED, INFORMATIONAL, OCTETS, Header
from culvert.ike.wire.message import parse_header
from culvert.ike.wire.payload import HASH, Chain, Part, join_chain


def keys(name: str = "aes128-sha1-modp1024") -> Phase1Keys:
    return phase1_keys(IkeSuite.named(name), b"skeyid", b"shared", bytes(16), b"i", b"r")


def header(message_id: int, exchange: int = INFORMATIONAL) -> Header:
    return Header(b"initiate", b"responds", 0, exchange, 0, message_id)


def body(text: bytes = b"hello") -> bytes:
    return join_chain([Part(HASH, text)])


def sealed(one: Sealing, message_id: int, text: bytes = b"hello") -> bytes:
    return one.seal(header(message_id), body(text), HASH)


def opened(one: Sealing, octets: bytes) -> Chain:
    return one.open(octets, parse_header(octets))[0]


def taken(one: Sealing, octets: bytes) -> bytes:
    """Opened and accepted; the text in it."""
    parts = opened(one, octets)
    one.accept(octets, parse_header(octets))
    return parts[0].body


def both(name: str = "aes128-sha1-modp1024") -> tuple[Sealing, Sealing]:
    return Sealing(keys(name)), Sealing(keys(name))


def after_phase_1(*ends: Sealing) -> None:
    for one in ends:
        one.finish_phase1()


@given(
    texts=st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=50)), max_size=20),
    cipher=st.sampled_from(("3des", "aes128", "aes256")),
)
def test_what_is_sealed_is_opened_in_any_interleaving_of_exchanges(
    texts: list[tuple[int, bytes]], cipher: str
) -> None:
    writer, reader = both(f"{cipher}-sha1-modp1024")
    after_phase_1(writer, reader)
    for message_id, text in texts:
        assert taken(reader, sealed(writer, message_id, text)) == text


@pytest.mark.parametrize(("cipher", "block"), [("3des", 8), ("aes128", 16)])
def test_messages_are_whole_blocks_with_a_length_that_counts_padding(
    cipher: str, block: int
) -> None:
    one = Sealing(keys(f"{cipher}-sha1-modp1024"))
    for size in range(20):
        octets = one.seal(header(1), body(bytes(size)), HASH)
        found = parse_header(octets)
        assert found.length == len(octets)
        assert (len(octets) - OCTETS) % block == 0
        assert found.flags == ENCRYPTED
        assert found.next_payload == HASH


def test_phase_1_begins_with_the_hash_of_the_publics_and_chains_on() -> None:
    made = keys()
    first = Sealing(made).seal(header(0, AGGRESSIVE), body(), HASH)[OCTETS:]
    plain = body() + bytes(-len(body()) % 16)
    assert first == cbc_encrypt("aes-cbc", made.cipher_key, made.first_iv, plain)
    writer = Sealing(made)
    sealed(writer, 0)
    second = sealed(writer, 0)[OCTETS:]
    assert second == cbc_encrypt("aes-cbc", made.cipher_key, first[-16:], plain)


def test_an_exchange_begins_with_the_last_phase_1_block_and_its_own_id() -> None:
    made = keys()
    writer = Sealing(made)
    last = sealed(writer, 0)[-16:]
    writer.finish_phase1()
    octets = sealed(writer, 0x1234)[OCTETS:]
    iv = exchange_iv(made, last, 0x1234)
    assert cbc_decrypt("aes-cbc", made.cipher_key, iv, octets).startswith(body())


def as_libreswan(message_id: int, made: Phase1Keys) -> bytes:
    """What it says before phase 1 is finished at its end: no block goes before."""
    padded = body() + bytes(-len(body()) % made.block)
    first = exchange_iv(made, b"", message_id)
    octets = cbc_encrypt("aes-cbc", made.cipher_key, first, padded)
    head = Header(b"initiate", b"responds", HASH, INFORMATIONAL, ENCRYPTED, message_id)
    return head.to_bytes(len(octets)) + octets


@pytest.mark.parametrize("finished", [False, True])
def test_what_libreswan_says_before_phase_1_is_finished_is_read(finished: bool) -> None:
    """Its refusal of a certificate in main mode."""
    reader = Sealing(keys())
    sealed(reader, 0)
    if finished:  # here, and not there
        reader.finish_phase1()
    assert taken(reader, as_libreswan(5, keys())) == b"hello"


def test_and_once_the_other_end_is_through_only_the_standard_counts() -> None:
    writer, reader = both()
    taken(reader, sealed(writer, 0))
    after_phase_1(writer, reader)
    assert taken(reader, sealed(writer, 4)) == b"hello"
    with pytest.raises(WireError):
        opened(reader, as_libreswan(5, keys()))


def test_nothing_moves_before_a_message_is_accepted() -> None:
    writer, reader = both()
    after_phase_1(writer, reader)
    octets = sealed(writer, 5)
    for _ in range(3):
        assert opened(reader, octets)[0].body == b"hello"
    assert taken(reader, octets) == b"hello"
    assert taken(reader, sealed(writer, 5, b"more")) == b"more"


def test_a_forged_message_does_not_put_the_chain_out_of_step() -> None:
    writer, reader = both()
    octets = sealed(writer, 0)
    forged = octets[:-1] + bytes([octets[-1] ^ 1])
    with suppress(WireError):
        opened(reader, forged)
    assert taken(reader, octets) == b"hello"
    assert taken(reader, sealed(writer, 0, b"more")) == b"more"


def test_message_id_0_after_phase_1_is_an_exchange_like_others() -> None:
    """vpnc draws ids of deletes from 8 bits: 1 in 256 is 0."""
    made = keys()
    writer, reader = both()
    last = sealed(writer, 0)
    taken(reader, last)
    after_phase_1(writer, reader)
    octets = sealed(writer, 0, b"delete")
    iv = exchange_iv(made, last[-16:], 0)
    assert cbc_decrypt("aes-cbc", made.cipher_key, iv, octets[OCTETS:]).startswith(body(b"delete"))
    assert taken(reader, octets) == b"delete"
    assert taken(reader, sealed(writer, 9, b"others begin as before")) == b"others begin as before"


def test_a_forgotten_exchange_begins_anew() -> None:
    writer, reader = both()
    after_phase_1(writer, reader)
    first = sealed(writer, 5)
    taken(reader, first)
    writer.forget(5)
    reader.forget(5)
    assert sealed(writer, 5) == first
    assert taken(reader, first) == b"hello"


def test_as_many_chains_are_kept_as_stands_written_oldest_out_first() -> None:
    one = Sealing(keys())
    one.finish_phase1()
    first = {number: sealed(one, number) for number in range(1, CHAINS + 1)}
    assert sealed(one, 1) != first[1]  # goes on, and is the newest now
    sealed(one, CHAINS + 1)  # pushes out number 2
    assert sealed(one, 2) == first[2]
    assert sealed(one, 1) != first[1]


@pytest.mark.parametrize("octets", [0, 1, 15, 17])
def test_a_body_of_no_whole_blocks_is_refused(octets: int) -> None:
    head = Header(b"initiate", b"responds", HASH, INFORMATIONAL, ENCRYPTED, 1)
    whole = head.to_bytes(octets) + bytes(octets)
    with pytest.raises(WireError, match="no number of whole blocks") as caught:
        opened(Sealing(keys()), whole)
    assert caught.value.offset == OCTETS


def test_the_clear_body_keeps_the_padding_as_it_came() -> None:
    """racoon pads with random octets; hashes end with the last payload."""
    writer, reader = both()
    after_phase_1(writer, reader)
    padded = body() + b"\x9f" * (-len(body()) % 16)
    octets = writer.seal(header(5), padded, HASH)
    parts, clear = reader.open(octets, parse_header(octets))
    assert (parts[0].body, clear) == (b"hello", padded)
