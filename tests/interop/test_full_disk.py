"""The gateway's disk is full: who is in stays in, who comes is let in, and it is told."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from culvert.lab.lab import Lab
from interop.ours import PATIENCE, OurClient, OurGateway, until

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(180)]


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    """Its state is on a file system of its own, of three megabytes."""
    made = OurGateway(lab)
    made.state.mkdir(mode=0o700, exist_ok=True)
    on = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=700", "culvert-test", str(made.state)]
    subprocess.run(on, check=True)
    try:
        with made:
            yield made
    finally:
        subprocess.run(["umount", "--lazy", str(made.state)], check=True)


def fill(folder: Path) -> Path:
    """A file that takes all the room there is."""
    file = folder / "filling"
    with file.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return file


def test_sessions_go_on_and_begin_while_the_disk_is_full_and_the_count_is_kept_afterwards(
    lab: Lab, gateway: OurGateway
) -> None:
    with OurClient(lab, "client1") as first, OurClient(lab, "client2") as second:
        first.up()
        file = fill(gateway.state)
        for _ in range(3):
            second.up()
            second.culvert("down", "--all")
        second.up()
        until("both are in", lambda: len(gateway.sessions) == 2, seconds=PATIENCE)
        assert "gateway.worker-lost" not in gateway.said
        assert gateway.said.count("gateway.store-failed") == 1
        told = gateway.culvert("gateway", "status").out
        assert "its file system is full" in told, told
        assert gateway.culvert("gateway", "status", "--json").document["store_unwritten"] > 0
        file.unlink()
        until(
            "it is written again",
            lambda: "gateway.store-works" in gateway.said,
            seconds=PATIENCE + 10,
        )
        shown = gateway.culvert("gateway", "status", "--json").document
        assert (shown["store_problem"], shown["store_unwritten"]) == ("", 0)
        assert len(gateway.sessions) == 2
