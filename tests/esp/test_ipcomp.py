"""IPComp: shorter or plain, both algorithms, and what cannot be decompressed."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.esp import lzs
from culvert.esp.ipcomp import (
    MOST,
    NAMES,
    PASSED_OVER,
    PATIENCE,
    PROTOCOL,
    WORTH_TRYING,
    IpComp,
)
from culvert.esp.sa import Refusal

TEXT = b"All happy families resemble one another. " * 30


def both(name: str) -> tuple[IpComp, IpComp]:
    return IpComp(name, 1000, 2000), IpComp(name, 2000, 1000)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_packet_that_gets_shorter_is_compressed_and_comes_back(name: str) -> None:
    here, there = both(name)
    protocol, octets = here.wrap((4, TEXT))
    assert protocol == PROTOCOL
    assert octets[:4] == bytes((4, 0)) + (2000).to_bytes(2, "big")
    assert len(octets) < len(TEXT)
    assert there.unwrap((protocol, octets)) == (4, TEXT)


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize("octets", [os.urandom(1400), TEXT[: WORTH_TRYING - 1], b""])
def test_one_that_does_not_is_sent_as_it_is(name: str, octets: bytes) -> None:
    here, there = both(name)
    assert here.wrap((4, octets)) == (4, octets)
    assert there.unwrap((4, octets)) == (4, octets)


@given(st.sampled_from(sorted(NAMES)), st.binary(max_size=3000), st.integers(1, 8))
def test_nothing_gets_longer_and_everything_comes_back(
    name: str, octets: bytes, times: int
) -> None:
    here, there = both(name)
    made = here.wrap((17, octets * times))
    assert len(made[1]) <= len(octets) * times
    assert there.unwrap(made) == (17, octets * times)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_while_nothing_gets_shorter_most_are_not_tried(name: str) -> None:
    here, _ = both(name)
    for _ in range(PATIENCE):
        assert here.wrap((4, os.urandom(200)))[0] == 4
    tried = [here.wrap((4, TEXT))[0] == PROTOCOL for _ in range(PASSED_OVER + 2)]
    assert tried == [False] * PASSED_OVER + [True, True], "the first that fits ends it"


def raw(octets: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(octets) + made.flush()


HEAD = bytes.fromhex("0400 03e8")


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("deflate", b""),
        ("deflate", HEAD[:3]),
        ("deflate", HEAD),
        ("deflate", HEAD + b"\xff\xff\xff"),
        ("deflate", HEAD + raw(TEXT)[:-1]),
        ("deflate", HEAD + raw(TEXT) + b"more"),
        ("deflate", bytes.fromhex("0400 03e9") + raw(TEXT)),
        ("deflate", bytes.fromhex("6c00 03e8") + raw(TEXT)),
        ("deflate", HEAD + zlib.compress(TEXT)),
        ("deflate", HEAD + raw(bytes(MOST + 1))),
        ("lzs", HEAD + lzs.compress(bytes(MOST + 1))),
        ("lzs", HEAD + raw(TEXT)),
    ],
)
def test_what_cannot_be_decompressed_is_refused(name: str, octets: bytes) -> None:
    here, _ = both(name)
    assert here.unwrap((PROTOCOL, octets)) is Refusal.COMPRESSION


def test_the_longest_packet_there_is_may_come_out() -> None:
    here, _ = both("deflate")
    assert here.unwrap((PROTOCOL, HEAD + raw(bytes(MOST)))) == (4, bytes(MOST))


def test_the_well_known_number_of_the_algorithm_counts_too() -> None:
    here, _ = both("lzs")
    assert here.unwrap((PROTOCOL, bytes((4, 0, 0, 3)) + lzs.compress(TEXT))) == (4, TEXT)
    assert here.unwrap((PROTOCOL, bytes((4, 0, 0, 2)) + raw(TEXT))) is Refusal.COMPRESSION


@given(st.sampled_from(sorted(NAMES)), st.binary(max_size=200))
def test_any_octets_are_decompressed_or_refused(name: str, octets: bytes) -> None:
    here, _ = both(name)
    found = here.unwrap((PROTOCOL, HEAD + octets))
    assert found is Refusal.COMPRESSION or len(found[1]) <= MOST
