"""How long the pure-Python engine needs for one packet, by suite: print microseconds and Gbit/s.

    python tests/bench/bench_plane.py [octets of the inner packet]

One core, no input or output: seal (from TUN to datagram) and open (from datagram to TUN), the whole
page, batches of 32. Medians of several rounds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parents[1]))

from culvert.datapath.python_engine import PythonEngine
from culvert.rng import SystemRandom
from datapath.orders import CLIENT, LEASED, SERVER, both_ends, udp

SUITES = (
    ("aes-gcm-16", 16, ""),
    ("aes-gcm-16", 32, ""),
    ("aes-cbc", 16, "hmac-sha1-96"),
    ("aes-cbc", 32, "hmac-sha1-96"),
    ("aes-cbc", 32, "hmac-sha2-256-128"),
    ("aes-cbc", 16, "hmac-md5-96"),
    ("3des-cbc", 24, "hmac-sha1-96"),
)
BATCH = 32
ROUNDS = 9
SECONDS_PER_ROUND = 0.05


def main(size: int = 1400) -> None:
    print(f"\ninner packets of {size} octets, batches of {BATCH}, one core")
    print(f"{'suite':36}{'seal µs':>9}{'Gbit/s':>8}{'open µs':>9}{'Gbit/s':>8}")
    for suite in SUITES:
        seal, opened = measured(suite, size)
        name = f"{suite[0]}-{suite[1] * 8} {suite[2]}"
        print(f"{name:36}{seal:9.2f}{rate(size, seal):8.2f}{opened:9.2f}{rate(size, opened):8.2f}")


def rate(size: int, microseconds: float) -> float:
    """Gbit/s of inner packets."""
    return size * 8 / microseconds / 1000


def measured(suite: tuple[str, int, str], size: int) -> tuple[float, float]:
    """Microseconds per packet: sealed, opened."""
    engines = PythonEngine(SystemRandom()), PythonEngine(SystemRandom())
    for engine, order in zip(engines, both_ends(suite=suite), strict=True):
        engine.install(order)
        engine.activate(order.session, order.pair)
    gateway, client = engines
    packets = [udp(LEASED, SERVER, bytes(size - 28))] * BATCH
    seals: list[float] = []
    opens: list[float] = []
    for _ in range(ROUNDS):
        sealing = opening = 0.0
        count = 0
        while sealing < SECONDS_PER_ROUND:
            began = perf_counter()
            (burst,) = client.from_tunnel(packets, 0.0).bursts
            sealed = perf_counter()
            # As a socket hands them over: fresh from the cache, address beside each.
            batch = [(datagram, CLIENT) for datagram in burst.datagrams]
            received = perf_counter()
            gateway.from_network(batch, 0.0)
            opening += perf_counter() - received
            sealing += sealed - began
            count += BATCH
        seals.append(sealing / count)
        opens.append(opening / count)
    if gateway.traffic(1).packets_in != client.traffic(1).packets_out:
        raise AssertionError("packets were lost between two engines: the figures mean nothing")
    return median(seals) * 1e6, median(opens) * 1e6


def test_what_a_packet_costs_the_pure_python_engine() -> None:
    """`make bench` runs this; lost packets fail it."""
    main()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
