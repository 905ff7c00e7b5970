"""Connections that are refused, in virtual time: the other end's word, and nobody's network."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from culvert.secret import Secret
from faults.provoked import Provoked, over, provokes
from identity.certificates.authority import DAY, NOW, middle, root
from simulation.certificates import (
    Vault,
    gateway_vault,
    person_paper,
    person_vault,
    trusting_stranger,
)
from simulation.ends import ClientEnd
from simulation.test_sites import FAR, KEY, Pair
from simulation.world import GATEWAY, GROUP, LAN, PASSWORD, USERS, Terms, World, profile
from vault.test_certificate_judge import revocation_list

SEED = 4
GIVEN_UP = 60.0
"""Seconds after which a gateway no longer waits for one who went silent."""

USER = USERS[0]
RSA = Terms(authentication=("rsa",), aggressive_certificates=True, main_mode=True)


def ended(world: World, client: ClientEnd) -> Provoked:
    began = world.now
    client.connect()
    if not world.decided(client) or not client.down:
        raise AssertionError("it was to be refused")
    took = world.now - began
    world.run(GIVEN_UP)
    counters = {
        "messages the client sent": len(client.sent),
        "messages the gateway sent": len(world.gateway.sent),
        "milliseconds until the client's end": round(took * 1000),
    }
    return over(world, client, **counters)


def by_profile(terms: Terms | None = None, **changes: Any) -> Provoked:
    world = World(SEED, terms)
    return ended(world, world.client(profile(**changes), behind=world.nat))


@provokes("wrong-group-key")
def wrong_group_key() -> Provoked:
    return by_profile(group_key=Secret("another key than the gateway's"))


@provokes("wrong-group")
def wrong_group() -> Provoked:
    return by_profile(group="no-such-group")


@provokes("wrong-group-key-main")
def wrong_group_key_main() -> Provoked:
    return by_profile(
        Terms(main_mode=True),
        exchange_mode="main",
        group_key=Secret("another key than the gateway's"),
    )


def login(user: str, password: str, *, before: int = 0, terms: Terms | None = None) -> Provoked:
    """``before``: wrong passwords that were tried earlier."""
    world = World(SEED, terms)
    client = world.client(person=(user, "a guess"), behind=world.nat)
    for _ in range(before):
        client.connect()
        world.decided(client)
        world.run(1.0)
    client.person = (user, password)
    return ended(world, client)


@provokes("wrong-password")
def wrong_password() -> Provoked:
    return login(USER, "not the password")


@provokes("unknown-user")
def unknown_user() -> Provoked:
    return login("nobody", PASSWORD)


@provokes("locked-account")
def locked_account() -> Provoked:
    return login(USER, PASSWORD, before=2, terms=Terms(tries=2))


@provokes("phase-1-refused")
def phase_1_refused() -> Provoked:
    return by_profile(phase1=("aes256-sha2_512-modp2048",))


@provokes("phase-2-refused")
def phase_2_refused() -> Provoked:
    return by_profile(phase2=("aes256-sha2_512",))


@provokes("phase-2-networks")
def phase_2_networks() -> Provoked:
    world = Pair(far_calls=False)
    far = world.far.link
    if far is None:
        raise AssertionError("the other gateway is joined to no network")
    world.network.move(far, "198.51.100.201", None)
    client = world.client(
        profile(
            authentication="psk",
            exchange_mode="main",
            group="",
            group_key=Secret(KEY),
            topology="site",
            provisioning="off",
            local_networks=("10.99.0.0/24",),
            remote_networks=(LAN,),
        )
    )
    if client.link is None:
        raise AssertionError("the client is joined to no network")
    world.network.move(client.link, FAR, None)
    return ended(world, client)


@provokes("phase-2-pfs")
def phase_2_pfs() -> Provoked:
    return by_profile(pfs="modp2048")


@provokes("no-address")
def no_address() -> Provoked:
    world = World(SEED, Terms(addresses=1))
    occupant = world.client(person=("occupant", PASSWORD))
    occupant.connect()
    world.decided(occupant)
    return ended(world, world.client(person=(USER, PASSWORD), behind=world.nat))


def certified(
    gateway: Vault | None = None, client: Vault | None = None, mode: str = "main", **changes: Any
) -> Provoked:
    world = World(SEED, RSA, vault=gateway or gateway_vault(GATEWAY))
    kept = profile(authentication="rsa", exchange_mode=mode, **changes)
    return ended(world, world.client(kept, vault=client or person_vault(USER, GROUP)))


@provokes("certificate-authority")
def certificate_authority() -> Provoked:
    return certified(client=trusting_stranger(person_vault(USER, GROUP)))


@provokes("certificate-authority-caller")
def certificate_authority_caller() -> Provoked:
    return certified(gateway=trusting_stranger(gateway_vault(GATEWAY)))


@provokes("certificate-name")
def certificate_name() -> Provoked:
    return certified(gateway=gateway_vault("other.example.com"))


@provokes("certificate-expired")
def certificate_expired() -> Provoked:
    vault = person_vault(USER, GROUP)
    return certified(client=replace(vault, paper=person_paper(USER, GROUP, expired=True)))


@provokes("certificate-revoked")
def certificate_revoked() -> Provoked:
    paper = person_paper(USER, GROUP)
    serial = paper.holder.certificate.parsed.serial_number
    lists = (revocation_list(middle(), {serial: NOW - DAY}), revocation_list(root(), {}))
    return certified(gateway=replace(gateway_vault(GATEWAY), lists=lists))
