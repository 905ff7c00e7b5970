"""The inbound page: from a batch of datagrams on the NAT-T port to packets for the TUN.

keepalive dropped · four zero octets → IKE · SPI → SA · opened · is the inner source one this
session may use, the destination one we agreed to carry · MSS (RFC 3948 §2, RFC 4301 §5.2).
Bare ESP has neither keepalives nor IKE among it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from culvert.datapath.pair import Pair
from culvert.datapath.plane import BARE, Drop, Inbound, Moved
from culvert.errors import WireError
from culvert.esp.sa import Refusal
from culvert.inet import marks as ecn
from culvert.inet.address import Address
from culvert.inet.mss import clamp
from culvert.inet.packet import addresses, whole

KEEPALIVE = b"\xff"  # RFC 3948 §2.3
NON_ESP_MARKER = bytes(4)  # RFC 3948 §2.2
SHORTEST = 8  # an ESP header; an ISAKMP header behind its marker is longer

Group = tuple[list[bytes], list[Address], list[int]]
"""Datagrams, their sources, and their marks, if any datagram of the batch has one."""


def open_batch(
    batch: Sequence[tuple[bytes, Address]],
    local_port: int,
    sad: Mapping[bytes, Pair],
    refused: Counter[str],
    now: float,
    marks: Sequence[int] = (),
) -> Inbound:
    """Sort and open. ``sad`` finds a pair by its inbound SPI; ``refused`` counts the rest."""
    out = Inbound()
    if not any(marks):
        marks = ()
    for pair, group in _sort(batch, marks, local_port, sad, refused, out).items():
        opened = pair.open(group[0], group[2])
        _admit(pair, opened, group[2], now, out)
        _notice_move(pair, group, opened, local_port, out)
        if news := pair.wear():
            out.worn.append(news)
    return out


def _sort(
    batch: Sequence[tuple[bytes, Address]],
    marks: Sequence[int],
    local_port: int,
    sad: Mapping[bytes, Pair],
    refused: Counter[str],
    out: Inbound,
) -> dict[Pair, Group]:
    """ESP by pair, in order of arrival within each; the rest goes where it belongs."""
    groups: dict[Pair, Group] = {}
    for position, (datagram, source) in enumerate(batch):
        spi = datagram[:4]
        if (pair := sad.get(spi)) is not None:
            if (group := groups.get(pair)) is None:
                group = groups[pair] = ([], [], [])
            group[0].append(datagram)
            group[1].append(source)
            if marks:
                group[2].append(marks[position])
        elif datagram == KEEPALIVE and local_port != BARE:
            continue
        elif len(datagram) < SHORTEST:
            refused[Drop.SHORT] += 1
        elif spi == NON_ESP_MARKER and local_port != BARE:
            out.ike.append((datagram[4:], source))
        else:
            refused[Drop.UNKNOWN_SPI] += 1
            out.unknown[source] = out.unknown.get(source, 0) + 1
    return groups


def _admit(
    pair: Pair, opened: Sequence[bytes | Refusal], marks: Sequence[int], now: float, out: Inbound
) -> None:
    """Count and check what one pair opened; what may enter goes to the TUN."""
    marked = bool(marks) and not pair.transport
    session = pair.session
    admitted = b""  # the source and destination of the packet before, found good
    for position, packet in enumerate(opened):
        if isinstance(packet, Refusal):
            session.dropped_in[packet] += 1
            if _authentic(packet):
                session.last_inbound = now
            continue
        session.last_inbound = now
        try:
            inner = whole(packet)
        except WireError:
            session.dropped_in[Drop.NOT_IP] += 1
            continue
        ends = addresses(inner)
        if ends != admitted:
            half = len(ends) // 2
            if not pair.remote.holds(ends[:half]):
                session.dropped_in[Drop.NOT_LEASED] += 1
                continue
            if not pair.local.holds(ends[half:]):
                session.dropped_in[Drop.OUT_OF_SCOPE] += 1
                continue
            admitted = ends
        if marked:
            kept = ecn.decapsulated(inner, marks[position])
            if kept is None:
                session.dropped_in[Drop.CONGESTED] += 1
                continue
            inner = kept
        session.packets_in += 1
        session.octets_in += len(inner)
        out.inside.append(clamp(inner, pair.inner_mtu))


_UNPROVEN = frozenset((Refusal.SHORT, Refusal.REPLAYED, Refusal.NOT_AUTHENTIC))


def _authentic(packet: bytes | Refusal) -> bool:
    """Whether this came from the peer just now, be it of use or not."""
    return not (isinstance(packet, Refusal) and packet in _UNPROVEN)


def _notice_move(
    pair: Pair,
    group: Group,
    opened: Sequence[bytes | Refusal],
    local_port: int,
    out: Inbound,
) -> None:
    """Report another address of the peer, if the newest authentic packet came from there.

    Only the newest: a packet delayed on the old path must not call the session back (RFC 3947 §7).
    """
    session, sources = pair.session, group[1]
    if local_port == session.local_port and sources.count(session.peer) == len(sources):
        return
    newest = pair.inbound.highest.to_bytes(4, "big")
    for datagram, peer, packet in zip(*group[:2], opened, strict=True):
        if datagram[4:8] == newest and _authentic(packet):
            if peer != session.peer or local_port != session.local_port:
                out.moved.append(Moved(session.number, peer, local_port))
            return
