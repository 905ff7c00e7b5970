"""Both halves of an SA: the recorded packets of a real peer, round trips, and every refusal."""

from __future__ import annotations

import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto.packet import packet_suite
from culvert.errors import MisuseError
from culvert.esp.sa import LAST_SEQUENCE, WORN_SEQUENCE, InboundSa, OutboundSa, Refusal
from culvert.inet import ipv4, ipv6
from culvert.rng import SeededRandom
from datapath.orders import SUITES, half

Suite = tuple[str, int, str]

VECTORS = Path(__file__).parents[1] / "vectors"
RECORDED: list[dict[str, Any]] = json.loads((VECTORS / "ikev1.json").read_text())["sessions"]
PRINTED: list[dict[str, Any]] = json.loads((VECTORS / "esp.json").read_text())["rfc3602"]
CBC: Suite = ("aes-cbc", 16, "hmac-sha1-96")
GCM: Suite = ("aes-gcm-16", 32, "")


@pytest.mark.parametrize("session", RECORDED, ids=lambda session: session["name"])
def test_the_esp_of_a_recorded_connection_opens_to_the_echoes_that_were_sent(
    session: dict[str, Any],
) -> None:
    suite = packet_suite("aes-cbc", "hmac-sha1-96")
    halves: dict[bytes, InboundSa] = {}
    for side in ("i", "r"):
        whole = "to_initiator" if side == "i" else "to_responder"
        keys = bytes.fromhex(session[f"keymat_{whole}"])
        spi = bytes.fromhex(session[f"spi_{side}"])
        halves[spi] = InboundSa(
            int.from_bytes(spi, "big"),
            suite,
            cipher_key=keys[:32],
            salt=b"",
            integrity_key=keys[32:52],
        )
    opened: list[bytes] = []
    refused = 0
    for datagram in (bytes.fromhex(entry["udp_payload"]) for entry in session["datagrams"]):
        if sa := halves.get(datagram[:4]):
            (packet,) = sa.open_batch([datagram])
            if isinstance(packet, bytes):
                opened.append(packet)
            else:
                # vpnc marks the IPv6 router solicitations of its TUN as IPv4.
                assert packet is Refusal.NEXT_HEADER
                refused += 1
    assert (len(opened), refused) == (8, 2)
    for packet in opened:
        header = ipv4.parse(packet)
        assert header.total_octets == len(packet)
        assert header.protocol == 1
        assert packet[header.header_octets] in (0, 8)  # echo reply, echo request


