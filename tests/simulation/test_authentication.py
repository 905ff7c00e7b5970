"""Every way to authenticate in each mode, over lines good and bad, and everything wrong with it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from culvert.cli.status import told
from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import QUICK, TRANSACTION
from culvert.ike.wire.message import parse_header
from culvert.secret import Secret
from culvert.session.session import State
from culvert.session.view import row
from simulation.certificates import (
    Paper,
    Vault,
    gateway_vault,
    person_paper,
    person_vault,
    trusting_stranger,
)
from simulation.ends import ClientEnd
from simulation.network import PERFECT, Faults
from simulation.world import GATEWAY, GROUP, GROUP_KEY, USERS, Terms, World, profile

NAME = USERS[0]
WAYS = ("psk", "xauth-psk", "rsa", "xauth-rsa", "hybrid")
MODES = ("main", "aggressive")
A_BAD_LINE = Faults(loss=0.2, duplication=0.1, reordering=0.1, delay=0.05, jitter=0.05)

OFFERED = Terms(authentication=WAYS, aggressive_certificates=True, main_mode=True)


def world_of(
    way: str,
    mode: str,
    *,
    seed: int = 1,
    faults: Faults = PERFECT,
    nat: bool = False,
    terms: Terms = OFFERED,
    gateway: Vault | None = None,
    client: Vault | None = None,
    **changes: Any,
) -> tuple[World, ClientEnd]:
    world = World(seed, terms, vault=gateway or gateway_vault(GATEWAY))
    kept = profile(authentication=way, exchange_mode=mode, **changes)
    end = world.client(
        kept,
        faults=faults,
        behind=world.nat if nat else None,
        vault=client or person_vault(NAME, GROUP),
    )
    return world, end


def gone(world: World) -> None:
    for client in world.clients:
        client.disconnect()
    world.run(300.0)
    assert world.left_over() == []


@pytest.mark.parametrize("nat", [False, True], ids=["direct", "nat"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_every_way_comes_up_in_every_mode(way: str, mode: str, *, nat: bool) -> None:
    world, client = world_of(way, mode, nat=nat)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert world.passes_both_ways(client)
        assert client.core.snapshot["method"] == way
        session = world.gateway.table.by_assigned(client.address)
        assert session is not None
        assert (session.state, session.method, session.group) == (State.UP, way, GROUP)
        assert session.user == (GROUP if way == "psk" else NAME)
        asked = bool(client.told("xauth.asked"))
        assert asked is (way not in ("psk", "rsa"))
        gone(world)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", WAYS)
def test_a_bad_line_only_delays(way: str, mode: str, seed: int) -> None:
    world, client = world_of(way, mode, seed=seed, faults=A_BAD_LINE, nat=True)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        if client.up:
            assert world.passes_both_ways(client)
        else:
            assert client.reason in ("no-answer", "lost-peer", "auth-silence")
        gone(world)


def test_a_certificate_profile_logs_in_or_not_as_the_gateway_wants_it() -> None:
    for wanted in ("rsa", "xauth-rsa"):
        terms = replace(OFFERED, authentication=(wanted,))
        world, client = world_of("certificate", "main", terms=terms)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert client.core.snapshot["method"] == wanted


@pytest.mark.parametrize(
    "way",
    [
        *(
            pytest.param(way, marks=pytest.mark.requirement("S1-73", part="pre-shared key"))
            for way in ("psk", "xauth-psk")
        ),
        pytest.param("rsa", marks=pytest.mark.requirement("S1-73", part="certificate")),
    ],
)
def test_a_key_or_a_certificate_lets_in_and_a_missing_key_is_asked_for(way: str) -> None:
    keyless: dict[str, Any] = {} if way == "rsa" else {"group_key": None}
    world, client = world_of(way, "main", **keyless)
    client.knows = lambda _: {"group-key": Secret(GROUP_KEY)}
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert world.passes_both_ways(client)
    asked = [want for order in client.asked for want in order.wants]
    assert ("group-key" in asked) is (way != "rsa")


def test_a_certificate_that_names_no_group_gets_that_of_all_others() -> None:
    terms = replace(OFFERED, certificate_group=GROUP)
    world, client = world_of("rsa", "main", terms=terms, client=person_vault(NAME, "elsewhere"))
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert world.gateway.table.by_assigned(client.address) is not None


# --- refused -----------------------------------------------------------------------------------


def refused(world: World, client: ClientEnd, at_client: str, at_gateway: str, word: str) -> None:
    """Both ends end, each for its reason, and the log of the end that refused has the cause."""
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        world.run(60.0)
        assert client.reason == at_client
        (attempt,) = world.gateway.core.refusals
        assert attempt.reason == at_gateway
        told = [
            *client.told("ike.certificate-refused"),
            *world.gateway.told("ike.certificate-refused"),
        ]
        assert any(word in str(event.fields["detail"]) for event in told), told
        assert world.left_over() == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["rsa", "xauth-rsa", "hybrid"])
def test_a_gateway_of_an_unknown_authority_is_refused(way: str, mode: str) -> None:
    client = trusting_stranger(person_vault(NAME, GROUP))
    refused(
        *world_of(way, mode, client=client),
        at_client="certificate-refused",
        at_gateway="certificate-disputed",
        word="does not lead to an authority that is trusted here",
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["rsa", "xauth-rsa"])
def test_a_caller_of_an_unknown_authority_is_refused(way: str, mode: str) -> None:
    gateway = trusting_stranger(gateway_vault(GATEWAY))
    refused(
        *world_of(way, mode, gateway=gateway),
        at_client="certificate-disputed",
        at_gateway="certificate-refused",
        word="does not lead to an authority that is trusted here",
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_expired_certificate_is_refused(mode: str) -> None:
    expired = replace(person_vault(NAME, GROUP), paper=person_paper(NAME, GROUP, expired=True))
    refused(
        *world_of("rsa", mode, client=expired),
        at_client="certificate-disputed",
        at_gateway="certificate-expired",
        word="Renew that certificate",
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["rsa", "hybrid"])
def test_a_gateway_with_a_certificate_for_another_name_is_refused(way: str, mode: str) -> None:
    refused(
        *world_of(way, mode, gateway=gateway_vault("other.example.com")),
        at_client="id-refused",
        at_gateway="certificate-disputed",
        word="other.example.com",
    )


@pytest.mark.parametrize("mode", MODES)
def test_somebody_elses_certificate_is_refused(mode: str) -> None:
    """The certificate of another person, without the key that belongs to it."""
    own, other = person_paper(NAME, GROUP), gateway_vault(GATEWAY).paper
    assert other is not None
    stolen = Paper(replace(own.holder, key=other.holder.key))
    refused(
        *world_of("rsa", mode, client=replace(person_vault(NAME, GROUP), paper=stolen)),
        at_client="certificate-disputed",
        at_gateway="certificate-refused",
        word="private key",
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_certificate_without_any_group_is_refused_naming_the_key(mode: str) -> None:
    refused(
        *world_of("rsa", mode, client=person_vault(NAME, "elsewhere")),
        at_client="certificate-disputed",
        at_gateway="group-mismatch",
        word="certificate_group",
    )


@pytest.mark.parametrize("mode", MODES)
def test_an_end_that_cannot_sign_says_so(mode: str) -> None:
    vault = replace(person_vault(NAME, GROUP), broken=True)
    world, client = world_of("rsa", mode, client=vault)
    client.connect()
    assert world.decided(client)
    assert client.reason == "no-certificate"
    assert client.told("ike.signature-missing")[0].fields["problem"] == "the key cannot be read"
    world.run(60.0)
    assert world.left_over() == []


@pytest.mark.parametrize("way", ["rsa", "hybrid"])
def test_certificates_are_not_answered_in_aggressive_mode_unless_enabled(way: str) -> None:
    world, client = world_of(
        way, "aggressive", terms=replace(OFFERED, aggressive_certificates=False)
    )
    client.connect()
    assert world.decided(client)
    assert client.reason == "proposal-refused"


def test_a_hybrid_caller_of_an_unknown_group_gets_no_further_than_one_with_a_wrong_password() -> (
    None
):
    for mode in MODES:
        world, client = world_of("hybrid", mode, group="no-such-group")
        client.connect()
        assert world.decided(client)
        assert client.reason == "auth-rejected"
        assert world.gateway.told("ike.group-unknown")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("end", ["client", "gateway"])
def test_the_next_attempt_with_the_right_authority_is_unharmed(end: str, mode: str) -> None:
    own, other = person_vault(NAME, GROUP), gateway_vault(GATEWAY)
    world, client = world_of(
        "rsa",
        mode,
        client=trusting_stranger(own) if end == "client" else own,
        gateway=trusting_stranger(other) if end == "gateway" else other,
    )
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.down
        client.vault, world.gateway.vault = own, other
        world.run(1.0)
        client.connect()
        assert world.run_until(lambda: client.up, within=2.0)
        assert world.passes_both_ways(client)
        gone(world)


@pytest.mark.requirement("S1-173")
@pytest.mark.parametrize("way", WAYS)
def test_aggressive_mode_carries_its_label_at_both_ends(way: str) -> None:
    for mode in MODES:
        world, client = world_of(way, mode)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        shown = client.core.snapshot
        (session,) = world.gateway.table
        listed = row(session, now=world.now)
        guessable = mode == "aggressive" and way in ("psk", "xauth-psk")
        for one in (shown, listed):
            assert one["exchange_mode"] == mode
            weak = one["weak"]
            assert isinstance(weak, list)
            assert ("aggressive-psk" in weak) is guessable
        words = told([{**shown, "name": "office"}])
        assert ("aggressive mode: both names went in clear" in words) is (mode == "aggressive")
        for end in (client, world.gateway):
            why = [str(event.fields["why"]) for event in end.told("ike.aggressive")]
            assert bool(why) is (mode == "aggressive")
            assert any("guess the group key offline" in one for one in why) is guessable


def begins(datagram: bytes) -> bool:
    """Whether it is a whole message or the first fragment of one."""
    header = parse_header(datagram)
    return header.next_payload != FRAGMENT or Fragment.parse(datagram, header).number == 1


@pytest.mark.parametrize("way", WAYS)
def test_phases_and_logins_follow_each_other_in_their_order(way: str) -> None:
    """Three or six messages of phase 1, then the login, then the address, then quick mode."""
    for mode, exchange, count in (("aggressive", 4, 3), ("main", 2, 6)):
        world, client = world_of(way, mode)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        seen = [
            parse_header(one.message).exchange
            for one in world.network.seen
            if one.message and begins(one.message)
        ]
        assert seen[:count] == [exchange] * count
        assert exchange not in seen[count:]
        first_quick = seen.index(QUICK)
        transactions = [at for at, kind in enumerate(seen) if kind == TRANSACTION]
        assert count <= min(transactions) <= max(transactions) < first_quick
        login = 4 if way not in ("psk", "rsa") else 0
        assert len(transactions) == login + 2
        assert seen[first_quick : first_quick + 3] == [QUICK] * 3
