"""Who the ends say they are in phase 1: every type of identifier, and the gateway's verified."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from culvert.errors import ConfigError
from culvert.identity.certificates.names import identity_from
from culvert.ike.identified import with_kind
from culvert.profile.profile import InvalidProfile
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import ClientEnd
from simulation.judged import verdicts
from simulation.meddler import ike_sa
from simulation.world import GATEWAY, GROUP, USERS, Terms, World, profile

OURS = "198.51.100.2"  # of the first client
TYPES = {
    "198.51.100.77": (1, bytes((198, 51, 100, 77))),
    "pc.example.org": (2, b"pc.example.org"),
    "ann@example.org": (3, b"ann@example.org"),
    "10.1.0.0/16": (4, bytes((10, 1, 0, 0, 255, 255, 0, 0))),
    "@ciscovpn": (11, b"ciscovpn"),
    "CN=Ann,O=Acme": (9, identity_from("CN=Ann,O=Acme").data),
    "%address": (1, bytes((198, 51, 100, 2))),
}
"""What is written in a profile → type and value on the wire (RFC 2407 §4.6.2.1)."""


def called(terms: Terms, **changes: Any) -> tuple[World, ClientEnd]:
    world = World(1, terms)
    client = world.client(profile(**changes))
    client.connect()
    assert world.decided(client)
    return world, client


def told_to(world: World) -> tuple[int, bytes]:
    """The identity that the gateway has of its caller."""
    identity = ike_sa(world.gateway).phase1.identity
    assert identity is not None
    return identity.kind, identity.data


@pytest.mark.requirement("S1-76", part="every type of local identifier")
@pytest.mark.parametrize("written", TYPES)
def test_a_local_identifier_of_each_type_is_what_the_gateway_hears(written: str) -> None:
    world, client = called(Terms(main_mode=True), exchange_mode="main", local_id=written)
    assert client.up, client.reason
    assert told_to(world) == TYPES[written]


@pytest.mark.parametrize("written", [f"@{GROUP}", GROUP])
def test_in_aggressive_mode_the_identifier_names_the_group(written: str) -> None:
    world, client = called(Terms(), group="another", local_id=written)
    assert client.up, client.reason
    assert told_to(world) == (11 if written.startswith("@") else 2, GROUP.encode())


def test_from_certificate_is_the_name_in_it() -> None:
    vault = person_vault(USERS[0], GROUP)
    terms = Terms(authentication=("rsa",))
    world = World(1, terms, vault=gateway_vault(GATEWAY))
    kept = profile(authentication="rsa", exchange_mode="main", local_id="%certificate")
    client = world.client(kept, vault=vault)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert vault.paper is not None
    assert told_to(world) == (9, vault.paper.identity.data)


def test_without_a_local_identifier_it_is_the_group_or_the_address() -> None:
    world, client = called(Terms())
    assert client.up
    assert told_to(world) == (11, GROUP.encode())
    world, client = called(Terms(main_mode=True), exchange_mode="main")
    assert client.up
    assert told_to(world) == TYPES["%address"]


GATEWAYS = {"gw.example.com": "gw.example.com", "gw@example.com": "gw@example.com", "": GATEWAY}
"""What a gateway is told to be called, and how a profile writes that."""


@pytest.mark.requirement("S1-76")
@pytest.mark.parametrize("mode", ["main", "aggressive"])
@pytest.mark.parametrize("identity", GATEWAYS)
def test_the_gateways_identifier_is_verified(mode: str, identity: str) -> None:
    terms = Terms(main_mode=True, identity=identity)
    right, wrong = GATEWAYS[identity], "@somebody-else"
    _, client = called(terms, exchange_mode=mode, remote_id=right)
    assert client.up, client.reason
    assert not client.told("ike.identity-differs")

    world, client = called(terms, exchange_mode=mode, remote_id=wrong)
    assert client.down
    assert client.reason == "id-refused"
    (refused,) = client.told("ike.identity-refused")
    claimed, expected = with_kind(identity_from(right)), "key id somebody-else"
    assert (refused.fields["claimed"], refused.fields["expected"]) == (claimed, expected)
    assert not world.gateway.told("session.started")
    said, _ = verdicts(world, client)
    assert said.id == "p1.id-mismatch"
    assert claimed in said.why
    assert expected in said.why

    _, client = called(terms, exchange_mode=mode, remote_id=wrong, verify_remote_id=False)
    assert client.up, client.reason
    (warned,) = client.told("ike.identity-differs")
    assert (warned.fields["claimed"], warned.fields["expected"]) == (claimed, expected)


def test_the_address_that_is_called_can_be_demanded() -> None:
    _, client = called(Terms(), remote_id="%address")
    assert client.up
    _, client = called(Terms(identity="gw.example.com"), remote_id="%address")
    assert client.reason == "id-refused"


@pytest.mark.parametrize(
    ("key", "written", "says"),
    [
        ("local_id", "%any", "only %address and %certificate"),
        ("local_id", "%certificate", "with a certificate"),
        ("local_id", "%address", 'exchange_mode = "main"'),
        ("local_id", "10.1.2.3/16", "host bits"),
        ("remote_id", "CN=,,", "no name such as"),
        ("remote_id", "%certificate", "only %address"),
    ],
)
def test_an_identifier_that_cannot_be_is_refused_in_the_profile(
    key: str, written: str, says: str
) -> None:
    with pytest.raises(InvalidProfile, match=says) as caught:
        replace(profile(), **{key: written})
    assert isinstance(caught.value, ConfigError)
