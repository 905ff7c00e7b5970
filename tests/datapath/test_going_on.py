"""One engine stops and another goes on with its pairs: no number twice, no replay let in."""

from __future__ import annotations

import pytest

from culvert.datapath.plane import Counters, Plane, Progress
from culvert.errors import MisuseError
from culvert.rng import SeededRandom
from datapath.engines import make
from datapath.orders import CLIENT, GATEWAY, LEASED, SERVER, both_ends, udp

ENGINES = ("python", "kernel")


def sealed(plane: Plane, source: str, destination: str, count: int) -> list[bytes]:
    packets = [udp(source, destination, str(number).encode()) for number in range(count)]
    return [one for burst in plane.from_tunnel(packets, 0.0).bursts for one in burst.datagrams]


def installed(kind: str, *, gateway: bool) -> Plane:
    plane = make(kind, SeededRandom(1))
    order = both_ends()[0 if gateway else 1]
    plane.install(order)
    plane.activate(order.session, order.pair)
    return plane


@pytest.mark.parametrize("after", ENGINES)
@pytest.mark.parametrize("before", ENGINES)
@pytest.mark.parametrize("sent", [0, 1, 63, 64, 65, 1023, 1024, 1025, 2047, 2048, 5000])
def test_another_engine_goes_on_where_one_stopped(before: str, after: str, sent: int) -> None:
    client = installed("python", gateway=False)
    old, new = installed(before, gateway=True), installed(after, gateway=True)
    up = sealed(client, LEASED, SERVER, sent)
    # Every third one never came.
    came = [datagram for number, datagram in enumerate(up) if number % 3 != 1]
    old.from_network([(datagram, CLIENT) for datagram in came], 7.0)
    down = sealed(old, SERVER, LEASED, sent)
    progress = old.progress(1, 1)
    new.go_on(1, 1, progress)
    new.recount(1, old.traffic(1))
    assert new.progress(1, 1) == progress
    assert new.traffic(1) == old.traffic(1)
    # What came before is a replay; what was late and within the window may enter now.
    again = new.from_network([(datagram, CLIENT) for datagram in came], 8.0)
    assert again.inside == []
    late = [datagram for number, datagram in enumerate(up) if number % 3 == 1]
    window = [one for one in late if int.from_bytes(one[4:8], "big") > progress.highest - 1024]
    found = new.from_network([(datagram, CLIENT) for datagram in late], 8.0)
    assert len(found.inside) == len(window)
    further = sealed(new, SERVER, LEASED, 3)
    numbers = [int.from_bytes(one[4:8], "big") for one in (*down, *further)]
    assert numbers == list(range(1, sent + 4))


@pytest.mark.parametrize("kind", ENGINES)
def test_a_number_never_goes_back(kind: str) -> None:
    plane = installed(kind, gateway=True)
    sealed(plane, SERVER, LEASED, 10)
    plane.go_on(1, 1, Progress(5, 0, (1).to_bytes(128, "big"), 0, 0))
    (further,) = sealed(plane, SERVER, LEASED, 1)
    assert int.from_bytes(further[4:8], "big") == 11


@pytest.mark.parametrize("kind", ENGINES)
def test_counters_and_reasons_go_on(kind: str) -> None:
    plane = installed(kind, gateway=True)
    before = Counters(10, 20, 1, 2, 3.0, {"replayed": 4}, {"too-big": 5})
    plane.recount(1, before)
    assert plane.traffic(1) == before
    plane.recount(99, before)
    assert plane.traffic(99) == Counters()


@pytest.mark.parametrize("kind", ENGINES)
def test_there_is_no_progress_of_a_pair_that_is_not_there(kind: str) -> None:
    plane = installed(kind, gateway=True)
    for session, pair in ((1, 2), (2, 1)):
        with pytest.raises(MisuseError):
            plane.progress(session, pair)


def test_packets_pass_to_an_engine_that_went_on() -> None:
    client, old = installed("python", gateway=False), installed("kernel", gateway=True)
    (first,) = sealed(old, SERVER, LEASED, 1)
    assert client.from_network([(first, GATEWAY)], 0.0).inside
    new = installed("python", gateway=True)
    new.go_on(1, 1, old.progress(1, 1))
    (second,) = sealed(new, SERVER, LEASED, 1)
    assert client.from_network([(second, GATEWAY)], 0.0).inside
