"""The compiled batch kernel (`batch.c`) as Python calls it: structures, functions, loading.

A plain shared object loaded by ctypes, so every call runs without the GIL. What stands here must
agree with batch.c to the octet; its version number is compared on loading.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator
from ctypes import POINTER, c_char_p, c_double, c_int, c_uint8, c_uint16, c_uint32, c_uint64
from ctypes import c_void_p as pointer
from enum import IntEnum, IntFlag
from typing import NamedTuple

from culvert.crypto.packet import PacketSuite
from culvert.esp.replay import WINDOW

VERSION = 7
SHARED_OBJECT = f"{__file__.rpartition('/')[0]}/_batch.so"

REASONS = (
    "short",
    "replayed",
    "not-authentic",
    "padding",
    "next-header",
    "dummy",
    "not-ip",
    "not-leased",
    "out-of-scope",
    "no-sa",
    "too-big",
    "loop",
    "exhausted",
    "unknown-spi",
    "congested",
)
"""Words of `culvert.esp.sa.Refusal` and `culvert.datapath.plane.Drop`, in the order of batch.c."""

HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")
_CIPHERS = {
    "null": "null",
    "des-cbc": "des-ede3-cbc",  # with its key three times
    "3des-cbc": "des-ede3-cbc",
    "aes-cbc": "aes-{}-cbc",
    "aes-gcm-16": "aes-{}-gcm",
}


class Kind(IntEnum):
    """What a record is about."""

    INSIDE = 0
    SEALED = 1
    IKE = 2
    UNKNOWN = 3
    NEWEST = 4
    WORN = 5
    BIG = 6
    SPENT = 7


class Frames(IntEnum):
    """What a TUN takes and gives."""

    BARE = 0  # packets as they are
    VIRTIO = 1  # with virtio headers: TCP super-packets
    VIRTIO_UDP = 2  # and those of UDP


def frames_of(*, virtio: bool, udp: bool) -> Frames:
    return Frames.BARE if not virtio else Frames.VIRTIO_UDP if udp else Frames.VIRTIO


class PrefixC(ctypes.Structure):
    _fields_ = (
        ("octets", c_uint8),
        ("length", c_uint8),
        ("value", c_uint8 * 16),
        ("mask", c_uint8 * 16),
    )


class PeerC(ctypes.Structure):
    _fields_ = (
        ("host_size", c_uint8),
        ("answer_size", c_uint8),
        ("host", c_uint8 * 16),
        ("answer", c_uint8 * 20),
        ("port", c_uint16),
        ("local_port", c_uint16),
    )


class TrafficC(ctypes.Structure):
    _fields_ = (
        ("octets_in", c_uint64),
        ("octets_out", c_uint64),
        ("packets_in", c_uint64),
        ("packets_out", c_uint64),
        ("last_inbound", c_double),
        ("dropped_in", c_uint64 * len(REASONS)),
        ("dropped_out", c_uint64 * len(REASONS)),
    )


WORD = 64
RING = 2 * WINDOW // WORD


class ProgressC(ctypes.Structure):
    _fields_ = (
        ("octets_out", c_uint64),
        ("octets_in", c_uint64),
        ("sequence", c_uint32),
        ("highest", c_uint32),
        ("seen", c_uint64 * RING),
    )


class OrderC(ctypes.Structure):
    _fields_ = (
        ("tag", c_uint64),
        ("volume", c_uint64),
        ("soft", c_uint64),
        ("hard", c_uint64),
        ("cipher", c_char_p),
        ("key_in", c_char_p),
        ("key_out", c_char_p),
        ("salt_in", c_char_p),
        ("salt_out", c_char_p),
        ("mac_in", c_char_p),
        ("mac_out", c_char_p),
        ("chain", c_char_p),
        ("local", POINTER(PrefixC)),
        ("remote", POINTER(PrefixC)),
        ("spi_in", c_uint32),
        ("spi_out", c_uint32),
        ("inner_mtu", c_uint32),
        ("sealed", c_uint32),
        ("last", c_uint32),
        ("worn_at", c_uint32),
        ("key_size", c_uint32),
        ("mac_size", c_uint32),
        ("iv", c_uint32),
        ("align", c_uint32),
        ("icv", c_uint32),
        ("locals", c_uint32),
        ("remotes", c_uint32),
        ("hash", c_int),
    )


class RecordC(ctypes.Structure):
    _fields_ = (
        ("tag", c_uint64),
        ("kind", c_uint32),
        ("at", c_uint32),
        ("size", c_uint32),
        ("index", c_uint32),
        ("host_size", c_uint8),
        ("info_size", c_uint8),
        ("host", c_uint8 * 16),
        ("info", c_uint8 * 20),
        ("port", c_uint16),
    )


class WorkC(ctypes.Structure):
    """The open part of a caller's scratch: outcome of the last call, counters of all."""

    _fields_ = (
        ("count", c_uint32),
        ("used", c_uint32),
        ("lost", c_uint32),
        ("reads", c_uint32),
        ("packets", c_uint32),
        ("full", c_uint64),
        ("refused", c_uint64),
        ("too_long", c_uint64),
        ("not_sent", c_uint64),
        ("trains_refused", c_uint64),
        ("tun_full", c_uint64),
        ("not_written", c_uint64),
        ("read_errors", c_uint64),
        ("tun", c_int),
        ("udp4", c_int),
        ("udp6", c_int),
        ("blocked", c_int),
    )


