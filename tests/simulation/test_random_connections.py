"""Random connections over a bad network: each is either up, with the same keys at both ends, or
refused for a reason that fits at both ends; and nothing of it is left afterwards.

A failure names its seed; ``--simulation-seed`` plays it again (see `simulation.plugin`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from simulation.cases import Outcome, drawn
from simulation.play import play
from simulation.plugin import PROPERTY
from simulation.verdict import unheard, wrong

RecordProperty = Callable[[str, object], None]

BLOCK = 25
MOST_UNHEARD = 0.3
"""Of one block of connections, how many may come to nothing for the network's sake: about 3 % do
at 20 % loss with a NAT that forgets its mappings; a block with so many means that something is
never repeated."""


@pytest.mark.parametrize("block", range(2))
def test_fifty_random_connections_end_well(
    block: int, first_seed: int, record_property: RecordProperty
) -> None:
    run(first_seed + block * BLOCK, BLOCK, record_property)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_five_hundred_random_connections_end_well(
    block: int, first_seed: int, record_property: RecordProperty
) -> None:
    run(first_seed + block * BLOCK, BLOCK, record_property)


@pytest.mark.soak
@pytest.mark.parametrize("block", range(400))
def test_ten_thousand_random_connections_end_well(
    block: int, first_seed: int, record_property: RecordProperty
) -> None:
    run(first_seed + block * BLOCK, BLOCK, record_property)


def run(first: int, count: int, record_property: RecordProperty) -> None:
    """Plays ``count`` seeds from ``first`` on."""
    counted: Counter[str] = Counter()
    lost = 0
    for seed in range(first, first + count):
        played = play(drawn(seed))
        with played.world.shown_if_wrong():
            assert wrong(played) == []
        lost += len(unheard(played))
        counted["connections"] += len(played.clients)
        counted["up"] += sum(played.up.values())
        counted["given up for the network"] += len(unheard(played))
    record_property(PROPERTY, (f"{first}+{count}", dict(counted)))
    assert lost <= MOST_UNHEARD * counted["connections"]


def test_every_outcome_is_drawn() -> None:
    outcomes = Counter(drawn(seed).outcome for seed in range(500))
    assert set(outcomes) == set(Outcome)
