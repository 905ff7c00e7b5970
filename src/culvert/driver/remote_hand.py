"""The worker's end of the door to the kernel's IPsec (`culvert.driver.kernel_door`)."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import cast

from culvert.datapath.xfrm.orders import Order, Seen, StateName
from culvert.driver.line import Line
from culvert.driver.message import MessageError
from culvert.errors import PlatformError


class RemoteHand:
    """The worker's end; see `culvert.datapath.xfrm.plane.Hand`."""

    def __init__(self, end: socket.socket) -> None:
        self._line = Line(end)

    def carry_out(self, order: Order) -> None:
        self._ask(["do", order])

    def state(self, name: StateName) -> Seen | None:
        found = self._ask(["look", name])
        return found if isinstance(found, Seen) else None

    def states(self) -> Sequence[Seen]:
        found: list[Seen] = []
        while page := cast("tuple[Seen, ...]", self._ask(["list", len(found)])):
            found += page
        return found

    def _ask(self, words: Sequence[object]) -> object:
        answer = self._line.ask(words)
        match answer:
            case ("refused", str(what), str(action)):
                raise PlatformError(what, action=action)
            case tuple() if answer[:1] == ("done",):
                return cast("tuple[str, object]", answer)[1]
            case _:
                raise MessageError("the monitor's answer about the kernel makes no sense")
