"""Host to host: this machine and the gateway itself, in tunnel and transport mode."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.gateway.config import InvalidConfig, load
from culvert.secret import Secret
from simulation.ends import ClientEnd
from simulation.world import GATEWAY, PAT, Terms, World, packet, profile

KEY = "a key for two hosts only"
OUTER = "198.51.100.2"
MODES = pytest.mark.parametrize("transport", [False, True], ids=["tunnel", "transport"])
PLACES = pytest.mark.parametrize("behind", [False, True], ids=["public", "behind a NAT"])


def site(peer: str, *, transport: bool, far: str = "") -> str:
    return f"""
[[site]]
name = "host"
peer = "{peer}"
key = "{KEY}"
local_networks = ["{GATEWAY}/32"]
remote_networks = ["{far or peer}/32"]
transport_mode = {str(transport).lower()}
"""


def joined(
    *, transport: bool, behind: bool, theirs: bool | None = None, **changes: Any
) -> tuple[World, ClientEnd]:
    world = World(7)
    inside = "10.10.10.2"
    far = inside if behind and not transport else ""
    at_gateway = transport if theirs is None else theirs
    said = site(PAT if behind else OUTER, transport=at_gateway, far=far)
    world.gateway.config = load(Terms().toml + said, "gateway.toml")
    world.gateway.reboot()
    values: dict[str, Any] = {
        "authentication": "psk",
        "exchange_mode": "main",
        "group": "",
        "group_key": Secret(KEY),
        "topology": "host",
        "provisioning": "off",
        "transport_mode": transport,
        "remote_networks": ("0.0.0.0/0",),
        **changes,
    }
    client = world.client(profile(**values), behind=world.nat if behind else None)
    client.connect()
    assert world.decided(client)
    world.run(1.0)
    return world, client


@MODES
@PLACES
@pytest.mark.requirement("S1-71", part="host to host")
def test_two_hosts_talk_under_their_own_addresses(transport: bool, behind: bool) -> None:
    world, client = joined(transport=transport, behind=behind)
    with world.shown_if_wrong():
        assert client.up, client.reason
        own = "10.10.10.2" if behind else OUTER
        seen = PAT if behind and transport else own
        there, back = packet(own, GATEWAY, 1), packet(GATEWAY, seen, 2)
        client.carry(there)
        world.gateway.carry(back)
        world.run(1.0)
        assert len(world.gateway.inside) == len(client.inside) == 1
        assert world.gateway.inside[0][-4:] == there[-4:]
        assert client.inside[0][-4:] == back[-4:]
        assert world.gateway.inside[0][12:16] == bytes(map(int, seen.split(".")))
        assert client.inside[0][16:20] == bytes(map(int, own.split(".")))


def test_transport_mode_saves_a_header() -> None:
    sizes: list[int] = []
    for transport in (False, True):
        _, client = joined(transport=transport, behind=False)
        before = len(client.sent)
        client.carry(packet(OUTER, GATEWAY, 1))
        sizes.append(len(client.sent[before][1]))
    assert 16 <= sizes[0] - sizes[1] <= 32


@pytest.mark.parametrize("transport", [False, True])
def test_ends_that_want_different_modes_refuse_and_name_both(transport: bool) -> None:
    world, client = joined(transport=transport, behind=False, theirs=not transport)
    with world.shown_if_wrong():
        assert client.down
        assert client.reason == "phase2-refused"
        (told,) = world.gateway.told("ike.proposal-refused")[:1]
        wanted = "transport" if transport else "tunnel"
        assert f"encapsulation {wanted}" in str(told.fields["remote"])


def test_keys_are_renewed_in_transport_mode_too() -> None:
    world, client = joined(transport=True, behind=True, phase2_lifetime=300)
    with world.shown_if_wrong():
        for number in range(5):
            world.run(200.0)
            before = len(world.gateway.inside)
            client.carry(packet("10.10.10.2", GATEWAY, number))
            world.run(1.0)
            assert len(world.gateway.inside) == before + 1
        assert len(client.told("quick.established")) > 3


@pytest.mark.requirement("S1-178", part="gateway")
def test_a_gateway_refuses_transport_mode_with_networks_with_the_reason() -> None:
    wrong = site(OUTER, transport=True).replace(f"{GATEWAY}/32", "192.168.2.0/24")
    with pytest.raises(InvalidConfig, match="does not go with networks"):
        load(Terms().toml + wrong, "gateway.toml")
