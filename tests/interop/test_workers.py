"""A gateway with two workers and eight clients behind one PAT (docs/decisions/0157)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from culvert.lab import topology
from interop.crowd import Crowded, clients
from interop.ours import OurClient, OurGateway

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(400)]

COUNT = 8
DPD = {"dpd_delay": 2, "dpd_timeout": 10, "peer_timeout": 5, "reconnect": 0}


@pytest.fixture(scope="module")
def crowd(swept: None) -> Iterator[Crowded]:
    with Crowded(f"w{os.getpid()}", COUNT) as standing:
        yield standing


@pytest.fixture
def gateway(crowd: Crowded) -> Iterator[OurGateway]:
    running = OurGateway(crowd, general={"workers": 2}, users=crowd.names)
    yield running
    running.stop()


def all_up(made: list[OurClient]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.up(), made))


def test_eight_clients_share_two_workers(crowd: Crowded, gateway: OurGateway) -> None:
    gateway.start()
    with clients(crowd) as made:
        all_up(made)
        status = gateway.culvert("gateway", "status", "--json").document
        print(status)
        assert sum(status["worker_sessions"]) == COUNT
        assert min(status["worker_sessions"]) >= COUNT // 4
        rows = gateway.sessions
        assert {row["user"] for row in rows} == set(crowd.names)
        assert len({row["assigned_ip"] for row in rows}) == COUNT
        numbers = [row["number"] for row in rows]
        assert numbers == sorted(set(numbers))
        for one in made:
            assert crowd.ping(one.where, topology.SERVER, count=2)
            assert crowd.fetch(one.where).identical
