"""Sessions and pairs of SAs as the compiled engine holds them: our names beside its handles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from ctypes import CDLL, Array, byref, memmove, sizeof

from culvert.crypto.packet import DES_KEY, PacketSuite
from culvert.datapath.mtu import OUTER_IPV4, OUTER_IPV6, carriage_of, inner_mtu, largest_inside
from culvert.datapath.plane import Counters, Progress, SaPair, Worn
from culvert.errors import MisuseError
from culvert.esp import sa
from culvert.esp.batch import (
    HASHES,
    REASONS,
    RING,
    WORD,
    Kind,
    OrderC,
    PeerC,
    PrefixC,
    ProgressC,
    TrafficC,
    cipher_name,
    named,
)
from culvert.esp.replay import WINDOW
from culvert.inet.address import Address
from culvert.inet.prefix import Prefix, prefix
from culvert.rng import Random

NO_LIMIT = 2**64 - 1


class KernelSession:
    """Where a session's datagrams go; ``told`` is that as the kernel knows it."""

    __slots__ = ("dropped_out", "handle", "local_port", "number", "pairs", "peer", "told")

    def __init__(self, number: int, handle: int | None) -> None:
        if not handle:
            raise MemoryError("no memory for the data path's tables")
        self.number = number
        self.handle = handle
        self.pairs: dict[int, KernelPair] = {}
        self.peer: Address = ("", 0)
        self.local_port = 0
        self.told = PeerC()
        self.dropped_out: Counter[str] = Counter()
        """What was dropped here and not in the kernel: packets too large."""

    def move(self, peer: Address, host: bytes, local_port: int) -> None:
        same_host = peer[0] == self.peer[0]
        self.peer, self.local_port = peer, local_port
        self.told.host_size = len(host)
        memmove(self.told.host, host.ljust(16, b"\0"), 16)
        self.told.port, self.told.local_port = peer[1], local_port
        if not same_host:
            self.answer(b"")

    def answer(self, info: bytes) -> None:
        """``info`` is in_pktinfo or in6_pktinfo, or empty: leave from any address."""
        self.told.answer_size = len(info)
        memmove(self.told.answer, info.ljust(20, b"\0"), 20)

    @property
    def outer_header(self) -> int:
        return OUTER_IPV4 if self.told.host_size == 4 else OUTER_IPV6

    def counters(self, call: CDLL, engine: int | None) -> Counters:
        found = TrafficC()
        call.traffic(engine, self.handle, byref(found))
        dropped_out = Counter(named(found.dropped_out)) + self.dropped_out
        return Counters(
            found.octets_in,
            found.octets_out,
            found.packets_in,
            found.packets_out,
            found.last_inbound,
            named(found.dropped_in),
            dict(dropped_out),
        )

    def recount(self, call: CDLL, engine: int | None, counters: Counters) -> None:
        told = TrafficC(
            counters.octets_in,
            counters.octets_out,
            counters.packets_in,
            counters.packets_out,
            counters.last_inbound,
        )
        for index, reason in enumerate(REASONS):
            told.dropped_in[index] = counters.dropped_in.get(reason, 0)
        self.dropped_out = Counter(counters.dropped_out)
        call.recount(engine, self.handle, byref(told))


