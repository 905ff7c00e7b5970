"""Figures of our gateway alone, with no peer beside it: how cost grows with the number of installed
SAs, and how many tunnels one core sets up in a second. `throughput` writes them with the others."""

from __future__ import annotations

from statistics import median
from time import process_time

from bench.bench_setup import CASES, measured
from bench.report import Result, quartile
from culvert.datapath.plane import Plane
from culvert.rng import SystemRandom
from datapath.engines import make
from datapath.orders import CLIENT, LEASED, SERVER, both_ends, udp

SUITE = ("aes-gcm-16", 16, "")
SESSIONS = 10_000
BATCH = 64
BATCHES = 200
ROUNDS = 9
SIZE = 1_400  # octets of a packet
LEAST_SHARE = 0.9  # of the throughput of a gateway that has one pair only
LEAST_TUNNELS = 500  # a second and core


def growth() -> Result:
    """A stream through a gateway with ten thousand pairs of SAs beside one that has one."""
    client, one, many = (make("kernel", SystemRandom()) for _ in range(3))
    for gateway in (one, many):
        install(gateway, 1)
    _, order = both_ends(suite=SUITE)
    client.install(order)
    client.activate(order.session, order.pair)
    for number in range(2, SESSIONS + 1):
        install(many, number)
    pairs = [(stream(client, many), stream(client, one)) for _ in range(ROUNDS)]
    ratios = [ours / alone for ours, alone in pairs]
    worst = quartile(ratios, upper=False)
    mine, alone = (median(column) for column in zip(*pairs, strict=True))
    return Result(
        "AES-128-GCM among 10,000 installed pairs, in and out, one core",
        round(mine, 2),
        "Gbit/s",
        "ours with one pair",
        round(alone, 2),
        round(median(ratios), 2),
        f">= {LEAST_SHARE:g} x",
        worst >= LEAST_SHARE,
        round(worst, 2),
    )


def install(gateway: Plane, number: int) -> None:
    leased = LEASED if number == 1 else f"10.{64 + (number >> 8)}.{number & 255}.9"
    order, _ = both_ends(
        session=number,
        suite=SUITE,
        to_gateway=0x10000 + number if number > 1 else 0x1000,
        to_client=0x20000 + number if number > 1 else 0x2000,
        near_client=(f"{leased}/32",),
        client=CLIENT if number == 1 else ("198.51.100.1", number),
    )
    gateway.install(order)
    gateway.activate(order.session, order.pair)


def stream(client: Plane, gateway: Plane) -> float:
    """Gbit/s of processor time at the gateway: as much in as out."""
    inward = [udp(LEASED, SERVER, bytes(SIZE - 28))] * BATCH
    outward = [udp(SERVER, LEASED, bytes(SIZE - 28))] * BATCH
    spent = 0.0
    for _ in range(BATCHES):
        sealed = [
            (datagram, CLIENT)
            for burst in client.from_tunnel(inward, 0.0).bursts
            for datagram in burst.datagrams
        ]
        began = process_time()
        came = gateway.from_network(sealed, 0.0).inside
        gateway.from_tunnel(outward, 0.0)
        spent += process_time() - began
        assert len(came) == BATCH, "packets were lost: the figure means nothing"
    return 2 * BATCHES * BATCH * SIZE * 8 / spent / 1e9


def setups() -> Result:
    """Tunnels that one core sets up, aggressive mode to quick mode, with a fast password hash."""
    case = CASES[0]
    found = measured(case)
    rate = found.tunnels / found.gateway
    return Result(
        f"tunnels set up per second and core, {case.phase1}",
        round(rate),
        "1/s",
        "",
        0.0,
        0.0,
        f">= {LEAST_TUNNELS}/s",
        rate >= LEAST_TUNNELS,
        round(rate),
    )
