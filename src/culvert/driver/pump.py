"""Pump: UDP sockets and TUN joined by the data plane, in batches.

    UDP 500 ───────────────────────────> IKE ──> listener (the loop)
    IP protocol 50 ──> plane.from_network ────> inside ──> TUN
    UDP 4500 ──> plane.from_network ──┬> IKE ──> listener
                                      └> inside ──> TUN
    TUN ──> plane.from_tunnel ──> bursts ──> UDP

One wake-up handles one batch of one descriptor; then timers and the others get their turn. An
engine that can (`plane.Direct`) does all of it in one call and hands over only what is left: IKE,
moves, unknown SPIs, answers for packets that are too large.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import repeat

from culvert.datapath.offload import frames_of, packets_of
from culvert.datapath.plane import (
    ALL_CARRIED,
    ALL_SENT,
    BARE,
    NOTHING_READ,
    Burst,
    Counters,
    Direct,
    Drop,
    Inbound,
    Plane,
    Worn,
)
from culvert.datapath.xfrm.orders import News
from culvert.datapath.xfrm.plane import KernelPlane
from culvert.driver.carried import Carried
from culvert.driver.clock import boottime
from culvert.driver.descriptors import Bare, Datagrams, Inside, queue, queues
from culvert.driver.gate import Gate
from culvert.driver.loop import PacketListener
from culvert.driver.packet_loop import serve
from culvert.effects import (
    ActivateSa,
    InstallSa,
    MovePeer,
    PairWorn,
    PeerMoved,
    RemoveSa,
    Traffic,
)
from culvert.errors import PlatformError
from culvert.eventlog.event import Field, LogEvent
from culvert.inet.address import Address, Path
from culvert.inet.address import text as address_text
from culvert.inet.lane import by_lane

NON_ESP_MARKER = bytes(4)  # RFC 3948 §2.2
EARLY_MARKER = bytes(8)
"""Before ESP on port 500: where IKE has a cookie, which is never zero (NAT-T drafts 00 and 01)."""
KEEPALIVE = b"\xff"  # RFC 3948 §2.3

CALLS_AT_ONCE = 8
"""The same where they are IKE: a call may cost a key exchange, and packets wait meanwhile."""

EMPTY_READS = 64
"""A TUN that is readable this often in a row without a packet was deleted under us."""

ANY4, ANY6 = ("", 0), (":", 0)  # addresses of either family

GLANCE = 1.0
"""Seconds between two looks at the counters of SAs that the kernel holds."""

STRANGERS_NAMED = 16
"""Peers of packets with unknown SPIs named in the log per look; the plane counts them all. Their
addresses may be forged, and a log must not grow at a stranger's will."""

DROPS = {
    "replayed": "data.replayed",
    "not-authentic": "data.not-authentic",
    "not-leased": "data.not-leased",
}
"""Reasons for a drop that are worth an event of their session."""


