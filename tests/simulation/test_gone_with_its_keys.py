"""An IKE SA that is over is gone at once, and its keys with it: no circle of references keeps them
until a garbage collector comes, which in a process with thousands of sessions is rarely."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from culvert.ike.keys import Phase1Keys
from culvert.ike.peer import IkeSa
from simulation.ends import ClientEnd
from simulation.world import STRANGER, Terms, World, profile

LONG = 600.0  # until the last answer that might be asked for again is forgotten


@pytest.fixture
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def alive() -> int:
    """IKE SAs and keys of them."""
    return sum(type(one) in (IkeSa, Phase1Keys) for one in gc.get_objects())


def leaves(world: World, client: ClientEnd) -> None:
    client.disconnect()


def is_logged_out(world: World, client: ClientEnd) -> None:
    (session,) = world.gateway.core.table
    world.gateway.do(world.gateway.core.logout(session.number, now=world.now))


def is_not_heard_any_more(world: World, client: ClientEnd) -> None:
    client.unplug()


def stays_long_enough(world: World, client: ClientEnd) -> None:
    """Phase 1 and 2 are renewed several times before it leaves."""
    world.run(4 * 3600.0)
    client.disconnect()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "ends",
    [leaves, is_logged_out, is_not_heard_any_more, stays_long_enough],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("main", [False, True], ids=["aggressive", "main"])
def test_nothing_is_left_of_a_session(ends: Callable[[World, ClientEnd], None], main: bool) -> None:
    world = World(1, Terms(main_mode=main, phase1_lifetime=3600))
    before = alive()
    client = world.client(profile(exchange_mode="main" if main else "aggressive"))
    client.connect()
    assert world.decided(client)
    assert client.up
    assert alive() >= before + 4
    ends(world, client)
    world.run(LONG)
    assert client.down
    assert not world.left_over()
    assert alive() == before


@pytest.mark.usefixtures("uncollected")
def test_nothing_is_left_of_somebody_who_never_proved_himself() -> None:
    world = World(1)
    before = alive()
    client = world.client(person=STRANGER)
    client.connect()
    assert world.decided(client)
    assert client.down
    world.run(LONG)
    assert alive() == before
