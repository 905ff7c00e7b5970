"""Line polling's questions on their way: who waits for which answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from culvert.effects import AskEcho, EchoAnswered
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.netio.echo_door import EchoDoor


class Echoes:
    """Of one connection. Its socket is opened with the first question."""

    def __init__(self, record: Callable[[LogEvent], None]) -> None:
        self._record = record
        self._door: EchoDoor | None = None
        self._waiting: dict[tuple[str, int], asyncio.Future[bool]] = {}
        self._failed = ""

    async def ask(self, order: AskEcho) -> EchoAnswered | None:
        """None when no answer came in time."""
        if not self._open(order.source) or self._door is None:
            return None
        key = (order.target, order.sequence)
        answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._door.ask(order.target, order.sequence)
        try:
            async with asyncio.timeout(order.patience):
                heard = await answer
        except TimeoutError:
            return None
        finally:
            self._waiting.pop(key, None)
        return EchoAnswered(order.sequence, order.target) if heard else None

    def close(self) -> None:
        """Whoever still waits has waited in vain."""
        door, self._door = self._door, None
        if door is not None:
            asyncio.get_running_loop().remove_reader(door.fileno())
            door.close()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_result(False)

    def _open(self, source: str) -> bool:
        if self._door is not None and self._door.source == source:
            return True
        self.close()
        try:
            door = EchoDoor(source)
        except PlatformError as error:
            self._tell(error)
            return False
        self._failed = ""
        self._door = door
        asyncio.get_running_loop().add_reader(door.fileno(), self._hear, door)
        return True

    def _tell(self, error: PlatformError) -> None:
        """Once; it is the same with every question."""
        if self._failed != error.what:
            self._failed = error.what
            fields = {"what": error.what, "action": error.action}
            self._record(LogEvent("service.fault", {**fields}))

    def _hear(self, door: EchoDoor) -> None:
        for reply in door.replies():
            answer = self._waiting.get((reply.host, reply.sequence))
            if answer is not None and not answer.done():
                answer.set_result(True)