_SIZES = POINTER(c_uint32)
_FUNCTIONS: tuple[tuple[str, object, tuple[object, ...]], ...] = (
    ("version", c_uint32, ()),
    ("library", c_int, (c_char_p, c_int)),
    ("engine", pointer, (c_uint32,)),
    ("engine_free", None, (pointer,)),
    ("own", c_int, ()),
    ("session", pointer, ()),
    ("session_free", None, (pointer, pointer)),
    ("move", None, (pointer, pointer, POINTER(PeerC))),
    ("traffic", None, (pointer, pointer, POINTER(TrafficC))),
    ("refused", None, (pointer, POINTER(c_uint64))),
    ("install", pointer, (pointer, pointer, POINTER(OrderC))),
    ("fit", None, (pointer, pointer, c_uint32)),
    ("activate", c_int, (pointer, pointer)),
    ("remove", None, (pointer, pointer)),
    ("progress", None, (pointer, pointer, POINTER(ProgressC))),
    ("go_on", None, (pointer, pointer, POINTER(ProgressC))),
    ("recount", None, (pointer, pointer, POINTER(TrafficC))),
    ("work", POINTER(WorkC), (c_int,)),
    ("work_free", None, (POINTER(WorkC),)),
    ("records", POINTER(RecordC), (POINTER(WorkC),)),
    ("arena", pointer, (POINTER(WorkC),)),
    ("direct", None, (POINTER(WorkC), *(c_int,) * 6)),
    ("beside", None, (POINTER(WorkC), c_uint32, c_int, c_int)),
    (
        "inward",
        c_uint32,
        (pointer, POINTER(WorkC), c_char_p, _SIZES, c_char_p, *(c_uint32,) * 2, c_double),
    ),
    ("outward", c_uint32, (pointer, POINTER(WorkC), c_char_p, _SIZES, c_uint32)),
    ("seal", None, (pointer, POINTER(WorkC), pointer, c_char_p, _SIZES, c_uint32)),
    ("pump_in", None, (pointer, POINTER(WorkC), c_int, c_uint32, c_uint32, c_double)),
    ("pump_out", c_int, (pointer, POINTER(WorkC), c_uint32)),
)


class Ways(IntFlag):
    """What may serve besides libcrypto's EVP, where it is there (batch/numbers.h)."""

    EVP_ALONE = 0
    PLAIN_HASHES = 1  # libcrypto's functions of single hashes, deprecated since 3.0
    OWN_AES = 2  # ours with AES-NI
    OWN_WIDE = 4  # ours with AVX-512 and VAES
    ALL = PLAIN_HASHES | OWN_AES | OWN_WIDE


