"""Which of several workers answers a first message, and what they tell each other."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Mapping

import pytest

from culvert.driver.loop import PacketListener
from culvert.driver.message import MessageError, read, written
from culvert.effects import PairWorn, PeerMoved
from culvert.eventlog.event import LogEvent
from culvert.gateway.crew import Pairs
from culvert.gateway.neighbours import OtherWorkers, Sorted
from culvert.gateway.placing import REMEMBERED, Placing
from culvert.inet.address import Address, Path
from culvert.inet.lane import Share
from waiting import until

PEER: Address = ("198.51.100.7", 4500)
OTHER: Address = ("198.51.100.8", 4500)


def first(number: int) -> bytes:
    """A first message."""
    return number.to_bytes(8, "big") + bytes(8) + b"rest"


def test_what_brings_a_cookie_of_ours_or_is_no_ike_stays() -> None:
    placing = Placing(Share(0, 2))
    for octets in (first(1)[:8] + b"our cook" + b"rest", b"", b"short"):
        assert placing.worker_for(octets, PEER, 1000) == 0


def test_strangers_go_where_the_fewest_are() -> None:
    placing = Placing(Share(1, 3))
    counted: Counter[int] = Counter()
    for number in range(1, 31):
        counted[placing.worker_for(first(number), PEER, counted[1])] += 1
    assert counted == {0: 10, 1: 10, 2: 10}


def test_a_repetition_goes_where_the_message_went() -> None:
    placing = Placing(Share(0, 2))
    places = [placing.worker_for(first(number), PEER, 5) for number in range(1, 9)]
    assert set(places) == {0, 1}
    for load in (0, 1000):
        again = [placing.worker_for(first(number), PEER, load) for number in range(1, 9)]
        assert again == places


def test_whoever_has_a_session_goes_there_whatever_the_load() -> None:
    placing = Placing(Share(0, 3))
    placing.load(2, 1000)
    placing.here(2, [PEER])
    assert placing.worker_for(first(1), PEER, 0) == 2
    placing.gone(1, [PEER])
    assert placing.worker_for(first(2), PEER, 0) == 2
    placing.gone(2, [PEER])
    assert placing.worker_for(first(3), PEER, 0) == 0


def test_who_has_a_session_here_stays_however_few_are_elsewhere() -> None:
    placing = Placing(Share(0, 2))
    assert placing.worker_for(first(1), PEER, 100, ours=True) == 0
    assert placing.worker_for(first(2), PEER, 100) == 1


def test_a_worker_that_begins_anew_has_nobody() -> None:
    placing = Placing(Share(0, 2))
    placing.here(1, [PEER])
    placing.load(1, 50)
    placing.began(1)
    assert placing.worker_for(first(1), PEER, 0) == 0
    assert placing.worker_for(first(2), PEER, 1) == 1


def test_nobody_is_sent_to_a_worker_that_is_down() -> None:
    placing = Placing(Share(0, 3))
    placing.here(1, [PEER])
    before = placing.worker_for(first(1), PEER, 1000)
    assert before == 1
    placing.down(1)
    placing.load(1, 0)  # its last word
    assert placing.worker_for(first(1), PEER, 1000) == 2, "a repetition, too"
    assert placing.worker_for(first(2), PEER, 1000) == 2
    placing.down(2)
    assert placing.worker_for(first(3), PEER, 1000) == 0
    placing.up(1)
    placing.began(1)
    assert placing.worker_for(first(4), PEER, 1000) == 1


def test_what_could_not_be_passed_on_stays_with_its_repetitions() -> None:
    placing = Placing(Share(0, 2))
    assert placing.worker_for(first(1), PEER, 5) == 1
    placing.keep(first(1))
    assert placing.worker_for(first(1), PEER, 1000) == 0


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    placing = Placing(Share(0, 2))
    at = placing.worker_for(first(1), PEER, 1)
    assert at == 1
    placing.load(1, 10)
    for number in range(2, 2 + REMEMBERED):
        placing.worker_for(first(number), PEER, 0)
    assert placing.worker_for(first(1), PEER, 0) == 0


# --- over real lines ---------------------------------------------------------------------------


class Ear:
    """Listens to the data path, and knows the ways."""

    def __init__(self) -> None:
        self.heard_ike: list[tuple[bytes, Path]] = []
        self.faults: list[str] = []
        self.ways: dict[tuple[Address, int], bytes] = {}

    def ike(self, octets: bytes, path: Path) -> None:
        self.heard_ike.append((octets, path))

    def moved(self, news: PeerMoved) -> None: ...

    def worn(self, news: PairWorn) -> None: ...

    def busy(self) -> None: ...

    def note(self, event: LogEvent) -> None: ...

    def fault(self, what: str, error: BaseException) -> None:
        self.faults.append(f"{what}: {error}")

    def called(self, peer: Address, local_port: int) -> bytes:
        return self.ways.get((peer, local_port), b"")

    def heard(self, peer: Address, local_port: int, info: bytes) -> None:
        self.ways[peer, local_port] = info


def two(pairs: Pairs) -> tuple[tuple[OtherWorkers, Ear], tuple[OtherWorkers, Ear]]:
    def one(worker: int) -> tuple[OtherWorkers, Ear]:
        (end,) = (each for each in pairs.of(worker) if each >= 0)
        copied = socket.fromfd(end, socket.AF_UNIX, socket.SOCK_DGRAM)
        return OtherWorkers(Share(worker, 2), {1 - worker: copied}), Ear()

    return one(0), one(1)


def test_a_renewal_is_passed_to_the_worker_with_the_session() -> None:
    path = Path(("192.0.2.1", 4500), PEER, encapsulated=True)

    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, other) = two(pairs)
        ear.ways[PEER, 4500] = b"called address"
        listener: PacketListener = Sorted(ear, here)
        here.join(ear, ear, lambda: 0)
        there.join(other, other, lambda: 1000)
        there.here(PEER)
        await until(lambda: here.knows(PEER))
        listener.ike(first(1), path)
        listener.ike(first(1)[:8] + b"cookie_r" + b"rest", path)
        await until(lambda: bool(other.heard_ike))
        assert other.heard_ike == [(first(1), path)]
        assert other.ways == {(PEER, 4500): b"called address"}
        assert len(ear.heard_ike) == 1
        assert (here.passed, there.taken) == (1, 1)
        assert not there.pass_on(first(2), path)
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


@pytest.mark.parametrize(
    "said",
    [
        {"here": [("nowhere", 500)], "gone": []},
        {"here": [], "gone": [("192.0.2.7", 1 << 16)]},
        {
            "octets": first(1),
            "info": b"",
            "encapsulated": True,
            "local": ("192.0.2.1", 4500),
            "remote": ("192.0.2", 4500),
        },
    ],
)
def test_words_about_a_peer_without_an_address_are_not_taken(said: Mapping[str, object]) -> None:
    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, _) = two(pairs)
        here.join(ear, ear, lambda: 0)
        with pytest.raises(MessageError, match="of a peer"):
            here._heard(1, read(written(said)))
        assert ear.heard_ike == []
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


def test_a_worker_that_comes_later_learns_who_is_where() -> None:
    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, other) = two(pairs)
        there.join(other, other, lambda: 3)
        for port in range(1, 1201):
            there.here((PEER[0], port))
        here.join(ear, ear, lambda: 0)
        await until(lambda: here.knows((PEER[0], 1200)))
        assert here.knows((PEER[0], 1))
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


def test_the_end_of_an_old_session_does_not_forget_a_new_one_of_the_same_caller() -> None:
    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, other) = two(pairs)
        here.join(ear, ear, lambda: 0)
        there.join(other, other, lambda: 0)
        there.here(PEER)
        there.here(PEER)
        there.gone(PEER)
        there.here(OTHER)  # what is told in order tells when the rest has come
        await until(lambda: here.knows(OTHER))
        assert here.knows(PEER)
        there.gone(PEER)
        await until(lambda: not here.knows(PEER))
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


def test_first_messages_for_which_the_line_has_no_room_are_answered_here() -> None:
    path = Path(("192.0.2.1", 4500), PEER, encapsulated=True)
    count = 2000

    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, _) = two(pairs)  # the other one reads nothing
        here.join(ear, ear, lambda: 10_000)
        listener: PacketListener = Sorted(ear, here)
        for number in range(1, 1 + count):
            listener.ike(first(number) + bytes(400), path)
        assert here.passed + len(ear.heard_ike) == count
        assert here.lost == len(ear.heard_ike) > 0
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


def test_words_that_had_no_room_are_said_when_there_is_some() -> None:
    count = 20_000

    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, other) = two(pairs)
        here.join(ear, ear, lambda: 7)
        for port in range(1, 1 + count):
            here.here((PEER[0], port))
        for port in range(1, 101):
            here.gone((PEER[0], port))
        there.join(other, other, lambda: 0)
        last = PEER[0], count
        await until(lambda: there.knows(last) and not there.knows((PEER[0], 100)))
        known = [port for port in range(1, 1 + count) if there.knows((PEER[0], port))]
        assert known == list(range(101, 1 + count))
        assert here.lost == 0
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())


def test_nonsense_of_another_worker_is_a_fault_and_no_more() -> None:
    async def work() -> None:
        pairs = Pairs(2)
        (here, ear), (there, _) = two(pairs)
        here.join(ear, ear, lambda: 0)
        end = socket.fromfd(pairs.of(1)[0], socket.AF_UNIX, socket.SOCK_DGRAM)
        for said in (
            b"?",
            b"[]",
            b'{"here": [1], "gone": []}',
            b'{"octets": "x"}',
            b'{"load": "many"}',
        ):
            end.send(said)
        await until(lambda: len(ear.faults) == 5)
        assert ear.heard_ike == []
        end.close()
        for one in (here, there):
            one.leave()
        pairs.close()

    asyncio.run(work())
