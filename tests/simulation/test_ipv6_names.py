"""A gateway whose name has IPv6 addresses only: said so, for they are not called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulation.world import World

if TYPE_CHECKING:
    import pytest


def test_a_name_with_ipv6_addresses_only_is_told_as_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(11)
    client = world.client(behind=world.nat)
    monkeypatch.setattr(client, "_gateway", "2001:db8::50")
    client.connect()
    world.decided(client)
    assert client.reason == "resolve-failed"
    (told,) = client.told("client.resolve-failed")
    assert told.fields["problem"] == (
        "it has IPv6 addresses only, and gateways are called over IPv4"
    )
