"""The vault: a process of its own that holds group keys, password hashes and private keys, and
gives none of them away (docs/reference/processes.md).

    monitor ── Judge, Sign ──> vault <── SKEYID ── worker
            <── yes or no, a signature, events ──
            <── who is this user? ──   (users that are added while it runs)

It reads the configuration at its start, like anybody would; then it is confined as the worker is,
but for threads, which hash passwords.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from datetime import timedelta
from pathlib import Path

from culvert.driver.channel import Channel, Message
from culvert.driver.clock import boottime
from culvert.driver.confine import confine
from culvert.driver.confined import leave_signals_to_the_monitor
from culvert.driver.journal import local_time
from culvert.driver.keys_door import KeysDoor
from culvert.driver.message import MessageError
from culvert.effects import Judge, Judged, Sign
from culvert.eventlog.event import LogEvent
from culvert.gateway import people
from culvert.gateway.accounts_door import AskedAccounts
from culvert.gateway.config import load
from culvert.rng import SystemRandom
from culvert.tables import loader
from culvert.vault.signing import SigningKeys

DOORS_AT_ONCE = 4
"""Descriptors in one message of the monitor's; it sends one at a time."""


class Vault:
    """On the running loop. ``doors``: where the monitor sends the lines to workers."""

    def __init__(self, path: str, doors: socket.socket, accounts: socket.socket) -> None:
        began = local_time(), boottime()
        config = load(Path(path).read_text("utf-8"), path)
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._doors = doors
        self._channel = Channel(self._heard, lambda _: self._ended.set())
        self._judge = people.judge(
            config,
            AskedAccounts(accounts),
            self._said,
            # The machine's own zone, which cannot be looked up any more.
            wall=lambda: began[0] + timedelta(seconds=boottime() - began[1]),
        )
        made = config.trust.credential
        self._signing = SigningKeys({made.own.key: made.key} if made else {})
        self._keys = KeysDoor(people.group_keys(config, SystemRandom()).skeyid, boottime)
        self._waiting: dict[int, int] = {}

    async def live(self, control: socket.socket, empty: str, hook: Callable[[], None]) -> None:
        await self._channel.open(control)
        self._loop.add_reader(self._doors, self._door)
        loader.read_all("texts")
        missing = confine(Path(empty), threads=True)
        self._channel.say({"ready": missing})
        hook()
        await self._ended.wait()

    def _door(self) -> None:
        """The line to a worker, which may ask for SKEYID there."""
        _, descriptors, _, _ = socket.recv_fds(self._doors, 1, DOORS_AT_ONCE)
        if not descriptors:
            self._ended.set()
        for one in descriptors:
            self._keys.serve(socket.socket(fileno=one))

    def _heard(self, message: Message) -> None:
        match message:
            case {"order": Judge() as order, "number": int(number)}:
                # The tickets are the worker's; numbers are the monitor's, and each comes once.
                self._waiting[order.ticket] = number
                self._judge.judge(order)
            case {"order": Sign() as order, "number": int(number)}:
                self._channel.say({"answers": number, "answer": self._signing.sign(order)})
            case _:
                raise MessageError("the vault was asked for what it does not give")

    def _said(self, judged: Judged, event: LogEvent) -> None:
        """Called from a hashing thread."""
        self._loop.call_soon_threadsafe(self._judged, judged, event)

    def _judged(self, judged: Judged, event: LogEvent) -> None:
        self._channel.say({"event": event})
        number = self._waiting.pop(judged.ticket, None)
        if number is not None:
            self._channel.say({"answers": number, "answer": judged})


def main(words: list[str] | None = None, hook: Callable[[], None] = lambda: None) -> None:
    """Entry of the process; the monitor alone starts it. ``hook`` runs in it, confined: for tests
    of what is left possible."""
    parser = argparse.ArgumentParser()
    for name in ("control", "doors", "accounts"):
        parser.add_argument(name, type=int)
    for name in ("path", "empty"):
        parser.add_argument(name)
    given = parser.parse_args(words)
    leave_signals_to_the_monitor()
    control, doors, accounts = (
        socket.socket(fileno=one) for one in (given.control, given.doors, given.accounts)
    )

    async def lived() -> None:
        await Vault(given.path, doors, accounts).live(control, given.empty, hook)

    run(lived())


def run(work: Coroutine[object, object, None]) -> None:
    asyncio.run(work)
    sys.exit(0)


if __name__ == "__main__":
    main()