class KernelPair:
    """Both halves of an IPsec SA, by the kernel's handle once `install` was called."""

    __slots__ = (
        "_largest",
        "_suite",
        "_told",
        "handle",
        "inner_mtu",
        "number",
        "session",
        "spi",
        "tag",
    )

    def __init__(self, order: SaPair, tag: int, session: KernelSession, suite: PacketSuite) -> None:
        self.number = order.pair
        self.tag = tag
        self.session = session
        self.spi = sa.spi_octets(order.inbound.spi)
        self.inner_mtu, self._largest = 0, order.inner_mtu
        self.handle = 0
        self._suite = suite
        self._told = -1

    def fit(self, path_mtu: int, largest: int) -> None:
        fitting = inner_mtu(
            self._suite,
            path_mtu=path_mtu,
            carriage=carriage_of(self.session.local_port),
            outer_header=self.session.outer_header,
        )
        self.inner_mtu = largest_inside(fitting, largest, self._largest)

    def wear(self, kind: int) -> Sequence[Worn]:
        """What the coordinator must hear of a WORN or SPENT: either half tells, it hears once."""
        if kind == Kind.SPENT and self._told != Kind.SPENT:
            self._told = kind
            return (Worn(self.session.number, self.number, spent=True),)
        if kind == Kind.WORN and self._told < 0:
            self._told = kind
            return (Worn(self.session.number, self.number),)
        return ()

    def progress(self, call: CDLL, engine: int | None) -> Progress:
        found = ProgressC()
        call.progress(engine, self.handle, byref(found))
        top = found.highest // WORD
        words = [found.seen[(top + 1 + index) % RING] for index in range(RING)]
        ring = sum(word << WORD * index for index, word in enumerate(words))
        # The ring counts upwards, from the number of its oldest word's lowest bit.
        window = ring >> (RING - 1) * WORD + found.highest % WORD + 1 - WINDOW
        seen = _mirrored(window & (1 << WINDOW) - 1)
        return Progress(
            found.sequence,
            found.highest,
            seen.to_bytes(WINDOW // 8, "big"),
            found.octets_out,
            found.octets_in,
        )

    def go_on(self, call: CDLL, engine: int | None, progress: Progress) -> None:
        told = ProgressC(
            progress.octets_out, progress.octets_in, progress.sequence, progress.highest
        )
        top = progress.highest // WORD
        window = _mirrored(int.from_bytes(progress.seen, "big"))
        ring = window << (RING - 1) * WORD + progress.highest % WORD + 1 - WINDOW
        for index in range(RING):
            told.seen[(top + 1 + index) % RING] = ring >> WORD * index & (1 << WORD) - 1
        call.go_on(engine, self.handle, byref(told))

    def install(self, call: CDLL, engine: int | None, order: SaPair, rng: Random) -> None:
        suite, near, far = self._suite, order.inbound, order.outbound
        local, remote = _prefixes(order.local), _prefixes(order.remote)
        integrity = suite.integrity
        times = 3 if suite.cipher.keys == (DES_KEY,) else 1  # DES is 3DES with one key thrice
        told = OrderC(
            tag=self.tag,
            volume=suite.cipher.volume or NO_LIMIT,
            soft=order.soft_octets or NO_LIMIT,
            hard=order.hard_octets or NO_LIMIT,
            cipher=cipher_name(suite, len(far.cipher_key)),
            chain=rng.octets(suite.cipher.block) if suite.cipher.block else None,
            local=local,
            remote=remote,
            spi_in=near.spi,
            spi_out=far.spi,
            sealed=0,
            last=sa.LAST_SEQUENCE,
            worn_at=sa.WORN_SEQUENCE,
            key_size=len(far.cipher_key) * times,
            mac_size=len(far.integrity_key),
            iv=suite.cipher.iv,
            align=suite.cipher.align,
            icv=suite.icv,
            locals=len(local),
            remotes=len(remote),
            hash=HASHES.index(integrity.hash) if integrity else -1,
        )
        told.key_in, told.key_out = near.cipher_key * times, far.cipher_key * times
        told.salt_in, told.salt_out = near.salt, far.salt
        told.mac_in, told.mac_out = near.integrity_key, far.integrity_key
        handle = call.install(engine, self.session.handle, byref(told))
        if not handle:
            raise MisuseError(f"this libcrypto has no {cipher_name(suite, len(far.cipher_key))!r}")
        self.handle = handle


def _mirrored(window: int) -> int:
    return int(f"{window:0{WINDOW}b}"[::-1], 2)


def _prefixes(texts: tuple[str, ...]) -> Array[PrefixC]:
    return (PrefixC * len(texts))(*(_prefix_c(prefix(text)) for text in texts))


def _prefix_c(one: Prefix) -> PrefixC:
    made = PrefixC(one.octets, one.length)
    for place, number in ((made.value, one.value), (made.mask, one.mask)):
        octets = number.to_bytes(one.octets, "big").ljust(16, b"\0")
        memmove(place, octets, sizeof(place))
    return made
