"""The outbound page: from packets routed into the TUN to datagrams for the peers.

whole? · source and destination → SA · too large: ICMP or fragments · MSS · seal
(RFC 4301 §5.1, §8)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from culvert.datapath.fragmentation import Cutter
from culvert.datapath.pair import Pair, Session
from culvert.datapath.plane import BARE, Burst, Drop, Outbound
from culvert.datapath.spd import Spd
from culvert.datapath.transport import FRAGMENT
from culvert.errors import WireError
from culvert.inet import ipv6, marks
from culvert.inet.mss import clamp
from culvert.inet.packet import addresses, whole

UDP, ESP = 17, 50

Run = tuple[int, list[bytes]]
"""Packets that follow each other, and the mark that their datagrams have."""


def seal_batch(
    packets: Sequence[bytes | memoryview],
    spd: Spd[Pair],
    refused: Counter[str],
    cutter: Cutter,
    copied: int = marks.ALL,
) -> Outbound:
    """Order is kept within each pair, so within each flow. ``copied``: which bits of DSCP and ECN
    datagrams have of their packets (RFC 6040 §4.1, RFC 4301 §5.1.2.1)."""
    out = Outbound()
    for pair, runs in _sort(packets, spd, cutter, copied, refused, out).items():
        for mark, queue in runs:
            _seal(pair, queue, mark, out)
        if news := pair.wear():
            out.worn.append(news)
    return out


def _sort(
    packets: Iterable[bytes | memoryview],
    spd: Spd[Pair],
    cutter: Cutter,
    copied: int,
    refused: Counter[str],
    out: Outbound,
) -> dict[Pair, list[Run]]:
    """Packets by the pair that carries them, each as large as the tunnel takes."""
    runs: dict[Pair, list[Run]] = {}
    ends, pair, looped = b"", None, False  # of the packet before: flows come in runs
    for raw in packets:
        try:
            packet = whole(bytes(raw))
        except WireError:
            refused[Drop.NOT_IP] += 1
            continue
        if addresses(packet) != ends:
            ends = addresses(packet)
            half = len(ends) // 2
            pair = spd.find(ends[:half], ends[half:])
            looped = pair is not None and ends[half:] == pair.session.peer_octets
        if pair is None:
            refused[Drop.NO_SA] += 1
            continue
        if looped and _is_our_own(packet, pair.session):
            pair.session.dropped_out[Drop.LOOP] += 1
            continue
        queue = _run(runs, pair, marks.of(packet) & (marks.ALL if pair.transport else copied))
        if len(packet) <= pair.inner_mtu or pair.transport:
            queue.append(clamp(packet, pair.inner_mtu))
        else:
            queue.extend(
                cutter.sized(packet, pair.inner_mtu, pair.session.dropped_out, out.returned)
            )
    return runs


def _run(runs: dict[Pair, list[Run]], pair: Pair, mark: int) -> list[bytes]:
    """Where the pair's next packet goes, if it has this mark."""
    of_pair = runs.get(pair)
    if of_pair is None:
        of_pair = runs[pair] = [(mark, [])]
    elif of_pair[-1][0] != mark:
        of_pair.append((mark, []))
    return of_pair[-1][1]


def _seal(pair: Pair, queue: list[bytes], mark: int, out: Outbound) -> None:
    session = pair.session
    cut = session.dropped_out[FRAGMENT]
    sealed = pair.seal(queue)
    cut = session.dropped_out[FRAGMENT] - cut
    session.packets_out += len(sealed)
    session.octets_out += sum(map(len, queue[: len(sealed)]))
    if len(sealed) + cut < len(queue):
        session.dropped_out[Drop.EXHAUSTED] += len(queue) - len(sealed) - cut
    if sealed:
        out.bursts.append(Burst(sealed, session.peer, session.local_port, mark))


def _is_our_own(packet: bytes, session: Session) -> bool:
    """Whether this is a datagram of the tunnel to its peer: sealed again, it would never end."""
    if packet[0] >> 4 == 4:
        protocol, start = packet[9], (packet[0] & 0x0F) * 4
    else:
        protocol, start = packet[6], ipv6.HEADER_OCTETS
    if session.local_port == BARE:
        return protocol == ESP
    ports = session.local_port.to_bytes(2, "big") + session.peer[1].to_bytes(2, "big")
    return protocol == UDP and packet[start : start + 4] == ports
