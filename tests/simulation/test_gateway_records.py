"""Records of one caller at a gateway: each replays octet for octet; nobody else is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from culvert.cli.replay import again
from culvert.driver.record import Fed, entries, head
from culvert.driver.replaying import Difference
from culvert.driver.replaying import replay as replayed
from culvert.effects import SendIke
from culvert.gateway.masking import LETTERS
from culvert.gateway.people import group_keys
from culvert.gateway.recorded import RecordedGateway, Recorder, Wanted
from culvert.ike.sealing import Sealing
from culvert.ike.wire.config import XAUTH_USER_PASSWORD, ConfigMessage
from culvert.ike.wire.header import TRANSACTION
from culvert.ike.wire.message import parse_header
from culvert.ike.wire.payload import ATTRIBUTES, must
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.session.table import SessionTable
from simulation.ends import ClientEnd
from simulation.world import BEGAN, GROUP_KEY, PASSWORD, USERS, Terms, World, profile

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
    ) -> None:
        self.world = World(1, terms)
        self.lines: list[bytes] = []
        self.ended: list[tuple[str, int]] = []
        rng = SeededRandom(4711)
        self.recorder = Recorder(
            Wanted(caller, secrets),
            rng,
            self.lines.append,
            lambda why, inputs: self.ended.append((why, inputs)),
            most=most,
        )
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
        )
        end.run_core(end.core)

    def client(self, typed: str = PASSWORD, user: str = USERS[0], **changes: Any) -> ClientEnd:
        return self.world.client(profile(**changes), person=(user, typed), behind=self.world.nat)

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
    told.world.run(120)
    other = told.client(user=USERS[1])
    told.play(other)
    assert [why for why, _ in told.ended] == [""]
    assert told.replays() == told.ended[0][1] > 20
    assert {"session.started", "quick.rekeying", "ike.renewed", "session.ended"} <= {*told.events}
    assert USERS[1] not in told.text


def test_the_gateways_own_messages_are_those_really_sent() -> None:
    told = Recording()
    client = told.client()
    told.play(client)
    client.disconnect()
    told.world.run(5)
    assert len(told.sent) > 6
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


def passwords(told: Recording) -> list[bytes]:
    """What whoever has the record and its keys reads as passwords."""
    found: list[bytes] = []
    fed = Fed()
    core: Any
    core, commands = again(head(told.lines[0]), fed)
    for entry in entries(told.lines[1:]):
        octets, path = entry.given.octets, entry.given.path
        if octets and path is not None:
            header = parse_header(octets)
            sa = core._endpoint.owner(header, path)
            if header.exchange == TRANSACTION and sa is not None:
                sealing: Sealing = sa.channel.sealing
                parts, _ = sealing.open(octets, header)
                value = ConfigMessage.parse(must(parts, ATTRIBUTES)).value(XAUTH_USER_PASSWORD)
                found += [value.value] if value else []
        assert replayed(core, fed, [entry], commands, lambda _: None)[1] is None
    return found


@pytest.mark.parametrize("typed", [PASSWORD, "a wrong password"])
def test_no_password_is_in_the_record_in_clear_or_in_what_its_keys_open(typed: str) -> None:
    told = Recording()
    client = told.client(typed)
    told.play(client)
    told.replays()
    for secret in (typed, GROUP_KEY):
        assert secret not in told.text
        assert secret.encode().hex() not in told.text
    read = passwords(told)
    assert read
    assert all(len(one) == len(typed) and {*one} <= {*LETTERS} for one in read)
    assert typed.encode() not in read


def test_with_the_switch_the_password_is_in_it_and_the_group_key_still_is_not() -> None:
    told = Recording(secrets=True)
    told.play(told.client())
    told.replays()
    assert PASSWORD.encode() in passwords(told)
    assert GROUP_KEY not in told.text
    assert GROUP_KEY.encode().hex() not in told.text


@pytest.mark.parametrize(
    ("changes", "typed", "code"),
    [
        ({}, "a wrong password", "xauth.rejected"),
        ({"group_key": Secret("not the key of the group")}, PASSWORD, "ike.group-key-mismatch"),
        ({"group_id": "nobody-knows-it"}, PASSWORD, "ike.datagram-refused"),
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
