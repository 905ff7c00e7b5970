"""The gateway's disk is full: who is in stays in, who comes is let in, and it is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab.lab import Lab
from interop.ours import PATIENCE, OurClient, OurGateway, until
from small_disk import fill, mounted

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(180)]


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    """Its state is on a file system of its own, of three megabytes."""
    made = OurGateway(lab)
    with mounted(made.state, 3), made:
        yield made


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
