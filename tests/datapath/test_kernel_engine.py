"""What only the compiled engine has: two threads, libcryptos of other kinds, many SAs, borders."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.esp.batch import Kernel, Ways, load
from culvert.rng import SeededRandom
from datapath.engines import kernel, make
from datapath.orders import CLIENT, GATEWAY, LEASED, SERVER, SUITES, both_ends, udp
from datapath.segments import Flow, offered

ROUNDS = 300
GCM = "aes-gcm-16", 16, ""
KINDS = ("kernel", "python")
SECOND: dict[str, Any] = {"to_gateway": 0x3000, "to_client": 0x4000}


def test_two_directions_on_two_threads_do_not_disturb_each_other() -> None:
    gateway, client = (KernelEngine(kernel(), SeededRandom(n)) for n in (1, 2))
    for engine, order in zip((gateway, client), both_ends(), strict=True):
        engine.install(order)
        engine.activate(1, 1)
    ups = [udp(LEASED, SERVER, bytes([n]) * 1200) for n in range(32)]
    downs = [udp(SERVER, LEASED, bytes([n]) * 1100) for n in range(32)]
    arrived = [
        (datagram, CLIENT)
        for _ in range(ROUNDS)
        for datagram in client.from_tunnel(ups, 0.0).bursts[0].datagrams
    ]
    opened: list[list[bytes]] = []
    sealed: list[bytes] = []

    def receive() -> None:
        for at in range(0, len(arrived), 32):
            batch = arrived[at : at + 32]
            opened.append(gateway.from_network(batch, 0.0).inside)

    def send() -> None:
        for _ in range(ROUNDS):
            sealed.extend(gateway.from_tunnel(downs, 0.0).bursts[0].datagrams)

    threads = [threading.Thread(target=work) for work in (receive, send)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert opened == [ups] * ROUNDS
    assert client.from_network([(d, GATEWAY) for d in sealed], 0.0).inside == downs * ROUNDS
    assert gateway.traffic(1).dropped_in == {}


@pytest.fixture(
    params=[Ways.EVP_ALONE, Ways.OWN_AES, Ways.ALL], ids=["EVP alone", "AES-NI", "all there is"]
)
def found(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    """A libcrypto without the plain hash functions, deprecated since 3.0, and a processor without
    AVX-512; then all there is."""
    usual = kernel()
    yield loaded(usual, request.param)
    loaded(usual, Ways.ALL)


def loaded(usual: Kernel, ways: Ways) -> Kernel:
    found = load([usual.libcrypto], ways)
    assert isinstance(found, Kernel)
    return found


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_way_to_encrypt_gives_the_same(found: Kernel, suite: tuple[str, int, str]) -> None:
    compiled, pure = KernelEngine(found, SeededRandom(1)), make("python", SeededRandom(1))
    client = make("python", SeededRandom(2))
    here, there = both_ends(suite=suite)
    for engine, order in ((compiled, here), (pure, here), (client, there)):
        engine.install(order)
        engine.activate(1, 1)
    downs = [udp(SERVER, LEASED, b"answer" * n) for n in range(9)]
    assert compiled.from_tunnel(downs, 0.0) == pure.from_tunnel(downs, 0.0)
    ups = client.from_tunnel([udp(LEASED, SERVER)], 0.0).bursts[0].datagrams
    assert compiled.from_network([(ups[0], CLIENT)], 0.0).inside == [udp(LEASED, SERVER)]


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("octets", [0, 27, 28, 900, 1300])
def test_packets_sealed_and_opened_side_by_side_are_as_if_alone(
    found: Kernel, suite: tuple[str, int, str], octets: int
) -> None:
    """Trains of one size, what is damaged, repeated or of another pair among them."""
    ends = {kind: (make_from(found, kind, 1), make_from(found, kind, 2)) for kind in KINDS}
    pairs = [both_ends(suite=suite), both_ends(suite=suite, pair=2, **SECOND)]
    for gateway, client in ends.values():
        for number, (here, there) in enumerate(pairs, 1):
            gateway.install(here)
            client.install(there)
            client.activate(1, number)
    ups = [udp(LEASED, SERVER, bytes([n]) * octets) for n in range(37)]
    ups += [udp(LEASED, SERVER, b"short"), udp(LEASED, SERVER, b"longer" * 200), *ups]
    sealed = {kind: client.from_tunnel(ups, 0.0) for kind, (_, client) in ends.items()}
    assert sealed["kernel"] == sealed["python"]
    datagrams = [one for burst in sealed["python"].bursts for one in burst.datagrams]
    for _, client in ends.values():
        client.activate(1, 1)  # the earlier pair again
    others = [
        one
        for burst in ends["python"][1].from_tunnel(ups[:9], 0.0).bursts
        for one in burst.datagrams
    ]
    for at in (0, 5, 17, 36, 37, 38, 60):
        datagrams[at] = damaged(datagrams[at])
    train = [*datagrams[:20], *others[:4], *datagrams[18:], others[4], *others]
    inside = {
        kind: sorted(gateway.from_network([(one, CLIENT) for one in train], 0.0).inside)
        for kind, (gateway, _) in ends.items()  # the pure engine takes pair after pair
    }
    assert inside["kernel"] == inside["python"]
    assert len(inside["python"]) == len(ups) - 7 + 9
    drops = [gateway.traffic(1).dropped_in for gateway, _ in ends.values()]
    assert drops[0] == drops[1] == {"not-authentic": 7, "replayed": 2 + 5}


def damaged(datagram: bytes) -> bytes:
    return datagram[:-1] + bytes([datagram[-1] ^ 1])


def make_from(found: Kernel, kind: str, seed: int) -> Plane:
    return (
        KernelEngine(found, SeededRandom(seed))
        if kind == "kernel"
        else make("python", SeededRandom(seed))
    )


@pytest.mark.parametrize("size", [16, 24, 32])
def test_gcm_is_the_same_for_packets_of_every_size(found: Kernel, size: int) -> None:
    """Borders of blocks, of groups of sixteen, and what is left of them."""
    compiled, pure = (
        KernelEngine(found, SeededRandom(1), path_mtu=65_535),
        make("python", SeededRandom(1), path_mtu=65_535),
    )
    back = KernelEngine(found, SeededRandom(2))
    here, there = both_ends(suite=("aes-gcm-16", size, ""))
    for engine, order in ((compiled, here), (pure, here), (back, there)):
        engine.install(order)
        engine.activate(1, 1)
    chance = SeededRandom(size)
    sizes = [*range(600), 1372, 1373, 8000, 8191, 60_000]
    downs = [udp(SERVER, LEASED, chance.octets(octets)) for octets in sizes]
    sealed = compiled.from_tunnel(downs, 0.0)
    assert sealed == pure.from_tunnel(downs, 0.0)
    datagrams = [datagram for burst in sealed.bursts for datagram in burst.datagrams]
    assert back.from_network([(one, GATEWAY) for one in datagrams], 0.0).inside == downs


@pytest.mark.parametrize("octets", [0, 100, 300, 1400])
def test_gcm_refuses_what_was_changed_anywhere(found: Kernel, octets: int) -> None:
    client, gateway = make("python", SeededRandom(1)), KernelEngine(found, SeededRandom(2))
    for engine, order in zip((gateway, client), both_ends(suite=GCM), strict=True):
        engine.install(order)
        engine.activate(1, 1)
    (burst,) = client.from_tunnel([udp(LEASED, SERVER, bytes(octets))], 0.0).bursts
    (good,) = burst.datagrams
    for at in range(4, len(good)):  # behind the SPI
        damaged = bytearray(good)
        damaged[at] ^= 1 << at % 8
        assert gateway.from_network([(bytes(damaged), CLIENT)], 0.0).inside == []
    assert gateway.traffic(1).dropped_in["not-authentic"] == len(good) - 4
    assert gateway.from_network([(good, CLIENT)], 0.0).inside


def test_sas_made_before_another_libcrypto_was_chosen_go_on() -> None:
    found = kernel()
    gateway, client = (KernelEngine(found, SeededRandom(n)) for n in (1, 2))
    for engine, order in zip((gateway, client), both_ends(), strict=True):
        engine.install(order)
        engine.activate(1, 1)
    loaded(found, Ways.EVP_ALONE)
    try:
        (burst,) = client.from_tunnel([udp(LEASED, SERVER)], 0.0).bursts
        assert gateway.from_network([(burst.datagrams[0], CLIENT)], 0.0).inside
    finally:
        loaded(found, Ways.ALL)


def test_ten_thousand_sas_are_found_and_all_can_go() -> None:
    gateway = KernelEngine(kernel(), SeededRandom(1))
    for number in range(1, 10_001):
        order, _ = both_ends(
            session=number,
            suite=("aes-gcm-16", 16, ""),
            to_gateway=0x10000 + number,
            to_client=0x20000 + number,
            near_client=(f"10.{number >> 8}.{number & 255}.9/32",),
            client=("198.51.100.1", number),
        )
        gateway.install(order)
        gateway.activate(number, 1)
    packets = [udp(SERVER, f"10.{n >> 8}.{n & 255}.9") for n in range(1, 10_001)]
    out = gateway.from_tunnel(packets, 0.0)
    assert [burst.peer[1] for burst in out.bursts] == list(range(1, 10_001))
    for number in range(1, 10_001):
        gateway.forget(number)
    assert gateway.from_tunnel(packets, 0.0).bursts == []
    assert gateway.refused == {"no-sa": 10_000}


def test_a_batch_larger_than_the_buffers_is_taken_in_parts() -> None:
    gateway, client = (KernelEngine(kernel(), SeededRandom(n)) for n in (1, 2))
    for engine, order in zip((gateway, client), both_ends(), strict=True):
        engine.install(order)
        engine.activate(1, 1)
    packets = [udp(LEASED, SERVER, n.to_bytes(4, "big") + bytes(1300)) for n in range(5000)]
    (burst,) = client.from_tunnel(packets, 0.0).bursts
    assert len(burst.datagrams) == 5000
    arrived = [(datagram, CLIENT) for datagram in burst.datagrams]
    assert gateway.from_network(arrived, 0.0).inside == packets


def test_nothing_is_lost_of_a_super_packet_behind_a_train_that_still_waits() -> None:
    """Sealed only when the train leaves, it has its place in the records all the same."""
    framed = KernelEngine(kernel(), SeededRandom(1), virtio=True)
    order, _ = both_ends()
    framed.install(order)
    framed.activate(1, 1)
    small = [bytes(10) + udp(SERVER, LEASED, bytes(32))] * 1535
    flow = Flow(bytes((192, 168, 2, 251)), bytes((10, 1, 0, 5)))
    out = framed.from_tunnel([*small, offered(flow.tcp(bytes(65_000)), 48)], 0.0)
    assert sum(len(burst.datagrams) for burst in out.bursts) == 1535 + 1355
    assert framed.traffic(1).packets_out == 1535 + 1355


def test_a_super_packet_of_the_smallest_segments_fits_the_buffers() -> None:
    framed = KernelEngine(kernel(), SeededRandom(1), virtio=True)
    order, _ = both_ends()
    framed.install(order)
    framed.activate(1, 1)
    flow = Flow(bytes((192, 168, 2, 251)), bytes((10, 1, 0, 5)))
    frames = [offered(flow.tcp(bytes(65_000)), 48)] * 5
    (burst,) = framed.from_tunnel(frames, 0.0).bursts
    assert len(burst.datagrams) == 5 * 1355
    assert framed.from_tunnel([offered(flow.tcp(bytes(65_000)), 10)], 0.0).bursts == []
