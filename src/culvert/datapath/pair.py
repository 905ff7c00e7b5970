"""A pair of SAs and the session it belongs to, as the pages `inbound` and `outbound` use them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from itertools import repeat
from math import inf

from culvert.crypto.packet import packet_suite
from culvert.datapath.mtu import OUTER_IPV4, OUTER_IPV6, carriage_of, inner_mtu, largest_inside
from culvert.datapath.plane import BARE, Counters, Progress, SaPair, Worn
from culvert.datapath.transport import FRAGMENT, with_header, without_header
from culvert.errors import MisuseError
from culvert.esp.ipcomp import MOST, IpComp
from culvert.esp.replay import WINDOW
from culvert.esp.sa import NEXT_HEADER, InboundSa, OutboundSa, Refusal, inner
from culvert.inet.address import Address
from culvert.inet.ipv4 import SMALLEST_HEADER
from culvert.inet.prefix import Prefix, PrefixSet, prefix
from culvert.rng import Random


class Session:
    """Where a session's datagrams go, and what it carried so far."""

    __slots__ = (
        "dropped_in",
        "dropped_out",
        "last_inbound",
        "local_port",
        "number",
        "octets_in",
        "octets_out",
        "packets_in",
        "packets_out",
        "pairs",
        "peer",
        "peer_octets",
    )

    def __init__(self, number: int, peer: Address, local_port: int) -> None:
        self.number = number
        self.pairs: dict[int, Pair] = {}
        self.octets_in = self.octets_out = self.packets_in = self.packets_out = 0
        self.last_inbound = float("-inf")
        self.dropped_in: Counter[str] = Counter()
        self.dropped_out: Counter[str] = Counter()
        self.peer, self.peer_octets, self.local_port = peer, host_octets(peer), local_port

    def move(self, peer: Address, local_port: int) -> None:
        self.peer, self.peer_octets, self.local_port = peer, host_octets(peer), local_port

    @property
    def outer_header(self) -> int:
        return OUTER_IPV4 if len(self.peer_octets) == 4 else OUTER_IPV6

    def counters(self) -> Counters:
        return Counters(
            self.octets_in,
            self.octets_out,
            self.packets_in,
            self.packets_out,
            self.last_inbound,
            dict(self.dropped_in),
            dict(self.dropped_out),
        )

    def recount(self, counters: Counters) -> None:
        self.octets_in, self.octets_out = counters.octets_in, counters.octets_out
        self.packets_in, self.packets_out = counters.packets_in, counters.packets_out
        self.last_inbound = counters.last_inbound
        self.dropped_in = Counter(counters.dropped_in)
        self.dropped_out = Counter(counters.dropped_out)


