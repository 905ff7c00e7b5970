"""Pop-ups: org.freedesktop.Notifications on the D-Bus of the person's session."""

from __future__ import annotations

import asyncio
from html import escape
from types import TracebackType
from typing import Self

from dbus_fast import BusType, DBusError, Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from culvert.errors import PlatformError

SERVICE = "org.freedesktop.Notifications"
PATH = "/org/freedesktop/Notifications"
NORMAL, CRITICAL = 1, 2  # the specification's urgencies
AS_THE_DESKTOP_LIKES = -1  # how long it stays
PATIENCE = 5.0  # seconds for an answer


class Desktop:
    """The desktop of whoever runs this. Raises PlatformError where there is none."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        try:
            self._bus = self._runner.run(_connected())
        except (OSError, TimeoutError, ValueError, DBusError, EOFError) as error:
            self._runner.close()
            raise PlatformError(
                f"the bus of a desktop session cannot be reached: {error}",
                action="Run it as yourself inside the session, or use --print.",
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bus.disconnect()
        self._runner.close()

    def show(self, title: str, body: str, *, urgent: bool) -> None:
        """One pop-up; an urgent one stays until it was seen."""
        hints = {"urgency": Variant("y", CRITICAL if urgent else NORMAL)}
        call = Message(
            destination=SERVICE,
            path=PATH,
            interface=SERVICE,
            member="Notify",
            signature="susssasa{sv}i",
            # Desktops may read markup in the body, none in the title.
            body=[
                "culvert",
                0,
                "network-vpn",
                title,
                escape(body),
                [],
                hints,
                AS_THE_DESKTOP_LIKES,
            ],
        )
        try:
            problem = self._runner.run(self._told(call))
        except (OSError, TimeoutError, EOFError) as error:
            problem = str(error) or "no answer"
        if problem:
            raise PlatformError(
                f"the desktop shows no notifications: {problem}",
                action="Start its notification service, or use --print.",
            )

    async def _told(self, call: Message) -> str:
        async with asyncio.timeout(PATIENCE):
            answer = await self._bus.call(call)
        if answer.message_type is not MessageType.ERROR:
            return ""
        return f"{answer.error_name} {answer.body}"


async def _connected() -> MessageBus:
    async with asyncio.timeout(PATIENCE):
        return await MessageBus(bus_type=BusType.SESSION).connect()
