"""Damaged copies of what a gateway says in aggressive mode, each just before the genuine one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from simulation.meddler import Meddler
from simulation.test_authentication import gone, world_of

Damage = Callable[[bytes], Iterator[bytes]]


def last_octet_flipped(octets: bytes) -> Iterator[bytes]:
    yield octets[:-1] + bytes((octets[-1] ^ 1,))


def middle_octet_flipped(octets: bytes) -> Iterator[bytes]:
    at = len(octets) // 2
    yield octets[:at] + bytes((octets[at] ^ 0x80,)) + octets[at + 1 :]


@pytest.mark.parametrize("damage", [last_octet_flipped, middle_octet_flipped])
@pytest.mark.parametrize("way", ["rsa", "xauth-rsa", "hybrid"])
def test_the_genuine_answer_counts_after_a_damaged_copy_of_it(way: str, damage: Damage) -> None:
    """The copy is looked at first, and the genuine one meanwhile kept."""
    world, client = world_of(way, "aggressive")
    meddler = Meddler(client, damage)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert meddler.thrown >= 3
        assert world.passes_both_ways(client)
        gone(world)
