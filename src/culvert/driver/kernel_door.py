"""The door to the kernel's IPsec: a worker says what is to stand there, and the monitor does it.

The worker has no right to change the machine, and needs the answer in the middle of a message, so
it waits for it: some 100 µs over a socket pair of its own, answered by a thread that does nothing
else. Whatever a captured worker says through it belongs to its own virtual interface,
which routes lead packets into for its sessions only; it sees and changes nothing else.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from culvert.datapath.xfrm.orders import (
    Order,
    Policy,
    PolicyName,
    Seen,
    State,
    StateName,
)
from culvert.driver.line import serve
from culvert.driver.message import MessageError
from culvert.errors import MisuseError, PlatformError
from culvert.netio.xfrm import KernelIpsec

MOST = 800_000
"""SAs and policies that may stand: those of 100,000 sessions, each in the middle of a renewal."""
PAGE = 1000
"""SAs in one answer: a message is bounded (`LONGEST`), the table of a large gateway is not."""


class KernelDoor:
    """The monitor's end, served by a thread until the worker goes."""

    def __init__(self, hand: KernelIpsec) -> None:
        self.hand = hand
        self._standing: set[StateName | PolicyName] = set()
        self._listed: tuple[Seen, ...] = ()

    def serve(self, end: socket.socket) -> None:
        """A fresh worker: what the one before it left is gone."""
        with suppress(PlatformError):
            self.hand.flush()
        self._standing.clear()
        serve(end, self._answer, "kernel-door")

    def _answer(self, asked: object) -> tuple[object, ...]:
        try:
            match asked:
                case ("do", State() | StateName() | Policy() | PolicyName() as order):
                    self._do(order)
                    return "done", None
                case ("look", StateName() as name):
                    return "done", self.hand.state(name)
                case ("list", int(after)):
                    return "done", tuple(self._page(after))
                case _:
                    raise MessageError("the kernel was asked for what a worker may not have")
        except PlatformError as error:
            return "refused", error.what, error.action
        except (MisuseError, ValueError) as error:
            return "refused", str(error), ""

    def _do(self, order: Order) -> None:
        if isinstance(order, State | Policy):
            if len(self._standing) >= MOST:
                raise PlatformError(f"{MOST} SAs and policies are the most at once")
            self.hand.carry_out(order)
            self._standing.add(_name(order))
        else:
            self.hand.carry_out(order)
            self._standing.discard(order)

    def _page(self, after: int) -> Iterator[Seen]:
        if after == 0:
            self._listed = tuple(self.hand.states())
        return islice(self._listed, max(after, 0), max(after, 0) + PAGE)


def _name(order: State | Policy) -> StateName | PolicyName:
    if isinstance(order, State):
        return StateName(order.spi, order.destination)
    return PolicyName(order.direction, order.source, order.destination)