class Kernel:
    """The loaded shared object with a libcrypto it can use."""

    def __init__(self, found: ctypes.CDLL, libcrypto: str) -> None:
        self.libcrypto = libcrypto
        self.call = found

    def __str__(self) -> str:
        own = ("", ", AES-NI", ", AVX-512")[int(self.call.own())]
        return f"compiled kernel with {self.libcrypto}{own}"


class Fault(IntEnum):
    """Why there is no kernel; what to do about each stands in `culvert.driver.user_engine`."""

    NOT_BUILT = 0
    DAMAGED = 1
    OTHER = 2
    NO_LIBCRYPTO = 3


class Unusable(NamedTuple):
    fault: Fault
    why: str


def load(
    libraries: Iterable[str], ways: Ways = Ways.ALL, *, sources: str = ""
) -> Kernel | Unusable:
    """The kernel with the first of these libcryptos that serves, or why there is none.

    ``sources``: what it must have been made of, if it says so itself."""
    try:
        found = ctypes.CDLL(SHARED_OBJECT)
    except OSError as error:
        if "cannot open shared object file" in str(error):
            return Unusable(Fault.NOT_BUILT, "it was not built (no C compiler)")
        return Unusable(Fault.DAMAGED, f"it cannot be loaded ({error})")
    for name, result, arguments in _FUNCTIONS:
        function = getattr(found, f"batch_{name}", None)
        if function is None:
            return _other("another version")
        function.restype, function.argtypes = result, arguments
        setattr(found, name, function)
    if found.version() != VERSION:
        return _other("another version")
    if sources and (made_of := _made_of(found)) and made_of != sources:
        return _other("other sources than those beside it")
    for library in libraries:
        if found.library(library.encode(), ways) == 0:
            return Kernel(found, library)
    return Unusable(Fault.NO_LIBCRYPTO, "no libcrypto was found that it can use")


def _other(what: str) -> Unusable:
    return Unusable(Fault.OTHER, f"{SHARED_OBJECT} is of {what}")


def _made_of(found: ctypes.CDLL) -> str:
    """Empty of one that was compiled by hand: then the version alone counts."""
    function = getattr(found, "batch_sources", None)
    if function is None:
        return ""
    function.restype, function.argtypes = c_char_p, ()
    told: bytes = function()
    return told.decode()


def cipher_name(suite: PacketSuite, key_octets: int) -> bytes:
    """The cipher as libcrypto calls it."""
    return _CIPHERS[suite.cipher.name].format(key_octets * 8).encode()


class Record(NamedTuple):
    """Something the kernel has for us: about which datagram of the batch, or from which address.

    ``position`` of a sealed one is the mark that it travels with."""

    kind: int
    tag: int
    octets: bytes
    position: int
    host: bytes
    port: int
    info: bytes


class Work:
    """The scratch of one caller. Not for two threads at a time."""

    def __init__(self, kernel: Kernel, frames: Frames) -> None:
        self._call = kernel.call
        self.handle = kernel.call.work(frames)
        if not self.handle:
            raise MemoryError("no memory for the data path's buffers")
        self.state: WorkC = self.handle.contents
        self._records = kernel.call.records(self.handle)
        self._arena: int = kernel.call.arena(self.handle)

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            self._call.work_free(self.handle)

    def records(self) -> list[Record]:
        """What the last call left, in order."""
        return list(self._read())

    def _read(self) -> Iterator[Record]:
        arena = self._arena
        for one in self._records[: self.state.count]:
            yield Record(
                one.kind,
                one.tag,
                ctypes.string_at(arena + one.at, one.size),
                one.index,
                bytes(one.host[: one.host_size]),
                one.port,
                bytes(one.info[: one.info_size]),
            )


def named(counts: Iterable[int]) -> dict[str, int]:
    """Counters of drops by reason, those that are not zero."""
    return {reason: count for reason, count in zip(REASONS, counts, strict=True) if count}


def sizes_of(batch: Iterable[bytes]) -> ctypes.Array[c_uint32]:
    """The lengths of a batch, as the kernel takes them beside its joined octets."""
    lengths = [len(one) for one in batch]
    return (c_uint32 * len(lengths))(*lengths)
