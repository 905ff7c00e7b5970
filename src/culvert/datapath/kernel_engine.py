"""The compiled engine: the tables and batches of `culvert.esp.batch` behind the common border.

What it opens and seals equals `PythonEngine` octet for octet. With ``virtio`` the packets of the
TUN carry virtio headers: super-packets are cut going in, and segments joined coming out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from ctypes import byref
from dataclasses import dataclass
from ipaddress import ip_address

from culvert.crypto.packet import PacketSuite, packet_suite
from culvert.datapath.fragmentation import Cutter, Policy
from culvert.datapath.kernel_pair import KernelPair, KernelSession
from culvert.datapath.mtu import ETHERNET
from culvert.datapath.outbound import Run
from culvert.datapath.pair import check_carriage
from culvert.datapath.plane import (
    ALL_CARRIED,
    ALL_SENT,
    BARE,
    NATT_PORT,
    NOTHING_CAME,
    NOTHING_READ,
    Burst,
    Counters,
    Inbound,
    Moved,
    Outbound,
    Progress,
    Received,
    SaPair,
    Transmitted,
    Worn,
)
from culvert.errors import MisuseError
from culvert.esp.batch import REASONS, Kernel, Kind, Record, Work, frames_of, named, sizes_of
from culvert.esp.sa import spi_octets
from culvert.inet.address import Address
from culvert.inet.marks import ALL
from culvert.rng import Random

READS = 64
WEAR = (Kind.WORN, Kind.SPENT)
"""System calls per direct batch, each of one packet or up to 64 KB, which the kernel ends after
256 KB: then timers and the other descriptors get their turn."""

NO_DESCRIPTOR = -1

PUMPS = "pump_in", "pump_out"


@dataclass(slots=True)
class Lane:
    """What one lane sends with: what waits for its full socket waits there; and its TUN queue."""

    sending: Work
    tun: int


class KernelEngine:
    """A `culvert.datapath.plane.Plane` and `Direct`. ``path_mtu`` holds for all peers.

    ``virtio`` and ``joins_udp`` are about the batches in memory; a descriptor has what `attach`
    says. ``copied``: which bits of DSCP and ECN datagrams have of the packets in them.
    ``cut`` and ``largest``: as those of `PythonEngine`.
    """

    def __init__(
        self,
        kernel: Kernel,
        rng: Random,
        *,
        path_mtu: int = ETHERNET,
        virtio: bool = False,
        joins_udp: bool = False,
        copied: int = ALL,
        cut: Policy = Policy.BEFORE_WITH_ICMP,
        largest: int = 0,
    ) -> None:
        self._call = kernel.call
        self._rng = rng
        self._path_mtu = path_mtu
        self._cutter, self._largest = Cutter(cut), largest
        self._virtio = virtio
        self._sessions: dict[int, KernelSession] = {}
        self._by_spi: dict[bytes, KernelPair] = {}
        self._by_tag: dict[int, KernelPair] = {}
        self._tags = 0
        # One scratch per direction, so that two threads may run the two directions.
        frames = frames_of(virtio=virtio, udp=joins_udp)
        self._inward, self._outward = (Work(kernel, frames) for _ in range(2))
        self._receiving = Work(kernel, frames)
        self._kernel = kernel
        self._lanes = [Lane(Work(kernel, frames), NO_DESCRIPTOR)]
        self._beside: tuple[int, int, int] | None = None
        self._engine: int | None = self._call.engine(copied)
        if not self._engine:
            raise MemoryError("no memory for the data path's tables")
        self._pump_in, self._pump_out = (unchecked(kernel, name) for name in PUMPS)
        self._tables, self._now = ctypes.c_void_p(self._engine), ctypes.c_double()

    def __del__(self) -> None:
        if getattr(self, "_engine", None):
            for number in tuple(self._sessions):
                self.forget(number)
            self._call.engine_free(self._engine)

    @property
    def name(self) -> str:
        return "kernel"

    @property
    def virtio(self) -> bool:
        return self._virtio

    @property
    def direct(self) -> KernelEngine:
        return self

    @property
    def refused(self) -> Mapping[str, int]:
        counts = (ctypes.c_uint64 * len(REASONS))()
        self._call.refused(self._engine, counts)
        return named(counts)

    # --- tables --------------------------------------------------------------------------------

    def install(self, pair: SaPair) -> None:
        spi = spi_octets(pair.inbound.spi)
        if spi in self._by_spi:
            raise MisuseError(f"inbound SPI {pair.inbound.spi:#010x} is in use")
        session = self._sessions.get(pair.session)
        if session is not None and pair.pair in session.pairs:
            raise MisuseError(f"session {pair.session} has a pair {pair.pair} already")
        if pair.transport:
            raise MisuseError("the compiled engine has no transport mode")
        if pair.compression:
            raise MisuseError("the compiled engine has no IPComp")
        suite = _checked(pair)
        packed = ip_address_of(pair.peer)
        fresh = session or KernelSession(pair.session, self._call.session())
        self._tags += 1
        made = KernelPair(pair, self._tags, fresh, suite)
        try:
            made.install(self._call, self._engine, pair, self._rng)
        except BaseException:
            if session is None:
                self._call.session_free(self._engine, fresh.handle)
            raise
        fresh.move(pair.peer, packed, pair.local_port)
        self._sessions[pair.session] = fresh
        self._by_spi[spi] = self._by_tag[made.tag] = fresh.pairs[pair.pair] = made
        self._fit(fresh)

    def activate(self, session: int, pair: int) -> None:
        known = self._sessions.get(session)
        chosen = known.pairs.get(pair) if known else None
        if chosen is None:
            raise MisuseError(f"session {session} has no pair {pair} to activate")
        if self._call.activate(self._engine, chosen.handle):
            raise MemoryError("no memory for the data path's tables")

    def remove(self, session: int, pair: int) -> None:
        known = self._sessions.get(session)
        gone = known.pairs.pop(pair, None) if known else None
        if gone is not None:
            del self._by_spi[gone.spi], self._by_tag[gone.tag]
            self._call.remove(self._engine, gone.handle)

    def move(self, session: int, peer: Address, local_port: int) -> None:
        """A session without pairs yet learns its peer with the first."""
        if known := self._sessions.get(session):
            known.move(peer, ip_address_of(peer), local_port)
            self._fit(known)

    def forget(self, session: int) -> None:
        if known := self._sessions.get(session):
            for pair in tuple(known.pairs):
                self.remove(session, pair)
            del self._sessions[session]
            self._call.session_free(self._engine, known.handle)

    def traffic(self, session: int) -> Counters:
        known = self._sessions.get(session)
        return known.counters(self._call, self._engine) if known else Counters()

    def progress(self, session: int, pair: int) -> Progress:
        return self._pair(session, pair).progress(self._call, self._engine)

    def go_on(self, session: int, pair: int, progress: Progress) -> None:
        self._pair(session, pair).go_on(self._call, self._engine, progress)

    def recount(self, session: int, counters: Counters) -> None:
        if known := self._sessions.get(session):
            known.recount(self._call, self._engine, counters)

    def _pair(self, session: int, pair: int) -> KernelPair:
        known = self._sessions.get(session)
        found = known.pairs.get(pair) if known else None
        if found is None:
            raise MisuseError(f"session {session} has no pair {pair}")
        return found

    def _fit(self, session: KernelSession) -> None:
        """Tell the kernel where the session's datagrams go, and how large they may be."""
        self._call.move(self._engine, session.handle, byref(session.told))
        for pair in session.pairs.values():
            pair.fit(self._path_mtu, self._largest)
            self._call.fit(self._engine, pair.handle, pair.inner_mtu)

    # --- batches in memory ---------------------------------------------------------------------

    def from_network(
        self,
        batch: Sequence[tuple[bytes, Address]],
        now: float,
        local_port: int = NATT_PORT,
        marks: Sequence[int] = (),
    ) -> Inbound:
        out = Inbound()
        newest: dict[int, Address] = {}
        left = bytes(marks or len(batch))
        while batch:
            datagrams = [datagram for datagram, _ in batch]
            taken = self._call.inward(
                self._engine,
                self._inward.handle,
                b"".join(datagrams),
                sizes_of(datagrams),
                left,
                len(datagrams),
                local_port,
                now,
            )
            for record in self._inward.records():
                source = batch[record.position][1]
                if record.kind == Kind.INSIDE:
                    out.inside.append(record.octets)
                elif record.kind == Kind.IKE:
                    out.ike.append((record.octets, source))
                elif record.kind == Kind.UNKNOWN:
                    out.unknown[source] = out.unknown.get(source, 0) + 1
                elif record.kind in WEAR:
                    out.worn += self._by_tag[record.tag].wear(record.kind)
                else:
                    newest[record.tag] = source
            batch, left = batch[taken:], left[taken:]
        for tag, source in newest.items():
            session = self._by_tag[tag].session
            if source != session.peer or local_port != session.local_port:
                out.moved.append(Moved(session.number, source, local_port))
        return out

    def from_tunnel(self, packets: Sequence[bytes | memoryview], now: float) -> Outbound:
        out = Outbound()
        queues: dict[int, list[Run]] = {}
        rest = [bytes(packet) for packet in packets]
        while rest:
            taken = self._call.outward(
                self._engine,
                self._outward.handle,
                b"".join(rest),
                sizes_of(rest),
                len(rest),
            )
            for record in self._outward.records():
                self._sealed(record, queues, out)
            rest = rest[taken:]
        for tag, runs in queues.items():
            session = self._by_tag[tag].session
            for mark, sealed in runs:
                out.bursts.append(Burst(sealed, session.peer, session.local_port, mark))
        return out

    def _sealed(self, record: Record, queues: dict[int, list[Run]], out: Outbound) -> None:
        pair = self._by_tag[record.tag]
        runs = queues.setdefault(record.tag, [])
        if record.kind == Kind.SEALED:
            if not runs or runs[-1][0] != record.position:
                runs.append((record.position, []))
            runs[-1][1].append(record.octets)
        elif record.kind in WEAR:
            out.worn += pair.wear(record.kind)
        else:
            pieces = self._pieces(record.octets, pair, out.returned)
            self._seal(self._outward, pair, pieces)
            for made in self._outward.records() if pieces else ():
                self._sealed(made, queues, out)

    def _seal(self, work: Work, pair: KernelPair, pieces: Sequence[bytes]) -> None:
        if pieces:
            self._call.seal(
                self._engine,
                work.handle,
                pair.handle,
                b"".join(pieces),
                sizes_of(pieces),
                len(pieces),
            )

    # --- descriptors ---------------------------------------------------------------------------

    def attach(
        self,
        tun: int,
        sockets: Mapping[int, int],
        *,
        virtio: bool,
        joins_udp: bool,
        trains: bool,
        lane: int = 0,
    ) -> None:
        four, six, bare = (sockets.get(version, NO_DESCRIPTOR) for version in (4, 6, BARE))
        frames = frames_of(virtio=virtio, udp=joins_udp)
        while len(self._lanes) <= lane:
            self._lanes.append(Lane(Work(self._kernel, frames), NO_DESCRIPTOR))
            if self._beside is not None:
                self._call.beside(self._lanes[-1].sending.handle, *self._beside)
        used = self._lanes[lane]
        used.tun = tun
        for work in (self._receiving, used.sending):
            self._call.direct(work.handle, tun, four, six, bare, frames, int(trains))

    def beside(self, port: int, sockets: Mapping[int, int]) -> None:
        four, six = (sockets.get(version, NO_DESCRIPTOR) for version in (4, 6))
        self._beside = port, four, six
        for lane in self._lanes:
            self._call.beside(lane.sending.handle, port, four, six)

    def called(self, session: int, info: bytes) -> None:
        if known := self._sessions.get(session):
            known.answer(info)
            self._call.move(self._engine, known.handle, byref(known.told))

    def receive(self, udp: int, now: float, local_port: int = NATT_PORT, lane: int = 0) -> Received:
        work = self._receiving
        state = work.state
        state.tun = self._lanes[lane if lane < len(self._lanes) else 0].tun
        self._now.value = now
        self._pump_in(self._tables, work.handle, udp, local_port, READS, self._now)
        if state.count:
            return self._told(work, local_port)
        return ALL_CARRIED if state.packets else NOTHING_CAME

    def _told(self, work: Work, local_port: int) -> Received:
        ike: list[tuple[bytes, Address, bytes]] = []
        moved: list[tuple[Moved, bytes]] = []
        called: list[tuple[int, Address, bytes]] = []
        unknown: dict[Address, int] = {}
        worn: list[Worn] = []
        newest: dict[int, tuple[Address, bytes]] = {}
        carried = work.state.packets > 0
        for record in work.records():
            source = address_of(record.host, record.port)
            if record.kind == Kind.IKE:
                ike.append((record.octets, source, record.info))
            elif record.kind == Kind.UNKNOWN:
                unknown[source] = unknown.get(source, 0) + 1
            elif record.kind in WEAR:
                worn += self._by_tag[record.tag].wear(record.kind)
            else:
                newest[record.tag] = source, record.info
        for tag, (source, info) in newest.items():
            session = self._by_tag[tag].session
            if (source, local_port) != (session.peer, session.local_port):
                moved.append((Moved(session.number, source, local_port), info))
            else:
                called.append((session.number, source, info))
        return Received(carried, ike, moved, called, unknown, worn)

    def transmit(self, lane: int = 0) -> Transmitted:
        work = self._lanes[lane].sending
        state = work.state
        self._pump_out(self._tables, work.handle, READS)
        if not state.count and state.blocked < 0:
            return ALL_SENT if state.reads else NOTHING_READ
        read = state.reads > 0
        returned: list[bytes] = []
        worn: list[Worn] = []
        for record in work.records():
            self._finish(work, record, returned, worn)
        return Transmitted(read, state.blocked, returned, worn)

    def _finish(self, work: Work, record: Record, returned: list[bytes], worn: list[Worn]) -> None:
        pair = self._by_tag[record.tag]
        if record.kind in WEAR:
            worn += pair.wear(record.kind)
            return
        pieces = self._pieces(record.octets, pair, returned)
        if pieces:
            self._seal(work, pair, pieces)
            for made in work.records():
                self._finish(work, made, returned, worn)

    def _pieces(self, packet: bytes, pair: KernelPair, returned: list[bytes]) -> Sequence[bytes]:
        """What the kernel left to us; of a super-packet also the last segment, which may fit."""
        if len(packet) <= pair.inner_mtu:
            return (packet,)
        return self._cutter.sized(packet, pair.inner_mtu, pair.session.dropped_out, returned)


def unchecked(kernel: Kernel, name: str) -> Callable[..., object]:
    """The function without argument types: a packet on an idle line waits for their conversion,
    half of the call. Whoever calls it gives C values: pointers, doubles, and numbers of an int."""
    found: Callable[..., object] = kernel.call[f"batch_{name}"]
    return found


def _checked(pair: SaPair) -> PacketSuite:
    check_carriage(pair)
    suite = packet_suite(pair.cipher, pair.integrity)
    for half in (pair.inbound, pair.outbound):
        suite.check(half.cipher_key, half.salt, half.integrity_key)
    spi_octets(pair.outbound.spi)
    return suite


def ip_address_of(peer: Address) -> bytes:
    """The host of an address as it stands in an IP header. Raises MisuseError."""
    try:
        return ip_address(peer[0]).packed
    except ValueError as error:
        raise MisuseError(f"{peer[0]!r} is no IP address") from error


def address_of(host: bytes, port: int) -> Address:
    """The inverse, with the port."""
    return str(ip_address(host)), port
