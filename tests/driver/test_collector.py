"""Full collections come by the clock, not by the number of objects; in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import gc, json
from culvert.driver.collector import EVERY, collect_seldom

class Circle:
    def __init__(self):
        self.itself = self

def full():
    return gc.get_stats()[2]["collections"]

def circles():
    return sum(type(one) is Circle for one in gc.get_objects())

asked = []
collect_seldom(lambda seconds, what: asked.append((seconds, what)))
begin = full()
kept = [[number] for number in range(400_000)]
grown = full() - begin
young = Circle()
del young
lists = [[number] for number in range(200_000)]
left_young = circles()
old = Circle()
more = [[number] for number in range(200_000)]
del old
left_old = circles()
(seconds, what), = asked
what()
left = [left_young, left_old, circles()]
print(json.dumps([grown, *left, full() - begin, seconds == EVERY, len(asked)]))
"""


@pytest.fixture(scope="module")
def seen() -> list[int]:
    command = [sys.executable, "-c", PROGRAM]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(said.stdout)


def test_everything_is_collected_by_the_clock(seen: list[int]) -> None:
    *_, left_at_last, _, hourly, asked = seen
    assert (left_at_last, hourly, asked) == (0, True, 2)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="it collects in small steps by itself")
def test_however_many_objects_come_nothing_else_is_a_full_collection(seen: list[int]) -> None:
    grown, left_young, left_old, _, full, *_ = seen
    assert (grown, left_young, left_old, full) == (0, 0, 1, 1)
