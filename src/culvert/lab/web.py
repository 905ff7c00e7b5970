"""The private web server's files, and fetching them from inside the lab octet by octet."""

from __future__ import annotations

import hashlib
import http.client
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PORT = 80
MEBI = 1 << 20
# Random, so that neither compression nor a sparse file can make a download look faster.
SIZES = {"1M.bin": MEBI, "100M.bin": 100 * MEBI}
INDEX = "hello from the private LAN\n"
CHUNK = 1 << 18
# Longest silence of the server within a download.
SILENCE = 20.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A finished download. ``identical``: every octet equals the server's file."""

    octets: int
    seconds: float
    sha256: str
    identical: bool

    @property
    def megabits_per_second(self) -> float:
        return self.octets * 8 / 1e6 / max(self.seconds, 1e-9)


def provide(folder: Path) -> None:
    """Make the files once; every lab of this machine serves the same."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(INDEX, "utf-8")
    for name, size in SIZES.items():
        place = folder / name
        if place.exists() and place.stat().st_size == size:
            continue
        # Written beside and moved: two labs may come up at the same time.
        beside = folder / f".{name}.{os.getpid()}"
        with beside.open("wb") as file:
            for _ in range(size // MEBI):
                file.write(secrets.token_bytes(MEBI))
        beside.replace(place)


def fetch(
    address: str,
    name: str,
    original: Path,
    *,
    silence: float = SILENCE,
    progress: Callable[[int], None] | None = None,
) -> Fetched:
    """Download ``name`` from the web server at ``address`` and compare it with ``original``.

    ``progress`` is told how many octets are there, again and again.
    """
    began = time.monotonic()
    connection = http.client.HTTPConnection(address, PORT, timeout=silence)
    try:
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        digest = hashlib.sha256()
        octets = 0
        same = answer.status == http.HTTPStatus.OK
        with answer, original.open("rb") as expected:
            while chunk := answer.read(CHUNK):
                digest.update(chunk)
                octets += len(chunk)
                same = same and chunk == expected.read(len(chunk))
                if progress is not None:
                    progress(octets)
            same = same and not expected.read(1)
    finally:
        connection.close()
    return Fetched(octets, time.monotonic() - began, digest.hexdigest(), same)
