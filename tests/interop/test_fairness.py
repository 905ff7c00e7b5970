"""One session's flood does not drown another one (`culvert.inet.lane`).

How little the other notices is measured by `make bench` on a quiet machine; here the bounds only
tell lanes from one queue for all, where replies come a tenth of a second late, or a third of them
never (125 ms, 71 of 200 lost, by the gateway in pure Python).
"""

from __future__ import annotations

import pytest

from bench.fairness import PINGS, measured
from culvert.lab.lab import Lab

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

LATE = 60.0  # milliseconds
MOST_LOST = PINGS // 10


@pytest.mark.parametrize("engine", ["python", "kernel"])
def test_anothers_ping_passes_a_flood_in_either_direction(lab: Lab, engine: str) -> None:
    for flooded in measured(lab, engine, "UDP up", "UDP down"):
        print(flooded)
        assert flooded.extra < LATE, flooded
        assert flooded.during.lost <= MOST_LOST, flooded
