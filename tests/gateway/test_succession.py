"""Monitor to monitor: what a process that is to follow may say."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, cast

import pytest

from culvert.driver.message import MessageError
from culvert.gateway.succession import Heir


@pytest.mark.parametrize("said", [b"", b"{", b"[]", b"\xff", b"[" * 100_000])
def test_words_that_make_no_sense_are_an_heir_that_failed(said: bytes) -> None:
    async def heard() -> object:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours, theirs:
            ours.setblocking(False)
            theirs.send(said)
            return await Heir(cast("Any", None), ours).hear(5.0)

    with pytest.raises(MessageError):
        asyncio.run(heard())
