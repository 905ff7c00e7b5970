"""State of another process that makes no sense is refused, whatever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from culvert.datapath.python_engine import PythonEngine
from culvert.driver.carried import Carried
from culvert.driver.message import MessageError
from culvert.rng import SeededRandom
from simulation.world import World, profile

Change = Callable[[list[dict[str, Any]]], object]


@pytest.mark.parametrize("item", [{}, {"install": None}, {"install": {"session": 1}}])
def test_a_pair_that_makes_no_sense_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        Carried().orders([item], now=0.0)


@pytest.mark.parametrize(
    "item", [{"used": None}, {"counted": 7}, {"active": [[1, 1]]}, {"what": 1}, {}]
)
def test_progress_that_makes_no_sense_is_refused(item: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        Carried().go_on([item], PythonEngine(SeededRandom(1)), now=0.0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda items: items[0].pop("table"), id="no table of sessions"),
        pytest.param(lambda items: items[1].update(leases=7), id="leases that are none"),
        pytest.param(lambda items: items[2]["sa"].update(number="1"), id="a number in words"),
        pytest.param(
            lambda items: items[2]["sa"]["path"].update(remote=["171.69.89", 4500]),
            id="an address cut short",
        ),
        pytest.param(lambda items: items.append({"what": 1}), id="of no kind"),
    ],
)
def test_state_that_makes_no_sense_is_refused(change: Change) -> None:
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    client.connect()
    assert world.decided(client)
    items = json.loads(json.dumps(list(world.gateway.core.handed(now=world.now))))
    change(items)
    world.gateway._fresh_core(SeededRandom(9))
    with pytest.raises(MessageError):
        world.gateway.core.resume(items, now=world.now)
