"""Nothing of a gateway's state is forgotten when another process goes on with it."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from culvert.driver.handing import Codec
from culvert.driver.message import MessageError
from culvert.gateway.parts import FORMS, PARTS
from culvert.ike.phase1 import Phase1
from simulation.test_sites import Pair as TwoGateways
from simulation.world import World, profile

RARE = {"Repeat", "Farewell"}  # of messages under way, and of those that got lost
BY_KIND = {part.kind: part for part in PARTS}


def attributes(one: object) -> set[str]:
    named = {*getattr(one, "__dict__", {})}
    for kind in type(one).__mro__:
        named |= {name for name in getattr(kind, "__slots__", ()) if hasattr(one, name)}
    return named


def parts_in(root: object) -> list[object]:
    """Every object with state that can be reached from here."""
    found: dict[int, object] = {}
    waiting: list[Any] = [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set | frozenset):
            waiting += one
        elif type(one).__module__.startswith("culvert.") and id(one) not in found:
            found[id(one)] = one
            waiting += [getattr(one, name) for name in attributes(one)]
    return [one for one in found.values() if part_of(one)]


def part_of(one: object) -> Any:
    return next((BY_KIND[kind] for kind in type(one).__mro__ if kind in BY_KIND), None)


@pytest.fixture(scope="module")
def everything() -> list[object]:
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    client.connect()
    assert world.decided(client)
    leaving = world.client(profile())
    leaving.connect()
    assert world.decided(leaving)
    leaving.disconnect()
    world.run(25.0)
    site = TwoGateways()
    assert site.joined()
    return [*parts_in(world.gateway.core), *parts_in(site.far.core)]


def test_every_part_is_looked_at(everything: list[object]) -> None:
    seen = {part_of(one).kind.__name__ for one in everything}
    assert {part.kind.__name__ for part in PARTS} - seen <= RARE


def test_every_field_of_rare_parts_is_handed_over() -> None:
    for part in PARTS:
        if part.kind.__name__ in RARE:
            assert {one.name for one in fields(part.kind)} == {*part.handed}


def test_every_attribute_is_handed_over_or_made_anew(everything: list[object]) -> None:
    for one in everything:
        part = part_of(one)
        named = attributes(one)
        if isinstance(one, Phase1):
            # What the four machines add is of use until phase 1 is over.
            bare = Phase1.__new__(Phase1)
            Phase1.__init__(bare, one._owner, one.settings)  # type: ignore[attr-defined]
            named = attributes(bare)
        assert named == {*part.handed} | part.anew, type(one).__name__
        assert not {*part.handed} & part.anew, type(one).__name__


def test_nobody_is_handed_over_who_holds_a_long_term_secret(everything: list[object]) -> None:
    world = World(1)
    client = world.client(profile())
    client.connect()
    assert world.decided(client)
    told = json.dumps(list(world.gateway.core.handed(now=world.now)))
    for secret in ("the right password", "a-long-group-key-of-the-lab"):
        assert secret not in told
        assert secret.encode().hex() not in told


@pytest.mark.parametrize(
    "found",
    [None, [], {}, {"octets": "zz", "given": 0.0}, {"octets": 3, "given": 0.0}, {"octets": "00"}],
    ids=str,
)
def test_what_does_not_fit_its_type_is_refused(found: object) -> None:
    kept = next(part.kind for part in PARTS if part.kind.__name__ == "Kept")
    with pytest.raises(MessageError):
        Codec(PARTS, FORMS).read(found, kept, now=0.0)
