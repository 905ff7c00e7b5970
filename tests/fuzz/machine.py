"""What the machine itself says: its kernel by netlink, its TUN, and TCP, which cuts as it likes.

kernel          one read of a netlink socket
stream          how many sizes (1), sizes of the pieces (1 each), then what the stream brings
super_packets   frames of the TUN between FE FF FE FF, each with its virtio header
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from ipaddress import ip_address

from culvert.datapath.offload import frames_of, packets_of
from culvert.datapath.xfrm.messages import (
    MOST_ERRNO,
    messages_in,
    read_error,
    read_news,
    read_policy,
    read_state,
    remove_policy,
    remove_state,
)
from culvert.datapath.xfrm.orders import Remapped, StateName
from culvert.driver.message import read, written
from culvert.errors import WireError
from culvert.inet.frames import LARGEST, Frames, framed
from culvert.inet.packet import whole
from culvert.netio.address_watch import added
from culvert.octets.cursor import Cursor

BETWEEN = b"\xfe\xff\xfe\xff"


def kernel(octets: bytes) -> None:
    """Whatever is understood can be asked for again, and told to another process."""
    for address in added(octets):
        ip_address(address)
    try:
        found = list(messages_in(octets))
    except WireError as error:
        assert 0 <= error.offset <= len(octets)
        return
    for kind, body in found:
        for work in (_state, _policy, _error, partial(_news, kind)):
            try:
                work(body)
            except WireError as error:
                assert 0 <= error.offset <= len(body)


def _state(body: bytes) -> None:
    seen = read_state(body)
    remove_state(StateName(seen.spi, seen.destination))
    _told(seen)


def _policy(body: bytes) -> None:
    found = read_policy(body)
    if found is not None:
        name, interface = found
        remove_policy(name, interface)
        _told(name)


def _error(body: bytes) -> None:
    assert 0 <= read_error(body) <= MOST_ERRNO


def _news(kind: int, body: bytes) -> None:
    news = read_news(kind, body)
    if news is None:
        return
    _told(news)
    remove_state(StateName(news.spi, news.destination))
    if isinstance(news, Remapped):
        ip_address(news.host)


def _told(what: object) -> None:
    assert read(written(what)) == what


def stream(octets: bytes) -> None:
    """However it is cut, the same comes out; what comes out, framed, is what came in."""
    cursor = Cursor(octets)
    sizes = cursor.octets(min(cursor.u8("sizes") % 8, cursor.left), "sizes") if octets else b""
    came = cursor.rest()
    at_once, by_pieces = Frames(), Frames()
    whole = at_once.take(came)
    found: list[bytes] = []
    number = start = 0
    while start < len(came):
        size = 1 + (sizes[number % len(sizes)] if sizes else 0)
        found += by_pieces.take(came[start : start + size])
        assert by_pieces.held < LARGEST
        number, start = number + 1, start + size
    assert found == whole
    assert (by_pieces.over, by_pieces.held) == (at_once.over, at_once.held)
    again = b"".join(map(framed, whole))
    assert came.startswith(again)
    assert at_once.over or len(again) + at_once.held == len(came)


def super_packets(octets: bytes) -> None:
    """What is cut out of them, joined and cut again, are the same packets."""
    frames = octets.split(BETWEEN)
    cut, refused = packets_of(frames)
    assert refused <= len(frames)
    packets: list[bytes] = []
    for packet in cut:
        with suppress(WireError):
            packets.append(whole(packet))
    joined = [b"".join(frame) for frame in frames_of(packets)]
    again, refused = packets_of(joined)
    assert not refused
    assert list(map(_lasting, again)) == list(map(_lasting, packets))


def _lasting(packet: bytes) -> bytes:
    """Without what is counted anew: number and checksum of an IPv4 header."""
    return packet[:4] + packet[6:10] + packet[12:] if packet[0] >> 4 == 4 else packet
