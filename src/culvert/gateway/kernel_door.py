"""The door to the kernel's IPsec: a worker says what is to stand there, and the monitor does it.

The worker has no right to change the machine, and needs the answer in the middle of a message, so
it waits for it: some 100 µs over a socket pair of its own, answered by a thread that does nothing
else. Whatever a captured worker says through it belongs to the gateway's own virtual interface,
which routes lead packets into for its sessions only; it sees and changes nothing else.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import cast

from culvert.datapath.xfrm.orders import (
    Order,
    Policy,
    PolicyName,
    Seen,
    State,
    StateName,
)
from culvert.driver.message import LONGEST, MessageError, read, written
from culvert.errors import MisuseError, PlatformError
from culvert.netio.xfrm import KernelIpsec

MOST = 800_000
"""SAs and policies that may stand: those of 100,000 sessions, each in the middle of a renewal."""
PAGE = 1000
"""SAs in one answer: a message is bounded (`LONGEST`), the table of a large gateway is not."""


class RemoteHand:
    """The worker's end; see `culvert.datapath.xfrm.plane.Hand`."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end.makefile("rwb", buffering=LONGEST)

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
        self._end.write(written(words).encode() + b"\n")
        self._end.flush()
        answer = read(self._end.readline(LONGEST))
        match answer:
            case ("refused", str(what), str(action)):
                raise PlatformError(what, action=action)
            case tuple() if answer[:1] == ("done",):
                return cast("tuple[str, object]", answer)[1]
            case _:
                raise MessageError("the monitor's answer about the kernel makes no sense")


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
        thread = threading.Thread(target=self._serve, args=(end,), name="kernel-door", daemon=True)
        thread.start()

    def _serve(self, end: socket.socket) -> None:
        with end, end.makefile("rwb", buffering=LONGEST) as stream:
            try:
                while line := stream.readline(LONGEST):
                    stream.write(written(self._answer(read(line))).encode() + b"\n")
                    stream.flush()
            except (MessageError, OSError):
                return  # the worker sees its door closed, and ends

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