@pytest.mark.parametrize("vector", PRINTED, ids=lambda vector: f"case-{vector['case']}")
def test_tunnel_mode_is_opened_and_transport_mode_refused(vector: dict[str, Any]) -> None:
    packet, check = bytes.fromhex(vector["packet"]), bytes(20)
    sa = InboundSa(
        int.from_bytes(packet[:4], "big"),
        packet_suite("aes-cbc", "hmac-sha1-96"),
        cipher_key=bytes.fromhex(vector["key"]),
        salt=b"",
        integrity_key=check,
    )
    (opened,) = sa.open_batch([packet + hmac.digest(check, packet, "sha1")[:12]])
    tunnel = vector["next_header"] == 4
    assert opened == (bytes.fromhex(vector["inner"]) if tunnel else Refusal.NEXT_HEADER)


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_size_survives_the_round_trip_in_every_suite(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    packets = [inner(size) for size in range(1501)]
    sealed = outbound.seal_batch(packets)
    assert inbound.open_batch(sealed) == packets
    for packet, datagram in zip(packets, sealed, strict=True):
        hidden = len(packet) < 64 or packet[:32] not in datagram
        assert hidden or suite[0] == "null"


@given(
    sizes=st.lists(st.integers(0, 1480), min_size=1, max_size=20),
    suite=st.sampled_from(SUITES),
    order=st.randoms(use_true_random=False),
)
def test_packets_open_in_any_order_of_arrival(sizes: list[int], suite: Suite, order: Any) -> None:
    outbound, inbound = sa_pair(suite)
    packets = [inner(size, version=4 + 2 * (size % 2)) for size in sizes]
    sealed = list(zip(outbound.seal_batch(packets), packets, strict=True))
    order.shuffle(sealed)
    assert inbound.open_batch([datagram for datagram, _ in sealed]) == [p for _, p in sealed]


@given(
    suite=st.sampled_from(SUITES),
    size=st.integers(0, 200),
    where=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_never_authentic(suite: Suite, size: int, where: float, bit: int) -> None:
    outbound, inbound = sa_pair(suite)
    (datagram,) = outbound.seal_batch([inner(size)])
    forged = bytearray(datagram)
    forged[int(where * len(datagram))] ^= 1 << bit
    # A sequence number of 0 is refused before its check value is looked at.
    expected = Refusal.REPLAYED if forged[4:8] == bytes(4) else Refusal.NOT_AUTHENTIC
    assert inbound.open_batch([bytes(forged), datagram]) == [expected, inner(size)]


@pytest.mark.parametrize("suite", [CBC, GCM], ids=str)
def test_a_replay_is_refused_even_within_one_batch(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    one, two = outbound.seal_batch([inner(1), inner(2)])
    assert inbound.open_batch([one, one, two, one]) == [
        inner(1),
        Refusal.REPLAYED,
        inner(2),
        Refusal.REPLAYED,
    ]


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_truncation_is_short_or_not_authentic_and_harms_nothing(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite)
    (datagram,) = outbound.seal_batch([inner(40)])
    cut = inbound.open_batch([datagram[:size] for size in range(len(datagram))])
    assert set(cut) == {Refusal.SHORT, Refusal.NOT_AUTHENTIC}
    assert inbound.open_batch([datagram]) == [inner(40)]


@pytest.mark.parametrize("suite", [CBC, GCM], ids=str)
@pytest.mark.parametrize(
    ("clear", "refusal"),
    [
        (b"\x45" + bytes(12) + b"\x01\x01\x04", None),
        (b"\x45" + bytes(12) + b"\x02\x01\x04", Refusal.PADDING),
        (b"\x45" + bytes(13) + b"\xff\x04", Refusal.PADDING),
        (b"\x45" + bytes(13) + b"\x00\x29", Refusal.NEXT_HEADER),
        (b"\x45" + bytes(13) + b"\x00\x06", Refusal.NEXT_HEADER),
        (bytes(range(1, 15)) + b"\x0e\x04", Refusal.NEXT_HEADER),
        (bytes(15) + b"\x3b", Refusal.DUMMY),
    ],
)
def test_what_is_authentic_must_still_be_well_formed(
    suite: Suite, clear: bytes, refusal: Refusal | None
) -> None:
    keys = half(0x1000, "test", *suite)
    sealer = packet_suite(suite[0], suite[2]).sealer(
        keys.cipher_key, keys.salt, keys.integrity_key, SeededRandom(1)
    )
    _, inbound = sa_pair(suite)
    header = (0x1000).to_bytes(4, "big") + (1).to_bytes(4, "big")
    (opened,) = inbound.open_batch([sealer.seal(header, 1, clear)])
    assert opened == (refusal or clear[:13])


@pytest.mark.parametrize("suite", [CBC, GCM], ids=str)
def test_sequence_numbers_end_and_never_wrap(suite: Suite) -> None:
    outbound, inbound = sa_pair(suite, sealed=LAST_SEQUENCE - 2)
    sealed = outbound.seal_batch([inner(size) for size in range(5)])
    assert [datagram[4:8].hex() for datagram in sealed] == ["fffffffe", "ffffffff"]
    assert inbound.open_batch(sealed) == [inner(0), inner(1)]
    assert outbound.seal_batch([inner(0)]) == []


def test_an_sa_asks_for_a_successor_long_before_its_numbers_end() -> None:
    outbound, _ = sa_pair(CBC, sealed=WORN_SEQUENCE - 2)
    outbound.seal_batch([inner(0)])
    assert not outbound.worn
    outbound.seal_batch([inner(0)])
    assert outbound.worn


def test_a_cipher_of_64_bit_blocks_asks_for_a_successor_after_its_volume() -> None:
    suite = packet_suite("3des-cbc", "hmac-md5-96")
    assert suite.cipher.volume == 10**9
    assert sa_pair(CBC)[0].suite.cipher.volume == 0
    keys = half(0x1000, "test", "3des-cbc", 24, "hmac-md5-96")
    sa = OutboundSa(
        0x1000,
        replace(suite, cipher=replace(suite.cipher, volume=2000)),
        cipher_key=keys.cipher_key,
        salt=b"",
        integrity_key=keys.integrity_key,
        rng=SeededRandom(1),
    )
    sa.seal_batch([inner(1000)])
    assert not sa.worn
    sa.seal_batch([inner(1000)])
    assert sa.worn


def test_an_authentic_datagram_of_broken_blocks_does_not_shift_the_packets_after_it() -> None:
    outbound, inbound = sa_pair(CBC)
    key = half(0x1000, "test", *CBC).integrity_key
    ragged = (0x1000).to_bytes(4, "big") + (9).to_bytes(4, "big") + bytes(16 + 16 + 3)
    ragged += hmac.digest(key, ragged, "sha1")[:12]
    assert inbound.open_batch([ragged, *outbound.seal_batch([inner(5)])]) == [
        Refusal.SHORT,
        inner(5),
    ]


@pytest.mark.parametrize("spi", [0, 255, 2**32])
def test_a_reserved_spi_is_refused(spi: int) -> None:
    with pytest.raises(MisuseError):
        InboundSa(
            spi,
            packet_suite("aes-gcm-16", ""),
            cipher_key=bytes(16),
            salt=bytes(4),
            integrity_key=b"",
        )


def sa_pair(suite: Suite, *, sealed: int = 0) -> tuple[OutboundSa, InboundSa]:
    """The two ends of one direction."""
    keys = half(0x1000, "test", *suite)
    row = packet_suite(suite[0], suite[2])
    outbound = OutboundSa(
        0x1000,
        row,
        cipher_key=keys.cipher_key,
        salt=keys.salt,
        integrity_key=keys.integrity_key,
        rng=SeededRandom(1),
        sealed=sealed,
    )
    inbound = InboundSa(
        0x1000,
        row,
        cipher_key=keys.cipher_key,
        salt=keys.salt,
        integrity_key=keys.integrity_key,
    )
    return outbound, inbound


def inner(payload: int, version: int = 4) -> bytes:
    """An IP packet around so many octets of payload."""
    body = (b"inside " * 300)[:payload]
    if version == 4:
        return ipv4.build(17, bytes((10, 1, 0, 5)), bytes((192, 168, 2, 1)), body)
    return ipv6.build(17, bytes(15) + b"\1", bytes(15) + b"\2", body)
