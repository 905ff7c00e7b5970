"""What each end learns of a refusal: the gateway the exact cause, the client what it may know.

The client hears one text and one timing for a wrong user and a wrong password, and one for an
unknown group and a wrong group key; policy speaks only after the login was right; and whatever went
wrong, the next attempt is unharmed.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from culvert.secret import Secret
from culvert.session.ending import ending
from simulation.cases import REFUSED, Outcome
from simulation.ends import ClientEnd
from simulation.world import GATEWAY, PASSWORD, USERS, Terms, World, profile

SEED = 1
USER = USERS[0]
NOBODY = "vpnclientX"  # as long as a real user's name
WRONG = "not the password!!"  # as long as the right one

TERMS = {
    Outcome.NO_ADDRESS: Terms(addresses=1),
    Outcome.SESSION_LIMIT: Terms(session_limit=1),
    Outcome.DUPLICATE_LIMIT: Terms(max_logins=1),
    Outcome.OUTSIDE_HOURS: Terms(hours="mon-fri 08:00-18:00"),
}
POLICY = tuple(TERMS)


def refused(world: World, client: ClientEnd) -> None:
    client.connect()
    assert world.decided(client)
    assert client.down
    world.run(60.0)  # the gateway waits longer for a proof that does not come


def heard(world: World, client: ClientEnd) -> list[tuple[float, int]]:
    """When the client heard how many octets: all that a listener or the client can measure."""
    return [
        (round(at, 6), len(seen.octets))
        for seen in world.network.seen
        if seen.source[0] == GATEWAY
        for at, name in seen.arrivals
        if name == client.name
    ]


def words(client: ClientEnd) -> object:
    """What the person reads."""
    return client.told("client.down")[-1].fields["words"], client.reason


def by_login(user: str, password: str, terms: Terms | None = None) -> tuple[World, ClientEnd]:
    world = World(SEED, terms)
    client = world.client(person=(user, password), behind=world.nat)
    refused(world, client)
    return world, client


def by_group(group: str, key: str) -> tuple[World, ClientEnd]:
    world = World(SEED)
    kept = profile(group=group, group_key=Secret(key))
    client = world.client(kept, behind=world.nat)
    refused(world, client)
    return world, client


def test_wrong_user_and_wrong_password_are_one_to_the_client() -> None:
    one, stranger = by_login(NOBODY, PASSWORD)
    other, forgetful = by_login(USER, WRONG)
    assert heard(one, stranger) == heard(other, forgetful)
    assert words(stranger) == words(forgetful)
    assert len(heard(one, stranger)) >= 3
    assert stranger.told("xauth.rejected")[0].fields["reason"] == "the gateway said no"


def test_wrong_user_and_wrong_password_are_two_to_the_gateway() -> None:
    for user, password, cause in (
        (NOBODY, PASSWORD, "unknown-user"),
        (USER, WRONG, "wrong-password"),
    ):
        world, _ = by_login(user, password)
        assert world.gateway.told(f"auth.{cause}")[0].fields["user"] == user
        assert world.gateway.told("xauth.rejected")[0].fields["reason"] == cause
        row = world.gateway.core.refusals[-1]
        assert (row.user, row.reason, row.cause) == (user, "auth-rejected", cause)


def test_a_locked_user_hears_the_same_as_one_with_a_wrong_password() -> None:
    terms = Terms(tries=1)
    world, client = by_login(USER, WRONG, terms)
    before = len(heard(world, client))
    began = world.now
    client.person = (USER, PASSWORD)
    refused(world, client)
    first = heard(world, client)[:before]
    second = [(round(at - began, 6), size) for at, size in heard(world, client)[before:]]
    assert second == first
    assert client.reason == "auth-rejected"
    assert world.gateway.core.refusals[-1].cause == "locked"


def test_unknown_group_and_wrong_key_are_one_to_the_client() -> None:
    one, stranger = by_group("ciscovpX", "a-long-group-key-of-the-lab")
    other, forgetful = by_group("ciscovpn", "a-long-group-key-of-the-laX")
    assert heard(one, stranger) == heard(other, forgetful)
    assert words(stranger) == words(forgetful)
    assert stranger.reason == "group-mismatch"


@pytest.mark.parametrize(
    ("group", "key", "cause"),
    [
        ("ciscovpX", "a-long-group-key-of-the-lab", "there is no group ciscovpX"),
        (
            "ciscovpn",
            "a-long-group-key-of-the-laX",
            "the caller's key is not that of group ciscovpn",
        ),
    ],
)
def test_what_is_wrong_with_the_group_is_listed_as_soon_as_the_client_is_told(
    group: str, key: str, cause: str
) -> None:
    world = World(1)
    client = world.client(profile(group=group, group_key=Secret(key)), behind=world.nat)
    client.connect()
    assert world.decided(client)
    world.run(1.0)
    assert world.gateway.core.half_open, "it is not given up yet"
    for _ in range(2):
        (row,) = world.gateway.core.refusals
        assert (row.group, row.reason, row.cause) == (group, "group-mismatch", cause)
        world.run(40.0)
    assert not world.gateway.core.half_open


def test_unknown_group_and_wrong_key_are_two_to_the_gateway() -> None:
    world, _ = by_group("ciscovpX", "a-long-group-key-of-the-lab")
    assert "ciscovpX" in str(world.gateway.told("ike.group-unknown")[0].fields["group"])
    assert world.gateway.told("ike.group-key-mismatch") == []
    row = world.gateway.core.refusals[-1]
    assert (row.reason, "there is no group" in row.cause) == ("group-mismatch", True)
    assert "ciscovpX" in row.cause

    world, _ = by_group("ciscovpn", "a-long-group-key-of-the-laX")
    assert world.gateway.told("ike.group-unknown") == []
    assert world.gateway.told("ike.group-key-mismatch")[0].fields["group"] == "ciscovpn"
    row = world.gateway.core.refusals[-1]
    assert (row.reason, row.cause) == (
        "group-mismatch",
        "the caller's key is not that of group ciscovpn",
    )


def test_the_same_unknown_group_gets_an_answer_of_the_same_form_each_time() -> None:
    """A decoy that changed from call to call would tell that it is one."""
    world = World(SEED)
    kept = profile(group="no-such-group")
    client = world.client(kept)
    refused(world, client)
    first = heard(world, client)
    began = world.now
    refused(world, client)
    second = [(round(at - began, 6), size) for at, size in heard(world, client)[len(first) :]]
    assert second == first


def crowded(outcome: Outcome) -> World:
    """A gateway that has no room, or is closed."""
    world = World(SEED, TERMS[outcome])
    if outcome is not Outcome.OUTSIDE_HOURS:
        user = USER if outcome is Outcome.DUPLICATE_LIMIT else "occupant"
        occupant = world.client(person=(user, PASSWORD))
        occupant.connect()
        assert world.decided(occupant)
        assert occupant.up
    return world


@pytest.mark.parametrize("outcome", POLICY)
def test_policy_is_told_exactly_once_the_login_was_right(outcome: Outcome) -> None:
    expected = REFUSED[outcome]
    world = crowded(outcome)
    client = world.client(person=(USER, PASSWORD), behind=world.nat)
    refused(world, client)
    assert client.reason == expected.client
    text = " ".join(map(str, client.told("client.down")[-1].fields["words"]))  # type: ignore[arg-type]
    assert ending(expected.client).sentence in text
    assert "xauth.accepted" in client.codes()
    row = world.gateway.core.refusals[-1]
    assert (row.user, row.reason) == (USER, expected.gateway)
    assert expected.cause in row.cause
    assert world.gateway.told(expected.event)


@pytest.mark.parametrize("outcome", POLICY)
@pytest.mark.parametrize(("user", "password"), [(NOBODY, PASSWORD), (USER, WRONG)])
def test_policy_is_not_told_to_who_cannot_log_in(
    outcome: Outcome, user: str, password: str
) -> None:
    world = crowded(outcome)
    client = world.client(person=(user, password), behind=world.nat)
    refused(world, client)
    assert client.reason == "auth-rejected"
    plain, other = by_login(user, password)
    first = len(heard(world, client))
    assert [size for _, size in heard(world, client)] == [size for _, size in heard(plain, other)]
    assert first > 0


CERTIFIED = (Outcome.UNTRUSTED_GATEWAY, Outcome.UNTRUSTED_CALLER)
"""Of these in test_authentication."""


@pytest.mark.parametrize("outcome", [one for one in REFUSED if one not in CERTIFIED])
def test_the_next_attempt_is_unharmed(outcome: Outcome) -> None:
    world = crowded(outcome) if outcome in POLICY else World(SEED)
    right = profile()
    wrong, person = right, (USER, PASSWORD)
    match outcome:
        case Outcome.WRONG_GROUP:
            wrong = replace(right, group="no-such-group")
        case Outcome.WRONG_KEY:
            wrong = replace(right, group_key=Secret("another key than the gateway's"))
        case Outcome.WRONG_USER:
            person = (NOBODY, PASSWORD)
        case Outcome.WRONG_PASSWORD:
            person = (USER, WRONG)
        case Outcome.PHASE1_DIFFERS:
            wrong = replace(right, phase1=("aes256-sha2_512-modp2048",))
        case Outcome.PHASE2_DIFFERS:
            wrong = replace(right, phase2=("aes256-sha2_512",))
        case _:
            pass
    client = world.client(wrong, person=person, behind=world.nat)
    refused(world, client)
    assert client.reason == REFUSED[outcome].client
    for other in world.clients[:-1]:
        other.disconnect()
    if outcome is Outcome.OUTSIDE_HOURS:
        world.run(13 * 3600.0)  # Monday morning
    client.profile, client.person = right, (USER, PASSWORD)
    client.reboot()
    client.connect()
    assert world.decided(client, within=2.0)
    assert client.up, client.reason
    assert world.passes_both_ways(client)
    client.disconnect()
    world.run(300.0)
    assert world.left_over() == []
