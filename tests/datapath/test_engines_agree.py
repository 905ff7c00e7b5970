"""The compiled engine does what the pure one does, octet for octet, whatever comes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from culvert.crypto.packet import packet_suite
from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import BARE, NATT_PORT, Counters, Inbound, Outbound, Plane
from culvert.inet.address import Address
from culvert.inet.marks import ALL, DSCP, ECN
from culvert.inet.packet import addresses
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import CLIENT, SUITES, both_ends, fragmentable, half
from datapath.segments import ACK, SYN, Flow, offered
from datapath.segments import cut as cut_frame

SESSIONS = 3
SIX = bytes.fromhex("fd00" + "00" * 13)


def leased(session: int, six: bool) -> bytes:
    return SIX + bytes([session]) if six else bytes((10, 1, 0, session))


def server(number: int, six: bool) -> bytes:
    return (
        bytes.fromhex("fd01" + "00" * 13) + bytes([number]) if six else bytes((192, 168, 2, number))
    )


@dataclass
class Stage:
    """Both engines as the gateway of some sessions, and the clients, all pure."""

    gateways: tuple[Plane, Plane]
    clients: dict[int, Plane]


def stage(suite: tuple[str, int, str], path_mtu: int = 1500, copied: int = ALL) -> Stage:
    gateways = tuple(
        make(kind, SeededRandom(7), path_mtu=path_mtu, copied=copied)
        for kind in ("python", "kernel")
    )
    clients: dict[int, Plane] = {}
    for session in range(1, SESSIONS + 1):
        here, there = both_ends(
            session=session,
            suite=suite,
            to_gateway=0x1000 + session,
            to_client=0x2000 + session,
            near_gateway=("192.168.2.0/25", "fd01::/64"),
            near_client=(f"10.1.0.{session}/32", f"fd00::{session}/128"),
            client=(CLIENT[0], 1000 + session),
        )
        for one in gateways:
            one.install(here)
            one.activate(session, 1)
        # A client that sends what it should not: the gateways have something to refuse.
        clients[session] = make("python", SeededRandom(session), path_mtu=1600)
        everything = ("0.0.0.0/0", "::/0")
        clients[session].install(_between(there, everything))
        clients[session].activate(session, 1)
    return Stage((gateways[0], gateways[1]), clients)


def _between(order: Any, everything: tuple[str, ...]) -> Any:
    return replace(order, local=everything, remote=everything)


# --- what may come -----------------------------------------------------------------------------

SIZES = st.sampled_from(
    [0, 1, 2, 7, 13, 14, 15, 16, 17, 100, 1379, 1380, 1381, 1393, 1394, 1500, 3000]
)


MARKS = st.sampled_from([0, 0, 1, 2, 3, 0xB8, 0xB9, 0xBB, 0xFF])


@st.composite
def inner(draw: st.DrawFn, *, downwards: bool) -> bytes:
    """A packet between a client and the networks, mostly."""
    return marked(draw(unmarked(downwards=downwards)), draw(MARKS))


def marked(packet: bytes, mark: int) -> bytes:
    """With this DSCP and ECN; the sum of an IPv4 header is left as it is, right or wrong."""
    if len(packet) < 2:
        return packet
    if packet[0] >> 4 == 6:
        head = bytes((0x60 | mark >> 4, mark << 4 & 0xF0 | packet[1] & 15))
    else:
        head = packet[:1] + bytes([mark])
    return head + packet[2:]


@st.composite
def unmarked(draw: st.DrawFn, *, downwards: bool) -> bytes:
    six = draw(st.booleans())
    far, near = (
        leased(draw(st.integers(1, SESSIONS + 1)), six),
        server(draw(st.integers(1, 200)), six),
    )
    flow = Flow(near, far) if downwards else Flow(far, near)
    payload = bytes(draw(SIZES))
    match draw(st.integers(0, 6)):
        case 0:
            mss = draw(st.sampled_from([500, 1300, 1460, 65535]))
            options = draw(st.sampled_from([b"", b"\x01", b"\x01\x01\x01", b"\x03\x03\x07"]))
            options += b"\x02\x04" + mss.to_bytes(2, "big")
            options += b"\0" * (-len(options) % 4)
            return flow.tcp(b"", flags=draw(st.sampled_from([SYN, SYN | ACK])), options=options)
        case 1:
            return flow.tcp(payload, sequence=draw(st.integers(0, 2**32 - 1)))
        case 2:
            packet = flow.udp(payload)
            return packet if six else fragmentable(packet)
        case 3:
            return flow.udp(payload) + draw(st.binary(max_size=5))
        case 4:
            packet = flow.udp(payload)
            return packet[: draw(st.integers(0, len(packet)))]
        case 5:
            return draw(st.binary(max_size=90))
        case _:
            head = draw(st.sampled_from([b"\x45", b"\x4f", b"\x60", b"\x41"]))
            packet = bytearray(flow.udp(payload))
            packet[0] = head[0]
            return bytes(packet)


# --- from the TUN ------------------------------------------------------------------------------


@settings(max_examples=150)
@given(
    suite=st.sampled_from(SUITES),
    batches=st.lists(st.lists(inner(downwards=True), max_size=12), max_size=3),
    path_mtu=st.sampled_from([576, 1280, 1500, 9000]),
    copied=st.sampled_from([ALL, ALL, DSCP, ECN, 0]),
)
def test_both_engines_seal_the_same_octets_under_the_same_marks(
    suite: tuple[str, int, str], batches: list[list[bytes]], path_mtu: int, copied: int
) -> None:
    on = stage(suite, path_mtu, copied)
    for batch in batches:
        pure, compiled = (one.from_tunnel(batch, 1.0) for one in on.gateways)
        assert by_spi(compiled) == by_spi(pure)
        assert compiled.returned == pure.returned
    assert counted(on.gateways[1]) == counted(on.gateways[0])


@settings(max_examples=60)
@given(
    runs=st.lists(
        st.tuples(st.integers(1, SESSIONS), st.lists(SIZES, min_size=1, max_size=70)),
        min_size=1,
        max_size=4,
    ),
    integrity=st.sampled_from(["hmac-md5-96", "hmac-sha1-96"]),
)
def test_a_batch_of_3des_is_sealed_as_its_packets_one_by_one(
    runs: list[tuple[int, list[int]]], integrity: str
) -> None:
    """Few packets of a session go through libcrypto, many at a time through our circuits."""
    on = stage(("3des-cbc", 24, integrity))
    batch = [
        Flow(server(1, False), leased(session, False)).udp(bytes(range(251)) * (size % 6))
        for session, sizes in runs
        for size in sizes
    ]
    pure, compiled = (one.from_tunnel(batch, 1.0) for one in on.gateways)
    assert by_spi(compiled) == by_spi(pure)
    assert compiled.returned == pure.returned
    for session, datagrams in by_session(pure).items():
        opened = on.clients[session].from_network(
            [(one, (CLIENT[0], 4500)) for one in datagrams], 1.0
        )
        sent = [packet for packet in batch if packet[16:20] == leased(session, False)]
        assert [packet for packet in opened.inside if packet in sent] == opened.inside
        assert len(opened.inside) == len(datagrams)


def by_session(found: Outbound) -> dict[int, list[bytes]]:
    """Datagrams by the session whose client's SPI they carry."""
    made: dict[int, list[bytes]] = defaultdict(list)
    for burst in found.bursts:
        for datagram in burst.datagrams:
            made[int.from_bytes(datagram[:4], "big") - 0x2000].append(datagram)
    return made


