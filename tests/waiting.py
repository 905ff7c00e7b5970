"""Waiting in a loop for what has no event of its own: a file, a process, the code under test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

PATIENCE = 30.0  # of a busy machine


async def until(holds: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    """Raises TimeoutError when it does not come to hold."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)
