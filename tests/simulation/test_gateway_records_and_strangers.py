"""A gateway's record and who is not the caller: heirs of its address, forgers, others who wait."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.gateway import recorded
from culvert.gateway.recorded import STOPS
from culvert.ike.wire.header import OCTETS
from culvert.inet.address import Address, Path
from simulation.ends import IKE_PORT, NATT_PORT, ClientEnd
from simulation.network import Faults
from simulation.test_gateway_records import LIFE, Recording
from simulation.world import GATEWAY, PASSWORD, PAT, SERVER, USERS, Terms, packet, profile

LARGEST = 60_000


def sources(told: Recording) -> set[Address]:
    """From where the gateway has sessions."""
    core: Any = told.core
    return {client.source for client in core._clients.values()}


def first_message(client: ClientEnd, cookie: bytes) -> bytes:
    """What this client called with, under another cookie."""
    return cookie + client.sent[0][1][len(cookie) :]


def inject(told: Recording, octets: bytes, source: Address) -> None:
    told.world.gateway.datagram(octets, source, (GATEWAY, IKE_PORT))


def tapes(told: Recording) -> list[Any]:
    recorder: Any = told.recorder
    return list(recorder._tapes)


def derived(told: Recording) -> int:
    """Keys of groups in the record, each of one IKE SA."""
    return told.text.count('"a group"')


# --- the caller's address ----------------------------------------------------------------------


@pytest.mark.parametrize("caller", ["", USERS[0], PAT], ids=["anybody", "a user", "an address"])
@pytest.mark.parametrize("moved", [False, True], ids=["still there", "gone on"])
def test_who_gets_the_address_of_the_caller_is_not_in_its_record(caller: str, moved: bool) -> None:
    told = Recording(caller=caller)
    first, second = told.client(), told.client(user=USERS[1])
    told.play(first)
    assert first.up, first.reason
    nat = told.world.nat
    nat.flush()
    if moved:
        first.carry(packet(first.address, SERVER, 1))
        told.world.run(1)
        assert sources(told) != {(PAT, NATT_PORT)}
    nat.preserves = True
    first.unplug()
    told.play(second)
    assert second.up, second.reason
    assert (PAT, NATT_PORT) in sources(told)
    first.plug()
    assert told.world.passes_both_ways(first)
    first.disconnect()
    told.world.run(40)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() > 5
    assert USERS[1] not in told.text
    assert derived(told) == 1
    assert len({octets[:8] for octets in (*told.received, *told.sent)}) == 1
    assert told.events.count("session.started") == 1


def test_an_address_that_the_caller_has_left_is_nobodys() -> None:
    told = Recording()
    first = told.client()
    told.play(first)
    told.world.nat.flush()
    first.carry(packet(first.address, SERVER, 1))
    told.world.run(1)
    (hers,) = sources(told)
    inject(told, first_message(first, b"somebody"), (PAT, NATT_PORT))
    assert len(tapes(told)) == 1
    inject(told, first_message(first, b"hersnext"), hers)
    assert len(tapes(told)) == 2, "it may be a renewal of hers"


def test_who_calls_with_the_cookie_of_a_caller_who_is_gone_is_not_in_its_record() -> None:
    told = Recording()
    client = told.client()
    told.play(client)
    client.disconnect()
    told.world.run(2)
    before, cookie = len(told.lines), told.received[0][:8]
    inject(told, first_message(client, cookie), ("198.51.100.77", IKE_PORT))
    assert told.world.gateway.sent[-1][2][0] == "198.51.100.77"
    assert len(told.lines) == before
    told.replays()


def test_a_renewal_is_in_the_record_from_its_first_message_on_once_it_has_logged_in() -> None:
    told = Recording(Terms(phase1_lifetime=LIFE), caller=USERS[0])
    client = told.client(phase1_lifetime=LIFE)
    told.play(client)
    assert told.world.run_until(lambda: len(tapes(told)) == 2, within=2 * LIFE)
    assert derived(told) == 1
    assert told.world.run_until(lambda: "ike.renewed" in told.world.gateway.codes(), within=30)
    assert len(tapes(told)) == 1
    told.world.run(5)
    client.disconnect()
    told.world.run(40)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() > 10
    assert derived(told) == 2
    assert "ike.renewed" in told.events
    assert len({octets[:8] for octets in told.received}) == 2


@pytest.mark.parametrize("seed", range(4))
def test_renewals_on_a_bad_line_are_in_the_record(seed: int) -> None:
    bad = Faults(loss=0.15, duplication=0.1, reordering=0.1, delay=0.05, jitter=0.05)
    told = Recording(Terms(phase1_lifetime=LIFE), seed=seed)
    client = told.world.client(
        profile(phase1_lifetime=LIFE),
        person=(USERS[0], PASSWORD),
        behind=told.world.nat,
        faults=bad,
    )
    client.connect()
    told.world.run(4 * LIFE)
    client.disconnect()
    told.world.run(60)
    assert [why for why, _ in told.ended] in ([], [""]), "a farewell may be lost"
    assert told.replays() > 10
    assert told.events.count("ike.renewed") == told.world.gateway.codes().count("ike.renewed") > 1


# --- forged sources ----------------------------------------------------------------------------


def test_datagrams_with_the_callers_address_and_not_its_own_are_not_in_the_record() -> None:
    told = Recording()
    client = told.client()
    told.play(client)
    assert client.up, client.reason
    told.world.run(2)
    before, forged = len(told.lines), 0
    for number in range(1, 500):
        cookie = number.to_bytes(8, "big")
        inject(told, cookie + bytes(OCTETS), (PAT, NATT_PORT))
        inject(told, cookie * 2 + client.sent[0][1][16:], (PAT, NATT_PORT))
        inject(told, first_message(client, cookie), (PAT, NATT_PORT))
        forged += 3
    assert len(told.lines) == before
    chosen, *others = tapes(told)
    assert len(chosen.cookies) == 1
    assert len(others) <= 5, "as many as may be half-open at one address and port"
    told.world.run(200)
    assert len(tapes(told)) == 1, "they have not answered"
    assert told.world.passes_both_ways(client)
    client.disconnect()
    told.world.run(40)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() < 100
    assert {octets[:8] for octets in told.received} == chosen.cookies


# --- while it is not known who it is -----------------------------------------------------------


def waits(told: Recording, user: str) -> ClientEnd:
    """A caller who has not said its name yet."""
    client = told.client(user=user)
    client.connect()
    assert told.world.run_until(lambda: bool(tapes(told)), within=5)
    client.unplug()
    assert not told.lines
    return client


def goes_on(told: Recording, client: ClientEnd) -> None:
    client.plug()
    assert told.world.decided(client)
    assert client.up, client.reason


def test_what_is_due_for_others_does_not_count() -> None:
    told = Recording(caller=USERS[1])
    client = waits(told, USERS[1])
    before = len(tapes(told)[0].steps)
    for _ in range(2 * recorded.MOST_STEPS):
        told.world.gateway.do(told.core.tick(now=told.world.now))
    assert len(tapes(told)[0].steps) == before
    goes_on(told, client)
    assert not told.missed
    assert told.replays() > 5


def test_who_has_another_name_is_not_kept() -> None:
    told = Recording(caller=USERS[1])
    client = told.client()
    told.play(client)
    assert client.up, client.reason
    assert not tapes(told)
    assert not told.missed


def test_who_sends_much_before_its_name_is_dropped_and_that_is_told() -> None:
    told = Recording(caller=USERS[1])
    client = waits(told, USERS[1])
    cookie = client.sent[0][1][:8]
    for number in range(10):
        refused = cookie + number.to_bytes(8, "big") + bytes(LARGEST)
        inject(told, refused, ("203.0.113.9", IKE_PORT))
        assert sum(tape.octets for tape in tapes(told)) <= recorded.MOST_OCTETS
    assert not tapes(told)
    (event,) = told.missed
    assert event.code == "gateway.record-missed"
    assert event.fields == {"why": recorded.TOO_LARGE, "count": 1}


def test_inputs_without_number_are_told_too() -> None:
    told = Recording(caller=USERS[1])
    client = waits(told, USERS[1])
    cookie = client.sent[0][1][:8]
    for number in range(recorded.MOST_STEPS):
        refused = cookie + number.to_bytes(8, "big") + bytes(OCTETS)
        inject(told, refused, ("203.0.113.9", IKE_PORT))
    assert [event.fields["why"] for event in told.missed] == [recorded.TOO_LONG]


def test_who_takes_most_of_what_all_may_take_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST_OF_ALL", 500_000)
    told = Recording(caller=USERS[1])
    client = waits(told, USERS[1])
    for number in range(1, 20):
        cookie, source = number.to_bytes(8, "big"), (f"203.0.113.{number}", IKE_PORT)
        inject(told, first_message(client, cookie), source)
        for guess in range(1, 4):
            inject(told, cookie + guess.to_bytes(8, "big") + bytes(LARGEST), source)
            assert sum(tape.octets for tape in tapes(told)) <= recorded.MOST_OF_ALL
    assert [event.fields["why"] for event in told.missed] == [recorded.TOO_LARGE_FOR_ALL]
    goes_on(told, client)
    assert told.replays() > 5


def test_more_callers_than_are_listened_to_are_told_and_not_for_each() -> None:
    told = Recording(caller=USERS[1])
    client = waits(told, USERS[0])
    for number in range(1, 201):
        cookie, source = number.to_bytes(8, "big"), (f"203.0.113.{number}", IKE_PORT)
        inject(told, first_message(client, cookie), source)
    assert len(tapes(told)) == recorded.MOST_CALLERS
    assert [event.fields for event in told.missed] == [{"why": recorded.TOO_MANY, "count": 1}]


def test_a_gateway_that_stops_says_whether_the_session_is_complete() -> None:
    told = Recording()
    told.recorder.stop()
    told.recorder.begin(recorded.Wanted(), 2)
    client = told.client()
    told.play(client)
    told.world.gateway.do(told.core.shutdown(now=told.world.now))
    told.recorder.stop()
    assert [why for why, _ in told.ended] == [STOPS, ""]
    assert "session.ended" in told.events
    told.replays()


def test_a_datagram_that_cannot_be_read_is_nobodys() -> None:
    told = Recording()
    path = Path((GATEWAY, IKE_PORT), (PAT, IKE_PORT))
    assert told.core.owner(b"too short", path) == 0
