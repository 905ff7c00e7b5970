"""Single questions by UDP, and their answers: DHCP through the tunnel."""

from __future__ import annotations

import asyncio
import socket

from culvert.effects import Inquire, Replied
from culvert.errors import PlatformError
from culvert.inet.dhcp import LONGEST


async def inquire(order: Inquire) -> Replied | None:
    """The first datagram that ``order.to`` sends back; None when none came in time.

    Raises PlatformError when it cannot be asked from ``order.source``.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as asking:
        # A question that is said again at the last moment of the one before it, whose socket is
        # still there.
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            asking.bind(order.source)
            asking.connect(order.to)
        except OSError as error:
            host, port = order.source
            raise PlatformError(
                f"{host} port {port} cannot be asked from: {(error.strerror or '').lower()}",
                action="End the program that has this UDP port (`ss -lunp`).",
            ) from error
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(order.patience):
                await loop.sock_sendall(asking, order.octets)
                return Replied(order.number, await loop.sock_recv(asking, LONGEST))
        except OSError:  # TimeoutError among them: what is refused is as good as silence
            return None