@settings(max_examples=100)
@given(
    suite=st.sampled_from(
        [SUITES[0], SUITES[-1], ("aes-cbc", 16, "hmac-sha1-96"), ("3des-cbc", 24, "hmac-sha1-96")]
    ),
    six=st.booleans(),
    size=st.integers(2, 40_000),
    segment=st.integers(100, 1400),
    flags=st.integers(0, 255).filter(lambda one: not one & SYN),
    options=st.sampled_from([b"", b"\x01\x01\x08\x0a" + bytes(8)]),
    udp=st.booleans(),
    path_mtu=st.sampled_from([1280, 1500]),
)
def test_a_super_packet_is_cut_as_if_the_machine_had(
    suite: tuple[str, int, str],
    six: bool,
    size: int,
    segment: int,
    flags: int,
    options: bytes,
    udp: bool,
    path_mtu: int,
) -> None:
    on = stage(suite, path_mtu)
    framed = KernelEngine(kernel(), SeededRandom(7), path_mtu=path_mtu, virtio=True)
    adopt(framed, suite)
    payload = bytes(range(251)) * (size // 251) + bytes(size % 251)
    flow = Flow(server(1, six), leased(1, six))
    packet = (
        flow.udp(payload)
        if udp
        else flow.tcp(payload, 2**32 - 5, flags, options=options, identification=65530)
    )
    frames = [offered(flow.udp(b"before")), offered(packet, segment), offered(flow.tcp(b"after"))]
    pieces = [piece for frame in frames for piece in cut_frame(frame)]
    pure, compiled = on.gateways[0].from_tunnel(pieces, 0.0), framed.from_tunnel(frames, 0.0)
    assert by_spi(compiled) == by_spi(pure)
    assert compiled.returned == pure.returned


@given(header=st.binary(min_size=0, max_size=10), packet=st.binary(max_size=200))
def test_a_frame_that_makes_no_sense_is_refused(header: bytes, packet: bytes) -> None:
    framed = KernelEngine(kernel(), SeededRandom(7), virtio=True)
    adopt(framed, SUITES[0])
    whole = Flow(server(1, False), leased(1, False)).udp(b"x" * 90)
    for frame in (header, header + packet, header.ljust(10, b"\1") + whole):
        found = framed.from_tunnel([frame], 0.0)
        assert all(len(one) < 300 for burst in found.bursts for one in burst.datagrams)


# --- from the network --------------------------------------------------------------------------

ARRIVALS = st.lists(
    st.tuples(
        st.integers(1, SESSIONS),
        inner(downwards=False),
        st.sampled_from(["whole", "whole", "whole", "twice", "late", "flipped", "cut", "foreign"]),
        st.integers(0, 2000),
    ),
    max_size=14,
)
STRAYS = st.lists(
    st.one_of(
        st.sampled_from([b"\xff", b"", b"\0\0\0\0", bytes(8), bytes(4) + b"isakmp", b"\xff\xff"]),
        st.binary(max_size=40),
    ),
    max_size=4,
)


@settings(max_examples=150)
@given(
    suite=st.sampled_from(SUITES),
    batches=st.lists(ARRIVALS, min_size=1, max_size=3),
    strays=STRAYS,
    ports=st.lists(st.sampled_from([1001, 1002, 9]), min_size=3, max_size=3),
    local_port=st.sampled_from([NATT_PORT, BARE, 4501]),
    marks=st.lists(MARKS, max_size=5),
)
def test_both_engines_open_and_refuse_the_same(
    suite: tuple[str, int, str],
    batches: list[list[tuple[int, bytes, str, int]]],
    strays: list[bytes],
    ports: list[int],
    local_port: int,
    marks: list[int],
) -> None:
    on = stage(suite)
    for number, arrivals in enumerate(batches):
        batch = [
            (datagram, (CLIENT[0], ports[at % 3] if at % 4 == 3 else 1000 + session))
            for at, (session, datagram) in enumerate(delivered(on, arrivals))
        ]
        batch += [(stray, ("192.0.2.1", number)) for stray in strays]
        outer = [marks[at % len(marks)] for at in range(len(batch))] if marks else []
        pure, compiled = (
            one.from_network(batch, float(number), local_port, outer) for one in on.gateways
        )
        assert by_flow(compiled) == by_flow(pure)
        assert compiled.ike == pure.ike
        assert compiled.unknown == pure.unknown
        assert sorted(compiled.moved) == sorted(pure.moved)
    assert counted(on.gateways[1]) == counted(on.gateways[0])


def delivered(on: Stage, arrivals: list[tuple[int, bytes, str, int]]) -> list[tuple[int, bytes]]:
    """What the network makes of what the clients send."""
    found: list[tuple[int, bytes]] = []
    late: list[tuple[int, bytes]] = []
    for session, packet, fate, at in arrivals:
        for burst in on.clients[session].from_tunnel([packet], 0.0).bursts:
            for datagram in burst.datagrams:
                changed = bytearray(datagram)
                if fate == "flipped":
                    changed[4 + at % (len(changed) - 4)] ^= 1 << at % 8
                elif fate == "cut":
                    del changed[at % len(changed) :]
                elif fate == "foreign":
                    changed[:4] = b"\0\0\x10" + bytes([at % 7])
                (late if fate == "late" else found).append((session, bytes(changed)))
                if fate == "twice":
                    found.append((session, datagram))
    return found + late


@settings(max_examples=200)
@given(
    suite=st.sampled_from([SUITES[0], SUITES[-1], ("aes-cbc", 16, "hmac-sha1-96")]),
    letters=st.lists(
        st.tuples(
            st.sampled_from([0, 1, 2, 1000, 1022, 1023, 1024, 1025, 2046, 2047, 2048, 2049, 5000]),
            st.sampled_from(
                [b"", b"E", bytes(20), Flow(leased(1, False), server(1, False)).udp(b"x")]
            ),
            st.integers(0, 40),
            st.sampled_from([0, 0, 0, 1, -1]),
            st.sampled_from([4, 4, 4, 41, 59, 6]),
        ),
        max_size=8,
    ),
)
def test_any_clear_text_under_any_number_is_taken_or_refused_alike(
    suite: tuple[str, int, str], letters: list[tuple[int, bytes, int, int, int]]
) -> None:
    on = stage(suite)
    cipher, size, integrity = suite
    key = half(0x1001, "test", cipher, size, integrity)
    found = packet_suite(cipher, integrity)
    align = found.cipher.align
    batch: list[tuple[bytes, Address]] = []
    for sequence, packet, least, wrong, following in letters:
        padding = least + -(len(packet) + least + 2) % align
        pad = bytearray(range(1, padding + 1))
        if pad and wrong:
            pad[wrong % len(pad)] ^= 1
        clear = packet + bytes(pad) + bytes((padding, following))
        sealer = found.sealer(key.cipher_key, key.salt, key.integrity_key, SeededRandom(sequence))
        header = key.spi.to_bytes(4, "big") + sequence.to_bytes(4, "big")
        batch.append((sealer.seal(header, sequence, clear), (CLIENT[0], 1001)))
    pure, compiled = (one.from_network(batch, 1.0) for one in on.gateways)
    assert compiled.inside == pure.inside
    assert counted(on.gateways[1]) == counted(on.gateways[0])


# --- helpers -----------------------------------------------------------------------------------


def adopt(engine: Plane, suite: tuple[str, int, str]) -> None:
    """The same sessions, with the same chance, as the engines of `stage`."""
    for session in range(1, SESSIONS + 1):
        here, _ = both_ends(
            session=session,
            suite=suite,
            to_gateway=0x1000 + session,
            to_client=0x2000 + session,
            near_gateway=("192.168.2.0/25", "fd01::/64"),
            near_client=(f"10.1.0.{session}/32", f"fd00::{session}/128"),
            client=(CLIENT[0], 1000 + session),
        )
        engine.install(here)
        engine.activate(session, 1)


def by_spi(out: Outbound) -> dict[bytes, list[tuple[Address, int, int, bytes]]]:
    found: dict[bytes, list[tuple[Address, int, int, bytes]]] = defaultdict(list)
    for peer, port, mark, datagram in (
        (one.peer, one.local_port, one.mark, datagram)
        for one in out.bursts
        for datagram in one.datagrams
    ):
        found[datagram[:4]].append((peer, port, mark, datagram))
    return found


def by_flow(found: Inbound) -> dict[bytes, list[bytes]]:
    """The order between flows is no promise, the order within one is."""
    flows: dict[bytes, list[bytes]] = defaultdict(list)
    for packet in found.inside:
        flows[addresses(packet)].append(packet)
    return flows


def counted(engine: Plane) -> tuple[dict[str, int], list[Counters]]:
    return dict(engine.refused), [engine.traffic(n) for n in range(1, SESSIONS + 1)]
