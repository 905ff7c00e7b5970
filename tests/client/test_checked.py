"""What a worker may have done in the service's name, and what not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from culvert.client.checked import MOST_OTHERS, Known, elsewhere, objection
from culvert.effects import ConfigureMachine, OpenStream, Resolve, RestoreMachine, TunnelSettings
from culvert.profile.profile import Profile

GATEWAY, BACKUP, STRANGER = "192.0.2.1", "192.0.2.2", "203.0.113.66"
PROFILE = Profile(
    "office", "gw.example.org", group="sales", topology="everywhere", legacy=("aggressive-psk",)
)
SETTINGS = TunnelSettings(
    connection="office",
    address="10.77.0.2",
    prefix_length=32,
    mtu=1400,
    routes=("0.0.0.0/0",),
    excluded=(),
    dns_servers=(),
    search_domains=(),
    split_domains=(),
    gateway=GATEWAY,
    closed=True,
)
FOUND = Known({PROFILE.host: (GATEWAY,)})


def set_up(gateway: str, known: Known, *, closed: bool = True) -> str:
    settings = replace(SETTINGS, gateway=gateway, closed=closed)
    return objection(ConfigureMachine(1, settings), PROFILE, known)


def test_the_gateway_is_at_an_address_that_a_name_was_found_to_have() -> None:
    assert not set_up(GATEWAY, FOUND)
    assert set_up(STRANGER, FOUND)
    assert set_up(GATEWAY, Known({}))


def test_another_gateway_that_was_handed_out_is_known_by_its_look_up() -> None:
    assert set_up(BACKUP, FOUND)
    assert not set_up(BACKUP, Known({**FOUND.found, "backup.example.org": (BACKUP,)}))


def test_a_gateway_moves_only_from_where_it_stood_and_to_be_told() -> None:
    standing = replace(FOUND, standing=SETTINGS)
    assert not set_up(STRANGER, standing)
    assert elsewhere(replace(SETTINGS, gateway=STRANGER), PROFILE, standing)


def test_nothing_is_told_of_a_gateway_that_is_where_its_name_says_or_where_it_was() -> None:
    moved = replace(FOUND, standing=replace(SETTINGS, gateway=STRANGER))
    assert not elsewhere(SETTINGS, PROFILE, FOUND)
    assert not elsewhere(replace(SETTINGS, gateway=STRANGER), PROFILE, moved)


def test_a_name_that_the_profile_does_not_have_is_told_when_packets_go_there() -> None:
    known = Known({**FOUND.found, "backup.example.org": (BACKUP,)})
    assert elsewhere(replace(SETTINGS, gateway=BACKUP), PROFILE, known)


def test_what_is_to_stay_closed_is_not_set_up_open() -> None:
    assert set_up(GATEWAY, FOUND, closed=False)


@pytest.mark.parametrize(
    ("known", "profile", "may"),
    [
        (FOUND, PROFILE, False),
        (replace(FOUND, standing=SETTINGS), PROFILE, False),
        (replace(FOUND, leaving=True), PROFILE, True),
        (replace(FOUND, down=True), PROFILE, True),
        (FOUND, replace(PROFILE, fail_closed=False), True),
    ],
)
def test_what_stays_closed_is_opened_by_an_end_alone(
    known: Known, profile: Profile, *, may: bool
) -> None:
    assert (objection(RestoreMachine("office"), profile, known) == "") is may


def test_names_beyond_the_profiles_are_looked_up_so_often_and_no_more() -> None:
    names = [f"gw{number}.example.org" for number in range(MOST_OTHERS)]
    full = Known(dict.fromkeys(names, (BACKUP,)))
    assert objection(Resolve(1, "one.more.example.org"), PROFILE, full)
    assert not objection(Resolve(1, names[0]), PROFILE, full)
    assert not objection(Resolve(1, PROFILE.host), PROFILE, full)


def test_a_stream_goes_to_the_gateway_alone() -> None:
    assert not objection(OpenStream(1, (GATEWAY, PROFILE.tcp_port)), PROFILE, FOUND)
    assert objection(OpenStream(1, (STRANGER, PROFILE.tcp_port)), PROFILE, FOUND)
    assert objection(OpenStream(1, (GATEWAY, PROFILE.tcp_port + 1)), PROFILE, FOUND)
