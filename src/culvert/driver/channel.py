"""Channel: messages between two processes over a socket pair, both directions, on one loop.

Each message is one line of JSON (`culvert.driver.message`). Requests wait for their answer by
number. A peer that says what makes no sense, or too much, is cut off: for the monitor that means
a worker it does not trust any more.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Mapping
from typing import cast

from culvert.driver.message import LONGEST, MessageError, read, written

MOST_UNSENT = 64 << 20
"""Octets that wait for a peer that does not read: beyond, it is cut off."""

PIECE = 1 << 16
"""Octets read at a time: many messages for one wake-up."""

MOST_TOGETHER = 256
"""Messages that wait for each other before they are written."""

ENDED = "it ended"
"""Why the other end is gone, where its process may have more to say (`driver.process_end`)."""

Message = Mapping[str, object]
Take = Callable[[Message], None]


class Channel:
    """One end. ``take`` gets every message that answers nothing; ``lost`` is called once, when the
    other end is gone or was cut off, with why."""

    def __init__(self, take: Take, lost: Callable[[str], None]) -> None:
        self._take = take
        self._lost = lost
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._meanwhile: dict[int, Take] = {}
        self._last = 0
        self._unsaid: list[bytes] = []

    async def open(self, end: socket.socket) -> None:
        reader, self._writer = await asyncio.open_connection(sock=end, limit=LONGEST)
        self._reading = asyncio.get_running_loop().create_task(self._read(reader))

    def say(self, message: Message) -> None:
        """Send; nothing when the other end is gone."""
        self._put(message)
        self._flush()

    def say_soon(self, message: Message) -> None:
        """As `say`, with what else is said in this turn of the loop, in order: each write wakes the
        other end, and many small messages would cost more than what they are about."""
        if self._put(message) == 1:
            asyncio.get_running_loop().call_soon(self._flush)
        elif len(self._unsaid) >= MOST_TOGETHER:
            self._flush()

    def _put(self, message: Message) -> int:
        """How many wait to be written now."""
        writer = self._writer
        if writer is None or writer.is_closing():
            return 0
        self._unsaid.append(written(message).encode() + b"\n")
        return len(self._unsaid)

    def _flush(self) -> None:
        writer, together = self._writer, b"".join(self._unsaid)
        self._unsaid.clear()
        if writer is None or writer.is_closing() or not together:
            return
        writer.write(together)
        if writer.transport.get_write_buffer_size() > MOST_UNSENT:
            self._end("it reads nothing any more")

    async def ask(self, message: Message, meanwhile: Take | None = None) -> Message:
        """Send and wait for the message with ``answers`` of this number; those ``about`` it go to
        ``meanwhile`` until then. Raises MessageError when the other end goes before."""
        self._last += 1
        number = self._last
        waiting: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        if meanwhile is not None:
            self._meanwhile[number] = meanwhile
        try:
            self.say({**message, "number": number})
            if self._writer is None or self._writer.is_closing():
                raise MessageError("the other process is gone")
            return await waiting
        finally:
            self._waiting.pop(number, None)
            self._meanwhile.pop(number, None)

    def close(self) -> None:
        """Closing twice is normal."""
        self._flush()
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None and self._reading is not asyncio.current_task():
            self._reading.cancel()

    def cut(self) -> None:
        """As `close`, and whoever waits for an answer is told that none comes."""
        self._lost = _nothing
        self._end("")

    async def _read(self, reader: asyncio.StreamReader) -> None:
        why, rest = ENDED, b""
        try:
            while octets := await reader.read(PIECE):
                *lines, rest = (rest + octets).split(b"\n")
                for line in lines:
                    self._heard(read(line))
                if len(rest) > LONGEST:
                    raise MessageError(f"a message of more than {LONGEST} octets")
            if rest:
                self._heard(read(rest))
        except (MessageError, ValueError) as error:
            why = f"it said what makes no sense: {error}"
        except OSError as error:
            why = str(error)
        except Exception as error:  # whatever it said: nobody goes on listening to that
            why = f"what it said ended in {type(error).__name__}: {error}"
        self._end(why)

    def _heard(self, found: object) -> None:
        if not isinstance(found, dict):
            raise MessageError("a message must be an object")
        message = cast("dict[str, object]", found)
        about, number = message.get("about"), message.get("answers")
        if number is None:
            take = self._meanwhile.get(about) if isinstance(about, int) else self._take
            if take is not None:
                take(message)
            return
        waiting = self._waiting.get(number) if isinstance(number, int) else None
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    def _end(self, why: str) -> None:
        self.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(MessageError("the other process is gone"))
        lost, self._lost = self._lost, _nothing
        lost(why)


def _nothing(_: str) -> None:
    return
