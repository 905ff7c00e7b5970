"""Records of one caller at a gateway: each replays octet for octet; nobody else is in it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.cli.replay import again
from culvert.crypto.cipher import cbc_decrypt
from culvert.driver.record import Fed, RecordError, entries, head
from culvert.driver.replaying import Difference
from culvert.driver.replaying import replay as replayed
from culvert.effects import PairWorn, SendIke
from culvert.errors import ProtocolError
from culvert.eventlog.event import LogEvent
from culvert.gateway.ipsec import IpsecGateway
from culvert.gateway.masking import LETTERS
from culvert.gateway.people import group_keys
from culvert.gateway.recorded import RecordedGateway, Recorder, Wanted
from culvert.gateway.recording import OF_OTHERS, Copy
from culvert.ike.keys import Phase1Keys
from culvert.ike.question import Question
from culvert.ike.wire.config import (
    XAUTH_ANSWER,
    XAUTH_NEXT_PIN,
    XAUTH_PASSCODE,
    XAUTH_USER_PASSWORD,
    ConfigMessage,
)
from culvert.ike.wire.header import OCTETS, TRANSACTION
from culvert.ike.wire.message import parse_header
from culvert.ike.wire.payload import ATTRIBUTES, must
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.session.table import SessionTable
from simulation.certificates import Vault, gateway_vault, person_vault
from simulation.damage import damaged
from simulation.ends import ClientEnd
from simulation.network import Faults
from simulation.test_login import Script, asks, if_right
from simulation.world import (
    BEGAN,
    GATEWAY,
    GROUP,
    GROUP_KEY,
    PASSWORD,
    SERVER,
    USERS,
    Terms,
    World,
    packet,
    profile,
)

LIFE = 400


class Recording:
    """A world whose gateway records one caller."""

    def __init__(
        self,
        terms: Terms | None = None,
        *,
        caller: str = "",
        secrets: bool = False,
        most: int = 1 << 26,
        vault: Vault | None = None,
        seed: int = 1,
    ) -> None:
        self.world = World(seed, terms, vault=vault)
        self.lines: list[bytes] = []
        self.ended: list[tuple[str, int]] = []
        self.missed: list[LogEvent] = []
        rng = SeededRandom(4711)
        self.recorder = Recorder(
            rng,
            lambda line, _: self.lines.append(line),
            lambda why, inputs, _: self.ended.append((why, inputs)),
            self.missed.append,
            most=most,
        )
        self.typed: list[str] = []
        end: Any = self.world.gateway
        end.table = SessionTable(limit=end.config.live.session_limit, cumulative=41)
        self.core = end.core = RecordedGateway(
            end.config,
            end.table,
            group_keys(end.config, rng),
            rng,
            recorder=self.recorder,
            began=(BEGAN, 0.0),
            bare_esp=True,
            certificate=vault.paper if vault else None,
            authorities=vault.authorities if vault else (),
        )
        end.run_core(end.core)
        self.recorder.begin(Wanted(caller, secrets))

    def client(self, typed: str = PASSWORD, user: str = USERS[0], **changes: Any) -> ClientEnd:
        kept, nat = profile(**changes), self.world.nat
        return self.world.client(kept, person=(user, typed), behind=nat)

    def play(self, client: ClientEnd) -> None:
        client.connect()
        assert self.world.decided(client)

    @property
    def text(self) -> str:
        return b"".join(self.lines).decode()

    @property
    def events(self) -> list[str]:
        """The codes of what the record tells."""
        told = [out["event"]["code"] for out in self._outputs() if out["~"] == "Record"]
        assert told
        return told

    def _outputs(self) -> Iterator[dict[str, Any]]:
        for line in self.lines[1:]:
            yield from json.loads(line)["out"]

    @property
    def received(self) -> list[bytes]:
        """The datagrams that the record holds."""
        found = [json.loads(line) for line in self.lines[1:]]
        return [bytes.fromhex(one["octets"]) for one in found if "octets" in one]

    @property
    def sent(self) -> list[bytes]:
        return [
            bytes.fromhex(out["octets"]["~x"])
            for out in self._outputs()
            if out["~"] == SendIke.__name__
        ]

    def replays(self) -> int:
        """How many inputs were the same; all of them."""
        count, found = run(self.lines)
        assert found is None, found
        assert count == len(self.lines) - 1
        return count


def run(lines: list[bytes]) -> tuple[int, Difference | None]:
    fed = Fed()
    core, commands = again(head(lines[0]), fed)
    return replayed(core, fed, entries(lines[1:]), commands, lambda _: None)


def really_sent(told: Recording) -> set[bytes]:
    return {octets.removeprefix(bytes(4)) for _, octets, _ in told.world.gateway.sent}


@pytest.mark.parametrize("secrets", [True, False], ids=["with secrets", "without"])
@pytest.mark.parametrize("exchange", ["aggressive", "main"])
def test_a_whole_session_with_renewals_replays_octet_for_octet(
    exchange: str, secrets: bool
) -> None:
    terms = Terms(phase1_lifetime=LIFE, phase2_lifetime=300, main_mode=exchange == "main")
    told = Recording(terms, secrets=secrets)
    client = told.client(phase1_lifetime=LIFE, phase2_lifetime=300, exchange_mode=exchange)
    told.play(client)
    assert client.up, client.reason
    told.world.run(2 * LIFE)
    assert told.world.passes_both_ways(client)
    client.disconnect()
    told.world.run(31)
    assert [why for why, _ in told.ended] == [""], "with nothing else going on"
    other = told.client(user=USERS[1])
    told.play(other)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() == told.ended[0][1] > 20
    assert {"session.started", "ike.renewed", "session.ended"} <= {*told.events}
    assert told.events.count("quick.established") > 2
    assert USERS[1] not in told.text


def test_the_gateways_own_messages_are_those_really_sent() -> None:
    told = Recording()
    client = told.client()
    told.play(client)
    client.disconnect()
    told.world.run(5)
    assert len(told.sent) == 5
    assert {*told.sent} <= really_sent(told)


def test_only_the_caller_chosen_is_in_the_record() -> None:
    told = Recording(caller=USERS[1])
    first, second, third = (told.client(user=user) for user in USERS[:3])
    for one in (first, second, third):
        one.connect()
    for one in (first, second, third):
        assert told.world.decided(one)
        assert one.up, one.reason
    told.world.run(60)
    for one in (third, second, first):
        one.disconnect()
        told.world.run(40)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() > 8
    assert USERS[1] in told.text
    for other in (USERS[0], USERS[2]):
        assert other not in told.text
    cookies = {octets[:8] for octets in told.received}
    assert len(cookies) == 1
    assert {octets[:8] for octets in told.sent} == cookies


def test_a_caller_is_chosen_by_address() -> None:
    told = Recording(caller="198.51.100.3")
    inside = told.client()
    outside = told.world.client(profile(), person=(USERS[1], PASSWORD))
    assert outside.link is not None
    assert outside.link.address == "198.51.100.3"
    told.play(inside)
    assert not told.lines
    told.play(outside)
    assert told.replays() > 5
    assert USERS[0] not in told.text


SECRETS = (XAUTH_USER_PASSWORD, XAUTH_PASSCODE, XAUTH_NEXT_PIN, XAUTH_ANSWER)


def secrets_in(told: Recording) -> list[bytes]:
    """What whoever has the record and its keys reads as secrets. What a person here typed is in no
    message whatever the IV: in CBC that decides on the first block alone, which is of a HASH."""
    found: list[bytes] = []
    fed = Fed()
    core: Any
    core, commands = again(head(told.lines[0]), fed)
    keys: dict[bytes, Phase1Keys] = {}
    for entry in entries(told.lines[1:]):
        octets, path = entry.given.octets, entry.given.path
        if octets and path is not None:
            header = parse_header(octets)
            sa = core._endpoint.owner(header, path)
            if header.exchange == TRANSACTION and sa is not None:
                with suppress(ProtocolError):
                    parts = sa.channel.read_sealed(octets, header).parts
                    given = ConfigMessage.parse(must(parts, ATTRIBUTES)).attributes
                    found += [one.value for one in given if one.kind in SECRETS]
        assert replayed(core, fed, [entry], commands, lambda _: None)[1] is None
        for sa in core._endpoint._sas.values():
            if sa.channel.keyed:
                keys[sa.channel.cookie_i] = sa.channel.keys
    looked_at = 0
    for octets in (*told.received, *told.sent):
        key = keys.get(octets[:8])
        if key is not None and parse_header(octets).encrypted:
            sealed, iv = octets[OCTETS:], bytes(key.block)
            body = cbc_decrypt(key.cipher_name, key.cipher_key, iv, sealed)
            assert not any(typed.encode() in body for typed in told.typed)
            looked_at += 1
    assert looked_at > 3
    return found


@pytest.mark.parametrize("typed", [PASSWORD, "a wrong password"])
def test_no_password_is_in_the_record_in_clear_or_in_what_its_keys_open(typed: str) -> None:
    told = Recording()
    client = told.client(typed)
    told.play(client)
    told.replays()
    told.typed = [typed, GROUP_KEY]
    for secret in told.typed:
        assert secret not in told.text
        assert secret.encode().hex() not in told.text
    read = secrets_in(told)
    assert read
    assert all(len(one) == len(typed) and {*one} <= {*LETTERS} for one in read)
    assert typed.encode() not in read


def test_with_the_switch_the_password_is_in_it_and_the_group_key_still_is_not() -> None:
    told = Recording(secrets=True)
    told.play(told.client())
    told.replays()
    assert PASSWORD.encode() in secrets_in(told)
    assert GROUP_KEY not in told.text
    assert GROUP_KEY.encode().hex() not in told.text


@pytest.mark.parametrize(
    ("changes", "typed", "code"),
    [
        ({}, "a wrong password", "xauth.rejected"),
        ({"group_key": Secret("not the key of the group")}, PASSWORD, "ike.group-key-mismatch"),
        ({"group": "nobody-knows-it"}, PASSWORD, "ike.group-unknown"),
        ({"phase1": ("aes256-sha1-modp1536",)}, PASSWORD, "ike.proposal-refused"),
        ({"phase2": ("aes256-sha1",)}, PASSWORD, "quick.refused"),
    ],
    ids=["password", "group key", "group", "phase 1", "phase 2"],
)
def test_a_failing_run_fails_again_octet_for_octet(
    changes: dict[str, Any], typed: str, code: str
) -> None:
    told = Recording()
    client = told.client(typed, **changes)
    told.play(client)
    told.world.run(200)
    assert not client.up
    assert told.recorder.going or told.ended[0][0] == ""
    assert told.replays()
    assert code in told.events


def test_further_questions_in_the_exchange_of_a_password_replay_without_what_was_answered() -> None:
    told = Recording()
    told.world.gateway.judge = Script(
        asks(Question(("next-pin",), "Enter your new PIN")),
        asks(Question(("next-pin",), "Enter it again")),
        asks(Question(("passcode",), "Wait for the token to change")),
        if_right(passcode="471100"),
    )
    client = told.client()
    typed = {"next-pin": "4711", "passcode": "471100"}
    client.knows = lambda _: {key: Secret(text) for key, text in typed.items()}
    told.play(client)
    assert client.up, client.reason
    client.disconnect()
    told.world.run(100)
    told.recorder.end("enough")
    assert told.replays() > 8
    assert "session.ended" in told.events
    told.typed = [PASSWORD, "4711", "471100"]
    read = secrets_in(told)
    assert [len(one) for one in read] == [len(PASSWORD), 4, 4, 6]
    assert read[1] == read[2]


@pytest.mark.parametrize("mode", ["main", "aggressive"])
@pytest.mark.parametrize("way", ["rsa", "xauth-rsa", "hybrid"])
def test_certificates_replay_and_no_private_key_is_needed(way: str, mode: str) -> None:
    ways = ("rsa", "xauth-rsa", "hybrid")
    terms = Terms(authentication=ways, aggressive_certificates=True)
    told = Recording(terms, vault=gateway_vault(GATEWAY))
    client = told.world.client(
        profile(authentication=way, exchange_mode=mode),
        behind=told.world.nat,
        vault=person_vault(USERS[0], GROUP),
    )
    told.play(client)
    assert client.up, client.reason
    client.disconnect()
    told.world.run(5)
    assert told.replays() > 4
    assert "session.ended" in told.events
    assert {*told.sent} <= really_sent(told)


@pytest.mark.parametrize("how", ["logout", "shutdown", "announce"])
def test_what_an_administrator_does_to_the_caller_is_one_of_the_inputs(how: str) -> None:
    told = Recording()
    client, other = told.client(), told.client(user=USERS[1])
    for one in (client, other):
        told.play(one)
        assert one.up, one.reason
    (session,) = [one.number for one in told.world.gateway.table if one.user == USERS[0]]
    assert session == 42
    commands = {
        "logout": lambda now: told.core.logout(session, now=now),
        "shutdown": lambda now: told.core.shutdown("peer-reboot", now=now),
        "announce": lambda now: told.core.announce(now=now),
    }
    told.world.gateway.do(commands[how](told.world.now))
    told.world.run(5)
    told.recorder.end("enough")
    assert told.ended[0][0] == "enough"
    assert told.replays() > 6
    assert ("session.ended" in told.events) is (how != "announce")
    assert USERS[1] not in told.text


def test_a_pair_that_the_gateway_renews_replays() -> None:
    told = Recording(Terms(phase2_volume=20))
    client = told.client()
    told.play(client)
    other = told.client(user=USERS[1])
    told.play(other)
    for _ in range(40):
        client.carry(packet(client.address, SERVER, 1).ljust(1000, b"x"))
        told.world.run(0.1)
    told.world.gateway.wear(PairWorn(42, 1))
    told.world.run(20)
    client.disconnect()
    told.world.run(100)
    assert [why for why, _ in told.ended] in ([], [""])
    told.replays()
    assert told.events.count("quick.established") > 1


@pytest.mark.parametrize("seed", range(6))
def test_on_a_bad_line_among_others_it_replays_as_far_as_it_goes(seed: int) -> None:
    bad = Faults(loss=0.2, duplication=0.1, reordering=0.1, delay=0.05, jitter=0.05)
    told = Recording(caller=USERS[1], seed=seed)
    clients = [
        told.world.client(profile(), person=(user, PASSWORD), behind=told.world.nat, faults=bad)
        for user in USERS[:4]
    ]
    for one in clients:
        one.connect()
        told.world.run(0.3)
    told.world.run(100)
    for one in clients:
        one.disconnect()
    told.world.run(200)
    assert told.lines
    told.replays()
    assert all(why == "" for why, _ in told.ended), told.ended
    for other in (USERS[0], USERS[2], USERS[3]):
        assert other not in told.text
    told.typed = [PASSWORD]
    assert all({*one} <= {*LETTERS} for one in secrets_in(told))


def test_a_record_ends_with_words_where_others_decide_what_follows() -> None:
    told = Recording()
    client = told.client()
    client.connect()
    assert told.world.run_until(lambda: bool(told.lines), within=5)
    client.unplug()
    told.world.run(0.2)  # the first answer is lost
    client.plug()
    strangers: Any = told.core._endpoint.strangers
    strangers._left, strangers._counted = 0.0, math.inf  # others had all the answers there are
    told.world.run(5)
    assert [why for why, _ in told.ended] == [OF_OTHERS]
    assert told.replays() == 1


def test_a_record_begun_while_others_are_here_is_of_the_next_session() -> None:
    told = Recording()
    first, second = told.client(), told.client(user=USERS[1])
    told.recorder.end("not yet")
    told.play(first)
    told.recorder.begin(Wanted())
    told.world.run(100)
    assert not told.lines
    told.play(second)
    assert second.up, second.reason
    second.disconnect()
    told.world.run(60)
    first.disconnect()
    told.world.run(1)
    assert [why for why, _ in told.ended] == ["not yet", ""]
    assert told.replays() > 6
    assert USERS[0] not in told.text
    before = len(told.lines)
    told.recorder.begin(Wanted(USERS[0]))
    told.play(first)
    again_ = told.lines[before:]
    assert run(again_)[1] is None
    assert len(again_) > 6


def test_a_standing_session_that_renews_phase_1_is_not_taken_for_a_new_one() -> None:
    told = Recording(Terms(phase1_lifetime=LIFE))
    client = told.client(phase1_lifetime=LIFE)
    told.recorder.end("not yet")
    told.play(client)
    told.recorder.begin(Wanted())
    told.world.run(2 * LIFE)
    assert "ike.renewed" in told.world.gateway.codes()
    assert not told.lines
    assert told.recorder.going


def test_a_full_record_ends_and_what_is_there_replays() -> None:
    told = Recording(most=20_000)
    client = told.client()
    told.play(client)
    assert client.up, client.reason
    assert [why for why, _ in told.ended] == ["it takes no more"]
    assert sum(map(len, told.lines)) <= 20_000
    assert told.replays() == told.ended[0][1]


def test_a_defect_of_the_recorder_ends_the_record_and_no_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = Recording()

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Copy, "take", broken)
    client = told.client()
    told.play(client)
    assert client.up, client.reason
    assert told.ended == [("a defect of the record (ZeroDivisionError)", 0)]


def test_code_that_answers_otherwise_is_told_as_the_first_difference() -> None:
    told = Recording()
    told.play(told.client())
    first = json.loads(told.lines[0])
    first["live"]["vpn3000_vendor_id"] = True
    count, found = run([json.dumps(first).encode(), *told.lines[1:]])
    assert count == 0
    assert found is not None
    assert found.given.startswith("a datagram of ")
    assert "differs" in found.sentence


def test_a_gateway_that_raised_raises_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Recording()
    client = told.client()
    original = IpsecGateway.receive

    def broken(self: Any, octets: bytes, path: Any, *, now: float) -> Any:
        original(self, octets, path, now=now)
        raise ZeroDivisionError

    monkeypatch.setattr(IpsecGateway, "receive", broken)
    client.connect()
    with pytest.raises(ZeroDivisionError):
        told.world.run(5)
    assert len(told.lines) == 2
    told.replays()
    monkeypatch.undo()
    found = run(told.lines)[1]
    assert found is not None
    assert found.sentence == "the record has ZeroDivisionError raised, the code raises nothing."


@given(st.data())
def test_a_damaged_record_is_refused_or_differs_and_never_breaks(data: st.DataObject) -> None:
    lines = damaged(data, SAMPLE)
    try:
        run(lines)
    except RecordError as error:
        assert error.what


def _sample() -> list[bytes]:
    told = Recording()
    told.play(told.client())
    return told.lines


SAMPLE = _sample()
