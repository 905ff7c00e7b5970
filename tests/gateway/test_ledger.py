"""What several workers count together: numbers, limits, addresses. And the door they ask at."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import PlatformError
from culvert.gateway.ledger import Ledger, Life
from culvert.gateway.ledger_door import LedgerDoor, RemoteLedger, SharedTable
from culvert.inet.address import Address
from culvert.policy.pool import AddressRange, PoolPlan, dealt
from culvert.policy.refused import Refused
from culvert.session.session import Kind, Session

ONE, TWO = Life(0, 1), Life(1, 2)
IT = (AddressRange.parse("192.0.2.1-192.0.2.4"),)
HOME: Address = ("198.51.100.1", 4500)
AT = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """A ledger, and what it told others."""

    def __init__(self, *ranges: str, workers: int = 2, limit: int = 0) -> None:
        self.routed: list[tuple[str, int]] = []
        self.replaced: list[tuple[Life, int]] = []
        found = tuple(AddressRange.parse(one) for one in ranges or ("192.0.2.1-192.0.2.4",))
        self.ledger = Ledger(
            workers,
            [PoolPlan("p", found)],
            limit=limit,
            cumulative=7,
            route=lambda address, worker: self.routed.append((address, worker)),
        )
        self.ledger.replace = lambda life, number: self.replaced.append((life, number))


def test_numbers_go_on_and_none_comes_twice() -> None:
    ledger = World().ledger
    assert [ledger.admit(life, "a", HOME, 0) for life in (ONE, TWO, ONE)] == [8, 9, 10]
    ledger.over(ONE)
    assert ledger.admit(Life(0, 3), "a", HOME, 0) == 11
    assert (len(ledger), ledger.peak, ledger.cumulative) == (2, 3, 11)


def test_the_limits_of_gateway_and_user_hold_across_workers() -> None:
    ledger = World(limit=3).ledger
    assert ledger.admit(ONE, "ann", HOME, 2) == 8
    assert ledger.admit(TWO, "ann", HOME, 2) == 9
    assert ledger.admit(TWO, "ann", HOME, 2) == Refused("duplicate-limit", "ann has 2 of 2")
    assert ledger.admit(TWO, "bob", HOME, 2) == 10
    assert ledger.admit(ONE, "eve", HOME, 2) == Refused("session-limit", "3 of 3 sessions")
    ledger.end(ONE, 8)
    assert ledger.admit(TWO, "ann", HOME, 2) == 11
    assert ledger.refused == 2


def test_nobody_ends_what_is_anothers() -> None:
    ledger = World().ledger
    ledger.admit(ONE, "ann", HOME, 1)
    ledger.end(TWO, 8)
    assert isinstance(ledger.admit(TWO, "ann", HOME, 1), Refused)


def test_what_a_client_lost_at_another_worker_counts_no_more_and_is_told_there() -> None:
    world = World()
    elsewhere = ("203.0.113.9", 4500)
    for life, user, public in ((ONE, "ann", HOME), (ONE, "ann", elsewhere), (ONE, "bob", HOME)):
        world.ledger.admit(life, user, public, 0)
    world.ledger.renounce(TWO, "ann", HOME)
    assert world.replaced == [(ONE, 8)]
    assert len(world.ledger) == 2
    world.ledger.moved(ONE, 9, HOME)
    world.ledger.renounce(ONE, "ann", HOME)
    assert len(world.ledger) == 2, "its own are for the worker itself"


def test_each_worker_has_its_part_and_borrows_when_that_is_used_up() -> None:
    world = World()
    lease = world.ledger.lease
    assert [lease(TWO, "p", "a"), lease(ONE, "p", "b")] == ["192.0.2.3", "192.0.2.1"]
    assert [lease(TWO, "p", "c"), lease(TWO, "p", "d")] == ["192.0.2.4", "192.0.2.2"]
    assert world.routed == [("192.0.2.2", 1)]
    assert lease(ONE, "p", "e") == Refused("no-address", "pool p: all 4 addresses are in use")
    world.ledger.release(TWO, "p", "192.0.2.2")
    assert world.routed == [("192.0.2.2", 1), ("192.0.2.2", 0)]
    assert lease(ONE, "p", "e") == "192.0.2.2"


def test_an_address_whose_route_could_not_be_put_back_is_routed_at_its_next_lease() -> None:
    told, works = list[tuple[str, int]](), [True]

    def route(address: str, worker: int) -> None:
        if not works[0]:
            raise PlatformError("no room", action="wait")
        told.append((address, worker))

    ledger = Ledger(2, [PoolPlan("p", IT)], limit=0, cumulative=0, route=route)
    for user in "abc":
        ledger.lease(TWO, "p", user)
    assert told == [("192.0.2.1", 1)]
    works[0] = False
    ledger.release(TWO, "p", "192.0.2.1")
    refused = ledger.lease(ONE, "p", "d")
    assert isinstance(refused, Refused), "its packets would go to the other worker"
    works[0] = True
    assert ledger.lease(ONE, "p", "d") == "192.0.2.1"
    assert told == [("192.0.2.1", 1), ("192.0.2.1", 0)]
    ledger.release(ONE, "p", "192.0.2.1")
    assert ledger.lease(ONE, "p", "d") == "192.0.2.1"
    assert len(told) == 2, "it is right now"


def test_what_one_worker_can_fill_of_the_ledger_has_an_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("culvert.gateway.ledger.MOST_ROWS", 3)
    ledger = World().ledger
    for _ in range(3):
        assert isinstance(ledger.admit(ONE, "ann", HOME, 0), int)
    assert ledger.admit(ONE, "ann", HOME, 0) == Refused("session-limit", "3 sessions of one worker")
    assert isinstance(ledger.admit(TWO, "ann", HOME, 0), int)
    ledger.end(ONE, 8)
    assert isinstance(ledger.admit(ONE, "ann", HOME, 0), int)


def test_everything_of_a_worker_that_died_is_free_and_nothing_of_another() -> None:
    world = World()
    for life in (ONE, TWO):
        world.ledger.admit(life, "ann", HOME, 0)
        world.ledger.lease(life, "p", "ann")
    world.ledger.over(ONE)
    again = Life(0, 5)
    assert world.ledger.lease(again, "p", "ann") == "192.0.2.1"
    assert world.ledger.lease(TWO, "p", "bob") == "192.0.2.4"
    assert isinstance(world.ledger.admit(TWO, "ann", HOME, 1), Refused)


@given(st.integers(1, 8), st.lists(st.integers(1, 40), min_size=1, max_size=4))
def test_a_pool_is_dealt_out_whole_in_equal_parts(count: int, sizes: list[int]) -> None:
    first, ranges = 1000, list[AddressRange]()
    for size in sizes:
        ranges.append(AddressRange(4, first, first + size - 1))
        first += size + 3
    whole = {at for one in ranges for at in range(one.first, one.last + 1)}
    parts = dealt(PoolPlan("p", tuple(ranges)), count)
    found = [at for part in parts for r in part.ranges for at in range(r.first, r.last + 1)]
    assert sorted(found) == sorted(whole)
    assert max(p.size for p in parts) - min(p.size for p in parts) <= 1


# --- the door ----------------------------------------------------------------------------------


class Watched:
    """The other workers, as a table tells them."""

    def __init__(self) -> None:
        self.peers: list[Address] = []

    def here(self, peer: Address) -> None:
        self.peers.append(peer)

    def gone(self, peer: Address) -> None:
        self.peers.remove(peer)


@pytest.fixture
def door() -> Iterator[LedgerDoor]:
    yield LedgerDoor(World(limit=10).ledger)
    for thread in threading.enumerate():
        if thread.name == "ledger":
            thread.join(10)


@contextmanager
def line(door: LedgerDoor, worker: int) -> Iterator[socket.socket]:
    """A worker's life."""
    with door.open(worker) as opened:
        yield opened
        opened.shutdown(socket.SHUT_RDWR)


