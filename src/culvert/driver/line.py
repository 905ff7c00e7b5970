"""Line: what a confined process has to know in the middle of a message, over a socket pair of its
own. It waits, some 50 to 100 µs; a thread that does nothing else answers at the other end."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from culvert.driver.message import LONGEST, MessageError, read, written


class Line:
    """The end that asks."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end.makefile("rwb", buffering=LONGEST)

    def ask(self, question: object) -> object:
        """Raises MessageError when nobody is there any more."""
        self._end.write(written(question).encode() + b"\n")
        self._end.flush()
        return read(self._end.readline(LONGEST))


def serve(end: socket.socket, answer: Callable[[object], object], name: str) -> threading.Thread:
    """The other end, until the process there goes or asks what makes no sense (``answer`` raises
    MessageError or KeyError): it sees its line closed."""

    def work() -> None:
        with end, end.makefile("rwb", buffering=LONGEST) as stream:
            try:
                while line := stream.readline(LONGEST):
                    stream.write(written(answer(read(line))).encode() + b"\n")
                    stream.flush()
            except (MessageError, OSError, KeyError):
                return

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread
