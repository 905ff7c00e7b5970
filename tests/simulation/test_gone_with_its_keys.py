"""An IKE SA that is over is gone at once, and its keys with it: no circle of references keeps them
until a garbage collector comes, which in a process with thousands of sessions is rarely."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from culvert.ike.keys import Phase1Keys
from culvert.ike.peer import IkeSa
from culvert.secret import Secret
from simulation.certificates import gateway_vault
from simulation.ends import ClientEnd
from simulation.test_authentication import world_of as certified
from simulation.world import GATEWAY, STRANGER, Terms, World, profile

pytestmark = pytest.mark.usefixtures("uncollected")

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


def left_of(world: World, client: ClientEnd, *, patience: float = 0.0) -> int:
    """SAs and keys after an attempt that failed, or that its person gave up after so long."""
    before = alive()
    client.connect()
    if patience:
        world.run(patience)
        client.disconnect()
    assert world.decided(client)
    assert client.down
    world.run(LONG)
    assert not world.left_over()
    return alive() - before


@pytest.mark.parametrize(
    "wrong",
    [{"person": STRANGER}, {"kept": profile(phase1=("3des-md5-modp1024",))}],
    ids=["password", "proposal"],
)
def test_nothing_is_left_of_somebody_who_was_refused(wrong: dict[str, Any]) -> None:
    world = World(1)
    assert left_of(world, world.client(**wrong)) == 0


def test_nothing_is_left_of_somebody_with_a_wrong_group_key() -> None:
    world = World(1)
    another = profile(group_key=Secret("another key of another lab"))
    assert left_of(world, world.client(another)) == 0


@pytest.mark.parametrize("mode", ["main", "aggressive"])
@pytest.mark.parametrize("way", ["rsa", "hybrid"])
def test_nothing_is_left_where_the_gateway_cannot_sign(way: str, mode: str) -> None:
    broken = replace(gateway_vault(GATEWAY), broken=True)
    assert left_of(*certified(way, mode, gateway=broken)) == 0


@pytest.mark.parametrize("milliseconds", range(5, 200, 5))
def test_nothing_is_left_of_somebody_who_gives_up_while_vaults_are_asked(
    milliseconds: int,
) -> None:
    assert left_of(*certified("rsa", "main"), patience=milliseconds / 1000) == 0
