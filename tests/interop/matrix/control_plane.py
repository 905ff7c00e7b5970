"""Runs as far as a control plane goes, with a peer whose kernel carries no data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread
from typing import Any

from interop.ours import OurClient, OurGateway, Program, Row, until
from interop.peers.libreswan import LibreswanClient, LibreswanGateway

PATIENCE = 10.0

Pluto = LibreswanClient | LibreswanGateway


@dataclass
class Told:
    """What an end of ours has written into its log since."""

    end: Program
    before: int

    @property
    def rows(self) -> list[Row]:
        return self.end.events()[self.before :]

    def all(self, code: str) -> list[dict[str, Any]]:
        """The fields of each event of this code."""
        return [row["fields"] for row in self.rows if row["code"] == code]

    def last(self, code: str) -> dict[str, Any]:
        """Waits for it."""
        self.wait_for(code)
        return self.all(code)[-1]

    def wait_for(self, code: str, *, seconds: float = PATIENCE) -> None:
        until(code, lambda: bool(self.all(code)), seconds=seconds)

    @property
    def attributes(self) -> dict[str, object]:
        """What was handed out, by name."""
        return {fields["name"]: fields["value"] for fields in self.all("config.attribute")}


def from_now(end: Program) -> Told:
    return Told(end, len(end.events()))


@dataclass
class Said:
    """What pluto has logged since."""

    peer: Pluto
    before: int

    @property
    def log(self) -> str:
        return self.peer.pluto.log[self.before :]

    def wait_for(self, words: str) -> None:
        until(f"libreswan says {words}", lambda: words in self.log, seconds=PATIENCE)


def logged(peer: Pluto) -> Said:
    """From now on."""
    return Said(peer, len(peer.pluto.log))


def logged_ever(peer: Pluto) -> Said:
    return Said(peer, 0)


@contextmanager
def dialling(
    client: OurClient, profile: Mapping[str, object], code: str = "quick.started"
) -> Iterator[Told]:
    """Our client has come so far, with ``profile`` laid over its own; it is stopped at the end,
    for it waits for data."""
    kept, client.profile = client.profile, {**client.profile, **profile}
    told = from_now(client)
    running = Thread(target=client.try_up)
    running.start()
    try:
        told.wait_for(code)
        yield told
    finally:
        client.down()
        running.join()
        client.profile = kept


@contextmanager
def dialled(
    gateway: OurGateway,
    caller: LibreswanClient,
    code: str = "config.sent",
    *,
    suite: str,
    mode: str,
    way: str = "xauth-psk",
    **settings: str,
) -> Iterator[Told]:
    """libreswan has come so far at our gateway; it hangs up at the end."""
    told = from_now(gateway)
    caller.dial(suite, mode, way, **settings)
    try:
        told.wait_for(code)
        yield told
    finally:
        caller.hang_up(mode)
