"""An event loop that serves packets before anything else, without a turn of asyncio for each.

asyncio takes a wake-up through a list of keys, a queue of handles, a context and two looks at the
clock before anybody reads the packet, which waits meanwhile. Descriptors given to
`PacketLoop.serve` are read inside the selector, which then waits on. asyncio has its turn when
another descriptor is ready, when its next timer is due, and when a packet left it something to do
(a call, a task, a timer). Every descriptor that is ready has one batch per round, as before.
"""

from __future__ import annotations

import asyncio
import select
import selectors
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import Context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import FileDescriptorLike

FOREVER = -1.0

EVENTS = 32
"""Taken from the kernel at once; what else is ready comes in the next round."""

READABLE = select.EPOLLIN
"""And nothing else: errors, and room for writing, are asyncio's."""


class PacketSelector(selectors.BaseSelector):
    """epoll(7). ``stirred``: asyncio was given something to do since it began to wait."""

    def __init__(self, failed: Callable[[Exception], None]) -> None:
        self._epoll = select.epoll()
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._served: dict[int, Callable[[], object]] = {}
        self._failed = failed
        self.stirred = False

    def serve(self, fd: int, read: Callable[[], object]) -> None:
        """Call ``read`` when this descriptor, which is registered, can be read, until it is
        registered for reading no more."""
        self._served[fd] = read

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.stirred = False
        wait = FOREVER if timeout is None else max(timeout, 0.0)
        end = monotonic() + wait
        while True:
            found = self._epoll.poll(wait, EVENTS)
            others = None
            for fd, event in found:
                if event == READABLE and (read := self._served.get(fd)):
                    try:
                        read()
                    except Exception as error:  # as asyncio does with what its handles raise
                        self._failed(error)
                else:
                    others = found
            if others or self.stirred or not found or not wait:
                return self._told(others or ())
            if timeout is not None:
                wait = max(end - monotonic(), 0.0)

    def _told(self, found: Iterable[tuple[int, int]]) -> list[tuple[selectors.SelectorKey, int]]:
        """For asyncio: what was not served. It may have been given up meanwhile."""
        told: list[tuple[selectors.SelectorKey, int]] = []
        for fd, event in found:
            key = self._keys.get(fd)
            if key is not None and not (event == READABLE and fd in self._served):
                reads = selectors.EVENT_READ if event != select.EPOLLOUT else 0
                writes = selectors.EVENT_WRITE if event != READABLE else 0
                told.append((key, (reads | writes) & key.events))
        return told

    # --- what every selector does --------------------------------------------------------------

    def register(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        fd = _number(fileobj)
        key = selectors.SelectorKey(fileobj, fd, events, data)
        self._epoll.register(fd, _bits(events))
        self._keys[fd] = key
        return key

    def modify(
        self, fileobj: FileDescriptorLike, events: int, data: object = None
    ) -> selectors.SelectorKey:
        fd = _number(fileobj)
        before = self._keys[fd]
        if events != before.events:
            self._epoll.modify(fd, _bits(events))
        if not events & selectors.EVENT_READ:
            self._served.pop(fd, None)
        key = self._keys[fd] = before._replace(events=events, data=data)
        return key

    def unregister(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        fd = _number(fileobj)
        key = self._keys.pop(fd)
        self._served.pop(fd, None)
        with suppress(OSError):  # closed: the kernel has forgotten it
            self._epoll.unregister(fd)
        return key

    def get_key(self, fileobj: FileDescriptorLike) -> selectors.SelectorKey:
        return self._keys[_number(fileobj)]

    def get_map(self) -> Mapping[FileDescriptorLike, selectors.SelectorKey]:
        return {key.fileobj: key for key in self._keys.values()}

    def close(self) -> None:
        self._epoll.close()
        self._keys.clear()
        self._served.clear()


class PacketLoop(asyncio.SelectorEventLoop):
    """For `asyncio.Runner`."""

    def __init__(self) -> None:
        self._packets = PacketSelector(self._went_wrong)
        super().__init__(self._packets)

    def serve(self, fd: int, read: Callable[..., object], *args: object) -> None:
        """As `add_reader`, and ended by `remove_reader`; but before everything else."""
        self.add_reader(fd, read, *args)
        self._packets.serve(fd, partial(read, *args))

    def call_soon(
        self, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.Handle:
        self._packets.stirred = True
        return super().call_soon(callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[..., object],
        *args: object,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._packets.stirred = True
        return super().call_at(when, callback, *args, context=context)

    def _went_wrong(self, error: Exception) -> None:
        self.call_exception_handler({"message": "serving packets", "exception": error})


def serve(fd: int, read: Callable[..., object], *args: object) -> None:
    """On the running loop, as well as that can: any loop has readers."""
    loop = asyncio.get_running_loop()
    (loop.serve if isinstance(loop, PacketLoop) else loop.add_reader)(fd, read, *args)


def _number(fileobj: FileDescriptorLike) -> int:
    return fileobj if isinstance(fileobj, int) else fileobj.fileno()


def _bits(events: int) -> int:
    reads = select.EPOLLIN if events & selectors.EVENT_READ else 0
    return reads | (select.EPOLLOUT if events & selectors.EVENT_WRITE else 0)
