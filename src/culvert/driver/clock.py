"""The one clock of all drivers: seconds that never go back and count time spent suspended."""

from __future__ import annotations

import time

LONGEST_SLEEP = 5.0
"""The event loop's own clock stops while the machine is suspended, `boottime` does not: no timer
sleeps longer than this, so that after a wake-up every core soon learns how long it was away."""


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
