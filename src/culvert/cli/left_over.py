"""What a service that was killed has left on this machine, for who asks how things stand."""

from __future__ import annotations

import contextlib

from culvert.changes.recovery import leftovers
from culvert.driver.control import RequestError
from culvert.driver.places import Places

HINT = (
    "A service that was killed has left routes, addresses or DNS settings behind: "
    "`sudo culvert repair` undoes them."
)


def is_left(where: Places) -> bool:
    """Of a service that does not run: root sees what it had written down, anybody else that it
    never said its connections were over."""
    if leftovers(where.undo):
        return True
    with contextlib.suppress(OSError):
        return where.established.read_text("ascii", "replace").strip() == "1"
    return False


def hinted(error: RequestError) -> RequestError:
    """That the service does not run, and what else is to be done than to start it."""
    return RequestError(error.code, error.sentence, HINT)
