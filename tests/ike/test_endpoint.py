"""Whole dialogues of two endpoints in virtual time: logging in, pairs, renewal, ends, odd peers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network

import pytest

from culvert.ike.outputs import (
    AskPerson,
    Authenticated,
    CheckPerson,
    Configured,
    Install,
    LoggedIn,
    Moved,
    Output,
    PersonAnswer,
    Verdict,
)
from culvert.ike.pairs import LINGER
from culvert.ike.peer import IkeSa
from culvert.ike.proposal import Lifetime
from culvert.ike.question import Question
from culvert.ike.sealing import Sealing
from culvert.ike.selector import Selector
from culvert.ike.settings import Role, Timing
from culvert.ike.vendor import recognise
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import INTERNAL_IP4_ADDRESS, REQUEST, ConfigMessage
from culvert.ike.wire.header import AGGRESSIVE, INFORMATIONAL, QUICK, TRANSACTION
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import ALTIGA_KEEPALIVE, RESPONDER_LIFETIME, Delete, Notify
from culvert.ike.wire.payload import DELETE, VENDOR_ID, Part
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_ISAKMP
from culvert.inet.address import Path
from ike.ends import (
    CLIENT,
    EVERYWHERE,
    GATEWAY,
    INNER,
    QUIET,
    Ends,
    assert_both_carry,
    settings,
    up,
    with_life,
)

OFFICE = Selector(ip_network("192.0.2.1/32"))
OUTSIDE, FORWARDED = "198.51.100.7", "203.0.113.9"
ASKING = Timing()


def assert_over(ends: Ends, client: tuple[str, bool], gateway: tuple[str, bool]) -> None:
    """Both ended, each exactly once, and nothing is left."""
    assert ends.client.endings == [client]
    assert ends.gateway.endings == [gateway]
    for end in (ends.client, ends.gateway):
        assert (len(end.endpoint), len(end.endpoint.spis)) == (0, 0)
        assert (end.installed, end.active) == ({}, set())


def only_vendor(feature: str) -> Callable[[str, bytes], bytes]:
    """Leaves of the NAT traversal versions in clear messages only this one: an older client."""

    def meddle(_: str, octets: bytes) -> bytes:
        header = parse_header(octets)
        if header.encrypted:
            return octets
        kept = tuple(part for part in clear_body(octets, header) if not other(part))
        return clear_message(header, kept)

    def other(part: Part) -> bool:
        row = recognise(part.body) if part.kind == VENDOR_ID else None
        return row is not None and row.feature.startswith("natt-") and row.feature != feature

    return meddle


# --- connecting --------------------------------------------------------------------------------


def test_a_login_ends_with_an_address_and_a_pair() -> None:
    ends = up()
    (configured,) = ends.client.of(Configured)
    assert isinstance(configured, Configured)
    assert [a.kind for a in configured.attributes] == [INTERNAL_IP4_ADDRESS]
    assert len(ends.gateway.of(LoggedIn)) == len(ends.client.of(LoggedIn)) == 1
    assert ends.gateway.endpoint.half_open == 0


@pytest.mark.requirement("S4-11")
@pytest.mark.parametrize(
    ("seen", "called", "client_behind", "gateway_behind"),
    [
        pytest.param(CLIENT, GATEWAY, False, False, id="none"),
        pytest.param(OUTSIDE, GATEWAY, True, False, id="client"),
        pytest.param(CLIENT, FORWARDED, False, True, id="gateway"),
        pytest.param(OUTSIDE, FORWARDED, True, True, id="both"),
    ],
)
def test_both_ends_know_who_is_behind_nat_and_only_then_esp_is_wrapped(
    seen: str, called: str, client_behind: bool, gateway_behind: bool
) -> None:
    ends = Ends(client_seen=seen, gateway_called=called)
    ends.up()
    assert_both_carry(ends, 1)
    (here,) = ends.client.events("ike.nat-detected")
    (there,) = ends.gateway.events("ike.nat-detected")
    assert (here["local"], here["remote"]) == (client_behind, gateway_behind)
    assert (there["local"], there["remote"]) == (gateway_behind, client_behind)
    (pair,) = ends.client.installed.values()
    assert pair.udp_encapsulated is (client_behind or gateway_behind)
    port = 4_500 if client_behind or gateway_behind else 500
    assert (pair.path.local[1], pair.path.remote[1]) == (port, port)


@pytest.mark.parametrize("version", ["natt-02", "natt-02n", "natt-03", "natt-rfc3947"])
def test_every_version_of_nat_traversal_carries(version: str) -> None:
    ends = Ends(client_seen=OUTSIDE)
    ends.meddle = only_vendor(version)
    ends.up()
    assert_both_carry(ends, 1)
    for end in (ends.client, ends.gateway):
        (negotiated,) = end.events("ike.natt-negotiated")
        assert negotiated["version"] == version
        (pair,) = end.installed.values()
        assert pair.udp_encapsulated


def test_the_client_says_that_it_remembers_nothing() -> None:
    ends = up()
    (proved,) = ends.gateway.of(Authenticated)
    assert isinstance(proved, Authenticated)
    assert proved.initial_contact
    assert len(ends.gateway.events("ike.initial-contact")) == 1


def test_the_third_message_may_come_in_clear() -> None:
    """RFC 2409 §5.4 allows it, and Android and racoon do so."""
    ends = Ends()

    def in_clear(_: str, octets: bytes) -> bytes:
        header = parse_header(octets)
        if header.exchange != AGGRESSIVE or not header.encrypted:
            return octets
        # The client that writes this one keeps the first IV, as nothing was encrypted yet.
        keys = ends.client_sa.channel.keys
        parts, _body = Sealing(keys).open(octets, header)
        ends.client_sa.channel.use(keys)
        ends.client_sa.channel.finish_phase1()
        return clear_message(header, parts)

    ends.meddle = in_clear
    ends.up()
    assert_both_carry(ends, 1)


# --- the person --------------------------------------------------------------------------------


def test_a_wrong_password_ends_both_with_that_reason() -> None:
    ends = Ends()
    ends.judge = lambda asked: Verdict(False, asked.user, reason="wrong password")
    ends.connect()
    assert_over(ends, client=("auth-rejected", True), gateway=("auth-rejected", False))
    (told,) = ends.gateway.events("xauth.rejected")
    assert (told["user"], told["reason"]) == ("alice", "wrong password")


def test_the_gateway_may_ask_once_more() -> None:
    ends = Ends()
    verdicts = [Verdict(False, ask=Question(message="Try again")), Verdict(True, "alice")]
    ends.judge = lambda _: verdicts.pop(0)
    asked: list[tuple[str, bool]] = []
    answer = ends.person

    def person(question: AskPerson) -> PersonAnswer | None:
        asked.append((question.message, question.repeated))
        return answer(question)

    ends.person = person
    ends.up()
    assert_both_carry(ends, 1)
    assert asked == [("", False), ("Try again", True)]
    assert len(ends.gateway.of(CheckPerson)) == 2


def test_a_person_that_says_nothing_is_given_up_in_time() -> None:
    ends = Ends()
    ends.person = lambda _: None
    ends.connect()
    ends.until(119.0)
    assert ends.client.endings == ends.gateway.endings == []
    ends.until(125.0)
    assert_over(ends, client=("auth-silence", False), gateway=("auth-silence", False))


def test_a_client_that_gives_up_is_told_so() -> None:
    ends = Ends()
    ends.person = lambda _: PersonAnswer(None)
    ends.connect()
    assert_over(ends, client=("auth-rejected", True), gateway=("auth-rejected", False))
    assert ends.gateway.of(CheckPerson) == []
    (told,) = ends.gateway.events("xauth.rejected")
    assert told["reason"] == "the client gave up"


def test_a_configuration_may_be_asked_for_twice() -> None:
    ends = up()
    before = len(ends.gateway.events("config.sent"))
    asked = ConfigMessage(REQUEST, 7, (Attribute.octets(INTERNAL_IP4_ADDRESS, b""),))
    ends.say(ends.client, TRANSACTION, 0x4321, asked.part())
    assert len(ends.gateway.events("config.sent")) == before + 1
    assert_both_carry(ends, 1)


def test_a_life_without_limit_at_both_ends_ends_nothing() -> None:
    unlimited = Lifetime()
    ends = up(
        replace(settings(Role.INITIATOR), phase1_life=unlimited),
        replace(settings(Role.RESPONDER), phase1_life=unlimited),
    )
    ends.until(ends.now + 600.0)
    assert_both_carry(ends, 1)


# --- pairs -------------------------------------------------------------------------------------


@pytest.mark.requirement("S4-55", part="two quick modes")
def test_two_quick_modes_at_once_give_two_pairs_and_the_second_is_told_as_additional() -> None:
    ends = Ends()
    ends.connect()
    ends.quick(OFFICE, EVERYWHERE)
    assert_both_carry(ends, 2)
    told = [event["additional"] for event in ends.gateway.events("quick.established")]
    assert told == [False, True]
    assert {str(pair.local) for pair in ends.gateway.installed.values()} == {
        "192.0.2.1/32",
        "0.0.0.0/0",
    }


def test_a_network_that_is_not_the_clients_is_refused_and_the_rest_lives() -> None:
    ends = up()
    stranger = Selector(ip_network("10.9.0.8/32"))
    ends.act(ends.client, lambda sa: sa.start_quick(stranger, EVERYWHERE, now=ends.now))
    ends.settle()
    (told,) = ends.gateway.events("quick.refused")
    assert "10.9.0.8/32 is not the address that was handed out" in str(told["reason"])
    (heard,) = ends.client.events("quick.refused")
    assert heard["reason"] == "INVALID-ID-INFORMATION"
    assert_both_carry(ends, 1)
    assert len(ends.client.endpoint.spis) == 1


def delete_pair(sa: IkeSa, number: int) -> list[Output]:
    pair = sa.pairs.get(number)
    assert pair is not None
    sa.informational.delete_pair(pair.inbound_spi)
    sa.remove_pair(number)
    made, sa.channel.out = sa.channel.out, []
    return made


def test_the_gateway_may_delete_one_pair_of_two() -> None:
    ends = Ends()
    ends.connect()
    ends.quick(OFFICE, EVERYWHERE)
    ends.act(ends.gateway, lambda sa: delete_pair(sa, 1))
    ends.settle()
    assert_both_carry(ends, 1)
    (left,) = ends.client.installed.values()
    assert left.remote == EVERYWHERE


def test_a_pair_deleted_before_its_third_message_never_carries() -> None:
    ends = Ends()
    ends.connect()
    held: list[bytes] = []

    def hold_third(to: str, octets: bytes) -> bytes | None:
        header = parse_header(octets)
        if to == "gateway" and header.exchange == QUICK and ends.client.installed:
            held.append(octets)
            return None
        return octets

    ends.meddle = hold_third
    ends.quick()
    ends.act(ends.client, lambda sa: delete_pair(sa, 1))
    ends.settle()
    assert ends.gateway.installed == {}
    ends.arrive("gateway", held[0], ends.gateway_sa.path)
    assert ends.gateway.active == set()


def test_a_pair_is_renewed_before_its_life_ends_and_never_missing() -> None:
    client = with_life(settings(Role.INITIATOR), phase2=1_000)
    ends = up(client, with_life(settings(Role.RESPONDER), phase2=1_000))
    (first,) = ends.client.installed.values()
    for second in range(2, 1_000):
        ends.until(float(second))
        assert ends.client.active
        assert ends.gateway.active
    assert_both_carry(ends, 1)
    (renewed,) = ends.client.installed.values()
    assert renewed.replaces == first.number
    assert renewed.inbound.spi != first.inbound.spi
    (at,) = ends.client.when("quick.rekeying")
    assert 800.0 < at <= 901.0
    removed = ends.client.when("quick.removed") + ends.gateway.when("quick.removed")
    assert removed == pytest.approx([at + LINGER] * 2)


def test_renewal_goes_on_for_a_day_without_leaving_anything_behind() -> None:
    ends = up(with_life(settings(Role.INITIATOR), phase2=3_600))
    ends.until(86_000.0)
    assert_both_carry(ends, 1)
    assert 23 < len(ends.client.of(Install)) < 33
    assert len(ends.client.endpoint.spis) == len(ends.gateway.endpoint.spis) == 1


def test_when_both_ends_renew_the_same_pair_at_once_one_successor_is_left() -> None:
    ends = up()
    ends.act(
        ends.client,
        lambda sa: sa.start_quick(INNER, EVERYWHERE, now=ends.now, replaces=1),
    )
    ends.act(
        ends.gateway,
        lambda sa: sa.start_quick(EVERYWHERE, INNER, now=ends.now, replaces=1),
    )
    ends.settle()
    assert_both_carry(ends, 3)
    ends.until(ends.now + LINGER + 1.0)
    assert_both_carry(ends, 1)
    assert {pair.replaces for pair in ends.client.installed.values()} == {1}
    assert 1 not in ends.client.installed


def test_who_was_asked_ends_a_pair_that_nobody_renews() -> None:
    short = with_life(settings(Role.RESPONDER), phase2=100)
    ends = up(gateway=short)
    ends.meddle = lambda to, octets: octets if to == "client" else None
    ends.until(102.0)
    assert ends.gateway.installed == {}
    assert ends.client.installed == {}


# --- ends --------------------------------------------------------------------------------------


def test_at_the_end_of_its_life_an_ike_sa_ends_at_both() -> None:
    ends = up(with_life(settings(Role.INITIATOR), phase1=600))
    ends.until(599.0)
    assert_both_carry(ends, 1)
    ends.until(601.0)
    reasons = {ends.client.endings[0][0], ends.gateway.endings[0][0]}
    assert reasons <= {"lifetime-expired", "peer-deleted"}
    assert "lifetime-expired" in reasons
    assert len(ends.client.endings) == len(ends.gateway.endings) == 1
    assert len(ends.client.endpoint) == len(ends.gateway.endpoint) == 0


@pytest.mark.requirement("S4-53", part="IKE SA")
def test_a_lifetime_notice_counts_from_the_beginning_of_the_sa() -> None:
    """86400 s announced to an SA that is 18 s old leave 86382 s."""
    long = 2_147_483
    ends = up(
        *(with_life(settings(role), phase1=long) for role in (Role.INITIATOR, Role.RESPONDER))
    )
    began = ends.client.when("ike.phase1-established")[0]
    ends.until(began + 18.0)
    data = bytes.fromhex("80010001 00020004 00015180")
    notice = Notify(RESPONDER_LIFETIME, PROTO_ISAKMP, ends.client_sa.channel.cookies, data)
    ends.say(ends.gateway, INFORMATIONAL, 0x99, notice.part())
    (told,) = ends.client.events("ike.lifetime-shortened")
    assert (told["alive"], told["expiry"]) == (18, 86_382)
    ends.until(began + 86_399.0)
    assert ends.client.endings == []
    ends.until(began + 86_401.0)
    assert ends.client.endings == [("lifetime-expired", False)]


def close(reason: str, now: float) -> Callable[[IkeSa], list[Output]]:
    return lambda sa: sa.close(reason, now=now)


@pytest.mark.parametrize("first", ["client", "gateway"])
def test_whoever_closes_the_other_hears_it(first: str) -> None:
    ends = up()
    end = ends.client if first == "client" else ends.gateway
    ends.act(end, close("by-user", ends.now))
    ends.settle()
    told, heard = ("by-user", False), ("peer-deleted", True)
    if first == "client":
        assert_over(ends, client=told, gateway=heard)
    else:
        assert_over(ends, client=heard, gateway=told)


@pytest.mark.parametrize("message_id", [0x7B, 0x17, 0])
def test_a_delete_with_an_id_of_eight_bits_is_heard(message_id: int) -> None:
    """vpnc draws them so: 1 in 256 is 0."""
    ends = up()
    deleted = Delete(PROTO_ISAKMP, (ends.client_sa.channel.cookies,))
    ends.say(ends.client, INFORMATIONAL, message_id, deleted.part())
    assert ends.gateway.endings == [("peer-deleted", True)]


def test_a_delete_for_other_cookies_ends_nothing() -> None:
    ends = up()
    ends.say(ends.client, INFORMATIONAL, 5, Delete(PROTO_ISAKMP, (bytes(16),)).part())
    assert_both_carry(ends, 1)


def test_a_message_that_breaks_off_after_a_delete_does_not_lose_the_end() -> None:
    """It is refused as a whole: an SA that is over would have to be told to be over."""
    ends = up()
    deleted = Delete(PROTO_ISAKMP, (ends.client_sa.channel.cookies,))
    ends.say(ends.client, INFORMATIONAL, 5, deleted.part(), Part(DELETE, b"\x00"))
    assert ends.gateway.endings == []
    assert_both_carry(ends, 1)


def test_a_message_that_breaks_off_after_a_pairs_delete_does_not_lose_its_removal() -> None:
    ends = up()
    spi = next(iter(ends.client.installed.values())).inbound.spi
    deleted = Delete(PROTO_ESP, (spi.to_bytes(4, "big"),))
    ends.say(ends.client, INFORMATIONAL, 5, deleted.part(), Part(DELETE, b"\x00"))
    assert len(ends.gateway.installed) == len(ends.gateway_sa.pairs)


# --- liveness ----------------------------------------------------------------------------------


@pytest.mark.parametrize("asking", ["client", "gateway"])
def test_silence_is_asked_about_and_the_other_end_answers(asking: str) -> None:
    timing = {"client": QUIET, "gateway": QUIET, asking: ASKING}
    ends = up(
        replace(settings(Role.INITIATOR), timing=timing["client"]),
        replace(settings(Role.RESPONDER), timing=timing["gateway"]),
    )
    asker, other = ends.client, ends.gateway
    if asking == "gateway":
        asker, other = other, asker
    ends.until(95.0)
    assert len(asker.events("live.question")) == 3
    assert len(asker.events("live.answer")) == 3
    assert len(other.events("live.answer-sent")) == 3
    assert other.events("live.question") == []
    assert asker.endings == []


@pytest.mark.parametrize("asking", ["client", "gateway"])
def test_whoever_is_silent_too_long_is_dead(asking: str) -> None:
    timing = {"client": QUIET, "gateway": QUIET, asking: ASKING}
    ends = up(
        replace(settings(Role.INITIATOR), timing=timing["client"]),
        replace(settings(Role.RESPONDER), timing=timing["gateway"]),
    )
    asker = ends.client if asking == "client" else ends.gateway
    ends.meddle = lambda _to, _octets: None
    ends.until(70.0)
    assert asker.endings == [("lost-peer", False)]
    assert len(asker.events("live.question")) == ASKING.dpd_tries
    assert asker.installed == {}


def test_a_heartbeat_of_the_cisco_client_is_life() -> None:
    ends = up(gateway=replace(settings(Role.RESPONDER), timing=ASKING))
    beat = Notify(ALTIGA_KEEPALIVE, PROTO_ISAKMP, ends.client_sa.channel.cookies)
    for turn in range(1, 6):
        ends.until(20.0 * turn)
        ends.say(ends.client, INFORMATIONAL, turn, beat.part())
    assert len(ends.gateway.events("live.heartbeat-received")) == 5
    assert ends.gateway.events("live.question") == []


def test_an_old_heartbeat_sent_again_from_elsewhere_moves_nothing() -> None:
    """It has no number: whoever recorded one could draw the traffic to himself."""
    ends = up()
    recorded: list[bytes] = []
    ends.meddle = lambda _, octets: recorded.append(octets) or octets
    beat = Notify(ALTIGA_KEEPALIVE, PROTO_ISAKMP, ends.client_sa.channel.cookies)
    for turn in range(1, 30):
        ends.say(ends.client, INFORMATIONAL, turn, beat.part())
    before = ends.gateway_sa.path
    ends.arrive("gateway", recorded[0], Path((GATEWAY, 500), ("203.0.113.66", 500)))
    assert ends.gateway_sa.path == before
    assert ends.gateway.of(Moved) == []


@pytest.mark.requirement("S4-53", part="phase 2")
def test_a_phase_2_notice_of_28800_seconds_ends_the_pair_then() -> None:
    ends = up(
        with_life(settings(Role.INITIATOR), phase2=86_400),
        with_life(settings(Role.RESPONDER), phase2=28_800),
    )
    for end in (ends.client, ends.gateway):
        (pair,) = end.installed.values()
        assert pair.life_seconds == 28_800
    began = ends.client.when("quick.established")[0]
    ends.meddle = lambda _to, _octets: None
    ends.until(began + 28_799.0)
    assert ends.gateway.installed
    assert ends.client.installed
    ends.until(began + 28_800.0)
    assert ends.gateway.installed == ends.client.installed == {}