def admitted(table: SharedTable, user: str, public: Address, limit: int = 0) -> Session | Refused:
    return table.admit(
        Kind.IPSEC_USER, user, at=AT, now=1.0, group="g", public=public, user_limit=limit
    )


def test_tables_of_two_workers_count_as_one(door: LedgerDoor) -> None:
    with ExitStack() as stack:
        watched = [Watched(), Watched()]
        tables = [
            SharedTable(RemoteLedger(stack.enter_context(line(door, n))), watched[n])
            for n in (0, 1)
        ]
        first = admitted(tables[0], "ann", HOME, 1)
        assert isinstance(first, Session)
        assert first.number == 8
        assert watched[0].peers == [HOME]
        assert admitted(tables[1], "ann", HOME, 1) == Refused("duplicate-limit", "ann has 1 of 1")
        moved = ("203.0.113.5", 1)
        tables[0].move(8, moved)
        assert watched[0].peers == [moved]
        pools = [table.pools([PoolPlan("p", IT)])["p"] for table in tables]
        assert [str(pool.lease("ann")) for pool in pools] == ["192.0.2.1", "192.0.2.3"]
        assert pools[0].release("192.0.2.1")
        assert tables[0].end(8, "by-user", now=2.0) is not None
        assert watched[0].peers == []
        again = admitted(tables[1], "ann", HOME, 1)
        assert isinstance(again, Session)
        assert again.number == 9


def test_a_worker_that_goes_or_says_nonsense_leaves_nothing(door: LedgerDoor) -> None:
    for end in (b"", b'["become", "root"]\n', b"?\n"):
        told = list[tuple[int, str]]()
        door.over = lambda life, why, told=told: told.append((life.worker, why))
        with line(door, 0) as opened:
            RemoteLedger(opened).ask("admit", "ann", *HOME, 0)
            assert len(door.ledger) == 1
            opened.sendall(end)
        for thread in threading.enumerate():
            if thread.name == "ledger":
                thread.join(10)
        assert len(door.ledger) == 0
        assert [worker for worker, _ in told] == [0]