class Pair:
    """Both halves of an IPsec SA, with what they may carry."""

    __slots__ = (
        "_hard",
        "_ipcomp",
        "_largest",
        "_soft",
        "_told_spent",
        "_told_worn",
        "inbound",
        "inner_mtu",
        "local",
        "local_prefixes",
        "number",
        "outbound",
        "remote",
        "remote_prefixes",
        "session",
        "transport",
    )

    def __init__(self, order: SaPair, session: Session, rng: Random) -> None:
        check_carriage(order)
        suite = packet_suite(order.cipher, order.integrity)
        far, near = order.outbound, order.inbound
        self.session = session
        self.number = order.pair
        self.inbound = InboundSa(
            near.spi,
            suite,
            cipher_key=near.cipher_key,
            salt=near.salt,
            integrity_key=near.integrity_key,
        )
        self.outbound = OutboundSa(
            far.spi,
            suite,
            cipher_key=far.cipher_key,
            salt=far.salt,
            integrity_key=far.integrity_key,
            rng=rng,
            hard=order.hard_octets,
        )
        self._ipcomp = _ipcomp(order)
        self._soft, self._hard = order.soft_octets or inf, order.hard_octets or inf
        self.local_prefixes = tuple(prefix(text) for text in order.local)
        self.remote_prefixes = tuple(prefix(text) for text in order.remote)
        self.local, self.remote = PrefixSet(self.local_prefixes), PrefixSet(self.remote_prefixes)
        self.inner_mtu, self._largest = 0, order.inner_mtu
        self._told_worn = self._told_spent = False
        self.transport = order.transport
        if order.transport and not self._between_hosts:
            raise MisuseError("transport mode is between two IPv4 hosts")

    @property
    def _between_hosts(self) -> bool:
        ends = (*self.local_prefixes, *self.remote_prefixes)
        return len(ends) == 2 and all((one.octets, one.length) == (4, 32) for one in ends)

    @property
    def progress(self) -> Progress:
        return Progress(
            self.outbound.sequence,
            self.inbound.highest,
            self.inbound.seen.to_bytes(WINDOW // 8, "big"),
            self.outbound.octets,
            self.inbound.octets,
        )

    def go_on(self, progress: Progress) -> None:
        self.outbound.go_on(progress.sequence, progress.octets_out)
        seen = int.from_bytes(progress.seen, "big")
        self.inbound.go_on(progress.highest, seen, progress.octets_in)

    def open(self, datagrams: Sequence[bytes], marks: Sequence[int] = ()) -> list[bytes | Refusal]:
        """As `InboundSa.open_batch`, whole packets in either mode. ``marks``: of each datagram, if
        any has one."""
        if self._ipcomp is not None:
            return self._open_compressed(self._ipcomp, datagrams, marks)
        if not self.transport:
            return self.inbound.open_batch(datagrams)
        return self._with_headers(self.inbound.open_payloads(datagrams), marks)

    def _with_headers(
        self, opened: Sequence[tuple[int, bytes] | Refusal], marks: Sequence[int]
    ) -> list[bytes | Refusal]:
        near, far = host_of(self.local_prefixes[0]), host_of(self.remote_prefixes[0])
        return [
            found if isinstance(found, Refusal) else with_header(found, far, near, mark)
            for found, mark in zip(opened, marks or repeat(0, len(opened)), strict=True)
        ]

    def seal(self, packets: Sequence[bytes]) -> list[bytes]:
        """As `OutboundSa.seal_batch`. In transport mode fragments are left out, and counted."""
        if not self.transport:
            if self._ipcomp is None:
                return self.outbound.seal_batch(packets)
            payloads = [(NEXT_HEADER[packet[0] >> 4], packet) for packet in packets]
            return self.outbound.seal_payloads([self._ipcomp.wrap(one) for one in payloads])
        found = [without_header(packet) for packet in packets]
        whole = [payload for payload in found if payload is not None]
        if cut := len(found) - len(whole):
            self.session.dropped_out[FRAGMENT] += cut
        if self._ipcomp is not None:
            whole = [self._ipcomp.wrap(payload) for payload in whole]
        return self.outbound.seal_payloads(whole)

    def _open_compressed(
        self, ipcomp: IpComp, datagrams: Sequence[bytes], marks: Sequence[int]
    ) -> list[bytes | Refusal]:
        opened = [
            found if isinstance(found, Refusal) else ipcomp.unwrap(found)
            for found in self.inbound.open_payloads(datagrams)
        ]
        if not self.transport:
            return [inner(found) for found in opened]
        return self._with_headers(opened, marks)

    def wear(self) -> Worn | None:
        """What the coordinator must hear, said once each: it is worn, it is spent."""
        carried = max(self.inbound.octets, self.outbound.octets)
        if carried >= self._hard and not self._told_spent:
            self._told_worn = self._told_spent = True
            return Worn(self.session.number, self.number, spent=True)
        if not self._told_worn and (carried >= self._soft or self.outbound.worn):
            self._told_worn = True
            return Worn(self.session.number, self.number)
        return None

    def fit(self, path_mtu: int, largest: int) -> None:
        """Set ``inner_mtu`` for datagrams of ``path_mtu`` octets to the session's peer, and
        packets of no more than ``largest`` octets, if that is not 0 (`largest_inside`)."""
        fitting = inner_mtu(
            self.outbound.suite,
            path_mtu=path_mtu,
            carriage=carriage_of(self.session.local_port),
            outer_header=self.session.outer_header,
        )
        self.inner_mtu = largest_inside(fitting, largest, self._largest)


def _ipcomp(order: SaPair) -> IpComp | None:
    if not order.compression:
        return None
    # In transport mode a header is put before what comes out.
    room = MOST - SMALLEST_HEADER if order.transport else MOST
    return IpComp(order.compression, order.cpi_in, order.cpi_out, room=room)


def host_of(one: Prefix) -> bytes:
    return one.value.to_bytes(one.octets, "big")


def check_carriage(order: SaPair) -> None:
    """Raises MisuseError for UDP without a port, or a port without UDP."""
    if order.udp_encapsulated == (order.local_port == BARE):
        what = "in UDP" if order.udp_encapsulated else "without UDP"
        raise MisuseError(f"ESP {what} cannot leave from port {order.local_port}")


def host_octets(address: Address) -> bytes:
    """The host of an address as it stands in an IP header. Raises MisuseError."""
    try:
        return ip_address(address[0]).packed
    except ValueError as error:
        raise MisuseError(f"{address[0]!r} is no IP address") from error
