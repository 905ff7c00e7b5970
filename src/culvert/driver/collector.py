"""The garbage collector of a process that carries packets: seldom, and of little.

A full collection looks at every object there is, half a second's work with eight thousand sessions,
and meanwhile nobody's packets move; Python itself begins one whenever a quarter more objects have
come. What ends here leaves no circles of references (`culvert.ike.owner`), so little is left for
it: what is young is still looked through as ever, everything once an hour.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

EVERY = 3600.0
"""Seconds between full collections."""

_NEVER = 2**31 - 1  # by itself; Python 3.14 collects in small steps and ignores it


def collect_seldom(later: Callable[[float, Callable[[], None]], object]) -> None:
    """From now on. What there is (modules, mostly) is not looked at again; ``later`` calls back
    after so many seconds, as `asyncio.loop.call_later`."""

    def collect() -> None:
        gc.collect()
        later(EVERY, collect)

    gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
    collect()
    gc.freeze()