class Pump:
    """The data path of one coordinator.

    ``ports``: the numbers by which the core knows the two kinds of sockets. A client that could
    not have 500 and 4500 has its own sockets under these numbers all the same; its peer sees
    other ports than the core said and takes that for a NAT, which is what it amounts to.
    ``esp``: the socket of plain ESP, if there is one. ``beside``: a port that carries ESP only,
    its sockets.
    """

    def __init__(
        self,
        plane: Plane,
        ike: Sequence[Datagrams],
        natt: Sequence[Datagrams],
        *,
        esp: Bare | None = None,
        beside: tuple[int, Sequence[Datagrams]] = (BARE, ()),
        ports: tuple[int, int] = (500, 4500),
        clock: Callable[[], float] = boottime,
    ) -> None:
        self._plane = plane
        self._direct: Direct | None = plane.direct
        self._kernel = plane if isinstance(plane, KernelPlane) else None
        self._glance: asyncio.TimerHandle | None = None
        self._clock = clock
        self._readers = {
            **dict.fromkeys(ike, self._read_ike),
            **dict.fromkeys(
                (*natt, *beside[1]), self._receive if self._direct else self._read_natt
            ),
        }
        self._beside = dict.fromkeys(beside[1], beside[0])
        self._ports = ports
        self._by_port: dict[int, list[Datagrams]] = {
            ports[0]: [*ike],
            ports[1]: [*natt],
            **({beside[0]: [*beside[1]]} if beside[1] else {}),
        }
        if self._direct is not None and beside[1]:
            senders = {6 if ":" in one.local[0] else 4: one.fileno() for one in beside[1]}
            self._direct.beside(beside[0], senders)
        self._bare = esp
        if esp is not None:
            self._readers[esp] = self._read_bare
            self._by_port[BARE] = [esp]
        self._tun: Inside | None = None
        self._lanes = max((one.lane for one in natt), default=0)
        self._waiting: dict[int, list[tuple[Inside, int]]] = {}
        self._empty_reads = 0
        self._early = False  # whether a peer has ESP on port 500
        self._listener: PacketListener | None = None
        self._told: dict[int, Counters] = {}
        self.carried = Carried()
        self._gate = Gate()
        self._strangers: Counter[Address] = Counter()
        self._refused: Counter[str] = Counter()

    # --- life ----------------------------------------------------------------------------------

    def start(self, listener: PacketListener) -> None:
        self._listener = listener
        for one, read in self._readers.items():
            serve(one.fileno(), read, one)
        if self._kernel is not None:
            self._look_again()

    def _look_again(self) -> None:
        """No packet comes by that would prompt a look at the kernel's counters."""
        if self._listener is not None and self._told:
            self._listener.busy()
        loop = asyncio.get_running_loop()
        self._glance = loop.call_later(GLANCE, self._look_again)

    @property
    def plane(self) -> Plane:
        return self._plane

    def pause(self) -> Inside | None:
        """Nothing is read, opened or sealed any more; what comes waits in the kernel. The TUN, for
        `go_on`."""
        tun = self.detach()
        self._glance_no_more()
        loop = asyncio.get_running_loop()
        for one in self._readers:
            loop.remove_reader(one.fileno())
        return tun

    def _glance_no_more(self) -> None:
        if self._glance is not None:
            self._glance.cancel()
            self._glance = None

    def go_on(self, tun: Inside | None) -> None:
        """After `pause`."""
        if self._listener is not None:
            self.start(self._listener)
        if tun is not None:
            self.attach(tun)

    def stop(self) -> None:
        """Stop and close every descriptor."""
        self._glance_no_more()
        if (tun := self.detach()) is not None:
            tun.close()
        if self._listener is not None:
            loop = asyncio.get_running_loop()
            for one in self._readers:
                loop.remove_reader(one.fileno())
        for one in self._readers:
            one.close()
        self._listener = None

    def attach(self, tun: Inside) -> None:
        """Packets flow between the plane and ``tun`` from now on."""
        self.detach()
        self._tun = tun
        self._empty_reads = 0
        self._use_directly(tun)
        for lane, one in enumerate(queues(tun)):
            self._listen_to(one, lane)

    def _listen_to(self, tun: Inside, lane: int) -> None:
        if self._kernel is not None:
            return  # its packets do not come by here
        read = self._transmit if self._direct else self._read_tun
        serve(tun.fileno(), read, tun, lane)

    def _use_directly(self, tun: Inside | None) -> None:
        if self._direct is None:
            return
        bare = {} if self._bare is None else {BARE: self._bare.fileno()}
        if tun is not None:  # it may have lanes where the sockets have none
            self._lanes = max(self._lanes, len(tun.lanes))
        for lane in range(1 + self._lanes):
            senders = {4: self._sender(self._ports[1], ANY4, lane)}
            senders[6] = self._sender(self._ports[1], ANY6, lane)
            found = {version: one for version, one in senders.items() if one is not None}
            inside = queue(tun, lane) if tun is not None else None
            self._direct.attach(
                inside.fileno() if inside else -1,
                {version: one.fileno() for version, one in found.items()} | bare,
                virtio=tun is not None and tun.virtio,
                joins_udp=tun is not None and "uso" in tun.offloads,
                trains=all(one.splits for one in found.values()),
                lane=lane,
            )

    @property
    def _natt(self) -> Sequence[Datagrams]:
        return self._by_port[self._ports[1]]

    def detach(self) -> Inside | None:
        """The TUN, which is read no more; packets from the network have nowhere to go now."""
        tun, self._tun = self._tun, None
        for one in queues(tun) if tun is not None else ():
            if one.fileno() >= 0:
                asyncio.get_running_loop().remove_reader(one.fileno())
        self._use_directly(None)
        return tun

    # --- from the network ----------------------------------------------------------------------

    def _read_ike(self, source: Datagrams) -> None:
        if self._listener is None:
            return
        early: list[tuple[bytes, Path]] = []
        early_marks: list[int] = []
        batch = source.read_batch()
        for (octets, path), mark in zip(batch, source.marks or repeat(0, len(batch)), strict=True):
            if self._early and octets.startswith(EARLY_MARKER):
                early.append((octets[len(EARLY_MARKER) :], path))
                early_marks.append(mark)
            elif octets != KEEPALIVE:
                if self._bare is not None:
                    self._bare.answer(path.remote[0], path.local[0])
                if self._kernel is not None:
                    self._kernel.heard(path.remote[0], path.local[0])
                self._listener.ike(octets, self._known_by(path))
        if early:
            self._open(early, self._ports[0], early_marks, 0)

    def _read_natt(self, source: Datagrams) -> None:
        self._read_esp(source, self._port_of(source))

    def _read_bare(self, source: Datagrams) -> None:
        if self._listener is not None and (batch := source.read_batch()):
            for lane, datagrams, marks in by_lane(batch, source.marks):
                self._open(datagrams, BARE, marks, lane)

    def _read_esp(self, source: Datagrams, local_port: int) -> None:
        if self._listener is not None and (batch := source.read_batch()):
            self._open(batch, local_port, source.marks, source.lane)

    def _open(
        self, batch: Sequence[tuple[bytes, Path]], local_port: int, marks: Sequence[int], lane: int
    ) -> None:
        listener = self._listener
        if listener is None:
            return
        try:
            found = self._plane.from_network(
                [(octets, path.remote) for octets, path in batch],
                self._clock(),
                local_port=local_port,
                marks=marks,
            )
        except Exception as error:  # a defect costs this batch, not the process
            listener.fault("opening packets", error)
            return
        if found.inside:
            if self._tun is not None:
                self._write(queue(self._tun, lane), found.inside)
            listener.busy()
        self._tell_worn(*found.worn)
        for moved in found.moved:
            listener.moved(PeerMoved(*moved))
        if found.unknown:
            self._strangers.update(found.unknown)
            listener.busy()
        if found.ike and local_port == self._ports[1]:
            self._hand_over(found, {path.remote: path for _, path in batch})

    def _receive(self, source: Datagrams) -> None:
        """As `_read_natt`, by an engine that does the reading and writing itself."""
        listener, direct = self._listener, self._direct
        if listener is None or direct is None:
            return
        try:
            found = direct.receive(
                source.fileno(), self._clock(), self._port_of(source), source.lane
            )
        except Exception as error:  # as above
            listener.fault("opening packets", error)
            return
        if found.carried:
            listener.busy()
        if found is ALL_CARRIED:
            return
        for session, peer, info in found.called:
            source.heard(peer, info)
            direct.called(session, source.called(peer))
        self._tell_worn(*found.worn)
        for (session, peer, local_port), info in found.moved:
            source.heard(peer, info)
            listener.moved(PeerMoved(session, peer, local_port))
        if found.unknown:
            self._strangers.update(found.unknown)
            listener.busy()
        now = self._clock()
        for octets, remote, info in found.ike:
            if source in self._beside or not self._gate.admits(octets, remote, now=now):
                continue
            path = source.heard(remote, info)
            if self._listener is not None:
                self._listener.ike(octets, self._known_by(path))

    def _port_of(self, source: Datagrams) -> int:
        return self._beside.get(source, self._ports[1])

    def _hand_over(self, found: Inbound, paths: Mapping[Address, Path]) -> None:
        now = self._clock()
        for octets, remote in found.ike:
            if self._kernel is not None:
                self._kernel.heard(remote[0], paths[remote].local[0])
            if self._listener is not None and self._gate.admits(octets, remote, now=now):
                self._listener.ike(octets, self._known_by(paths[remote]))

    def _known_by(self, path: Path) -> Path:
        """The path with our port as the core knows it."""
        port = self._ports[path.encapsulated]
        return path if path.local[1] == port else path._replace(local=(path.local[0], port))

    def told(self, news: Sequence[News]) -> None:
        """What the kernel says of the SAs it holds for us."""
        listener = self._listener
        if listener is None or self._kernel is None:
            return
        worn, moved = self._kernel.told(news)
        self._tell_worn(*worn)
        for other in moved:
            listener.moved(PeerMoved(*other))

    def _tell_worn(self, *news: Worn) -> None:
        for one in news:
            if self._listener is not None:
                self._listener.worn(PairWorn(*one))

    # --- from the machine ----------------------------------------------------------------------

    def _read_tun(self, tun: Inside, lane: int) -> None:
        listener = self._listener
        if listener is None:
            return
        packets = tun.read_batch()
        if not packets:
            self._nothing_read(tun, listener)
            return
        self._empty_reads = 0
        if self._cuts(tun):
            packets, refused = packets_of(packets)
            self._refused[Drop.NOT_IP] += refused
        try:
            found = self._plane.from_tunnel(packets, self._clock())
        except Exception as error:  # as above
            listener.fault("sealing packets", error)
            return
        for burst in found.bursts:
            self._send_burst(burst, lane)
        self._tell_worn(*found.worn)
        if found.returned:
            tun.write_batch(found.returned)
        listener.busy()

    def _write(self, tun: Inside, packets: Sequence[bytes]) -> None:
        if self._cuts(tun):
            tun.write_frames(frames_of(packets))
        else:
            tun.write_batch(packets)

    def _cuts(self, tun: Inside) -> bool:
        """Whether super-packets are cut and joined here: the engine sees single packets."""
        return tun.virtio and not self._plane.virtio

    def _transmit(self, tun: Inside, lane: int) -> None:
        """As `_read_tun`, by an engine that does the reading and sending itself."""
        listener, direct = self._listener, self._direct
        if listener is None or direct is None:
            return
        try:
            found = direct.transmit(lane)
        except Exception as error:  # as above
            listener.fault("sealing packets", error)
            return
        if found is NOTHING_READ:
            self._nothing_read(tun, listener)
            return
        self._empty_reads = 0
        listener.busy()
        if found is ALL_SENT:
            return
        if found.returned:
            tun.write_batch(found.returned)
        self._tell_worn(*found.worn)
        if found.blocked >= 0:
            self._wait_for(found.blocked, tun, lane)

    def _wait_for(self, full: int, tun: Inside, lane: int) -> None:
        """The queue waits until the full socket has room: packets wait where TCP can feel it."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(tun.fileno())
        waiting = self._waiting.setdefault(full, [])
        waiting.append((tun, lane))

        def writable() -> None:
            loop.remove_writer(full)
            for one, its_lane in self._waiting.pop(full, ()):
                if self._tun is not None and one in queues(self._tun):
                    self._listen_to(one, its_lane)
                    self._transmit(one, its_lane)

        loop.add_writer(full, writable)

    def _nothing_read(self, tun: Inside, listener: PacketListener) -> None:
        self._empty_reads += 1
        if self._empty_reads == EMPTY_READS:
            for one in queues(self._tun) if self._tun is not None else ():
                asyncio.get_running_loop().remove_reader(one.fileno())
            listener.note(LogEvent("data.interface-gone", {"name": tun.name}))

    # --- to the network ------------------------------------------------------------------------

    def send(self, octets: bytes, to: Address, local_port: int, *, marker: bool) -> None:
        """One datagram; what the network does not take is lost, as it may be anywhere else."""
        sender = self._sender(local_port, to)
        if sender is not None:
            sender.send(NON_ESP_MARKER + octets if marker else octets, to)

    def _send_burst(self, burst: Burst, lane: int) -> None:
        sender = self._sender(burst.local_port, burst.peer, lane)
        front = EARLY_MARKER if burst.local_port == self._ports[0] else b""
        if sender is not None:
            datagrams = [(front + datagram, burst.peer) for datagram in burst.datagrams]
            sender.send_batch(datagrams, burst.mark)

    def _sender(self, local_port: int, to: Address, lane: int = 0) -> Datagrams | None:
        """The socket of that port that speaks the family of ``to``: that of the lane, if it has
        one."""
        six = ":" in to[0]
        found = None
        for one in self._by_port.get(local_port, ()):
            if (":" in one.local[0]) == six and (found is None or one.lane == lane):
                found = one
                if one.lane == lane:
                    break
        return found

    # --- orders of the core --------------------------------------------------------------------

    def arrange(self, order: InstallSa | ActivateSa | RemoveSa | MovePeer) -> None:
        self.carried.note(order)
        self._gate.follow(self.carried.peers, order.session)
        match order:
            case InstallSa():
                if order.local_port == self._ports[0]:
                    self._carry_early()
                self._plane.install(order)
                self._told.setdefault(order.session, Counters())
                self._answer_from_where_called(order.session, order.peer, order.local_port)
            case ActivateSa(session=session, pair=pair):
                self._plane.activate(session, pair)
            case RemoveSa(session=session, pair=pair):
                self._plane.remove(session, pair)
            case MovePeer(session=session, peer=peer, local_port=local_port):
                self._plane.move(session, peer, local_port)
                self._answer_from_where_called(session, peer, local_port)

    def _carry_early(self) -> None:
        """From now on ESP goes beside IKE on port 500, too (NAT-T drafts 00 and 01). The engines
        do not know that form: what they read and sent by themselves goes through here."""
        self._early = True
        if self._direct is None:
            return
        tun = self.detach()
        self._direct = None
        for one, read in self._readers.items():
            if read == self._receive:
                self._readers[one] = self._read_natt
                serve(one.fileno(), self._read_natt, one)
        if tun is not None:
            self.attach(tun)

    def called(self, peer: Address, local_port: int) -> bytes:
        """From which of our addresses this peer is answered (in_pktinfo or in6_pktinfo)."""
        sender = self._sender(local_port, peer)
        return sender.called(peer) if sender else b""

    def heard(self, peer: Address, local_port: int, info: bytes) -> None:
        """As if this peer had called that address of ours."""
        if sender := self._sender(local_port, peer):
            sender.heard(peer, info)

    def _answer_from_where_called(self, session: int, peer: Address, local_port: int) -> None:
        if self._direct is not None:
            self._direct.called(session, self.called(peer, local_port))

    def forget(self, session: int) -> None:
        self._plane.forget(session)
        self.carried.forget(session)
        self._gate.follow(self.carried.peers, session)
        self._told.pop(session, None)

    # --- counters ------------------------------------------------------------------------------

    @property
    def engine(self) -> str:
        return self._plane.name

    @property
    def refused(self) -> Mapping[str, int]:
        """Drops that belong to no session, by reason."""
        return Counter(self._plane.refused) + self._refused + self._gate.refused

    def changed(self) -> list[Traffic]:
        """The counters that moved since the last call; what was dropped goes into the log."""
        self._name_strangers()
        if self._kernel is not None:
            with suppress(PlatformError):  # the next look has them
                worn = self._kernel.look(self._clock())
                asyncio.get_running_loop().call_soon(self._tell_worn, *worn)
        found: list[Traffic] = []
        for session, before in self._told.items():
            counted = self._plane.traffic(session)
            if counted != before:
                self._told[session] = counted
                self._note_drops(session, before, counted)
                found.append(_traffic(session, counted))
        return found

    def recounted(self) -> None:
        """What sessions carried in another process was told there."""
        self._told = {session: self._plane.traffic(session) for session in self._told}

    def _note_drops(self, session: int, before: Counters, counted: Counters) -> None:
        for reason, code in DROPS.items():
            more = counted.dropped_in.get(reason, 0) - before.dropped_in.get(reason, 0)
            if more and self._listener is not None:
                self._listener.note(LogEvent(code, {"count": more, "session": session}))

    def _name_strangers(self) -> None:
        for peer, count in self._strangers.most_common(STRANGERS_NAMED):
            fields: dict[str, Field] = {"peer": address_text(peer), "count": count}
            if self._listener is not None:
                self._listener.note(LogEvent("gateway.unknown-spi", fields))
        self._strangers.clear()


def _traffic(session: int, counted: Counters) -> Traffic:
    return Traffic(
        session,
        counted.octets_in,
        counted.octets_out,
        counted.packets_in,
        counted.packets_out,
        sum(counted.dropped_in.values()),
        sum(counted.dropped_out.values()),
    )
