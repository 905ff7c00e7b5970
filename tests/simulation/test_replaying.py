"""Records of connections: each replays octet for octet, tells no password and any difference."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from culvert.cli.replay import replay
from culvert.client.connection import Connection
from culvert.client.recording import COMMANDS, Recorded, again, recorded_to
from culvert.driver.privatefile import PrivateFile
from culvert.driver.record import MOST, Fed, RecordError, entries, head
from culvert.driver.replaying import Difference
from culvert.driver.replaying import replay as replayed
from culvert.errors import PlatformError
from culvert.eventlog.event import LogEvent
from culvert.ike import endpoint
from culvert.rng import SeededRandom
from culvert.secret import Secret
from simulation.damage import damaged
from simulation.ends import ClientEnd
from simulation.world import BEGAN, GROUP_KEY, PASSWORD, USERS, Terms, World, profile

LIFE = 400


class Recording:
    """A world whose first client is recorded."""

    def __init__(
        self,
        path: Path,
        terms: Terms | None = None,
        *,
        secrets: bool = False,
        typed: str = PASSWORD,
        most: int = MOST,
        **changes: Any,
    ) -> None:
        self.path = path
        self.events: list[LogEvent] = []
        self.world = World(1, terms)
        kept = profile(**changes)
        self.client: ClientEnd = self.world.client(kept, person=(USERS[0], typed))
        file = PrivateFile(path, most, self.events.append)
        self.core: Any = Recorded(
            kept,
            SeededRandom(4711),
            file,
            began=(BEGAN, 0.0),
            bare_esp=True,
            secrets=secrets,
        )
        self.client.core = self.core
        self.client.run_core(self.core)

    def play(self) -> None:
        self.client.connect()
        assert self.world.decided(self.client)

    def replayed(self) -> tuple[int, Difference | None]:
        return run(self.path.read_bytes())


def test_a_record_that_is_there_is_not_lost_to_the_next_connection(tmp_path: Path) -> None:
    path = tmp_path / "office.record"
    path.write_bytes(b"of yesterday")
    with pytest.raises(PlatformError, match="not written over"):
        recorded_to(str(path), print)
    assert path.read_bytes() == b"of yesterday"


def run(octets: bytes) -> tuple[int, Difference | None]:
    lines = octets.splitlines(keepends=True)
    fed = Fed()
    core = again(head(lines[0] if lines else b""), fed)
    return replayed(core, fed, entries(lines[1:]), COMMANDS, lambda _: None)


def datagrams(path: Path) -> Iterator[bytes]:
    for text in path.read_text().splitlines()[1:]:
        for out in json.loads(text)["out"]:
            if out["~"] == "SendIke":
                yield bytes.fromhex(out["octets"]["~x"])


@pytest.mark.parametrize("secrets", [True, False], ids=["with secrets", "without"])
@pytest.mark.parametrize("exchange", ["aggressive", "main"])
def test_a_good_run_with_renewals_replays_octet_for_octet(
    tmp_path: Path, exchange: str, secrets: bool
) -> None:
    terms = Terms(phase1_lifetime=LIFE, phase2_lifetime=300, main_mode=exchange == "main")
    told = Recording(
        tmp_path / "record",
        terms,
        secrets=secrets,
        phase1_lifetime=LIFE,
        phase2_lifetime=300,
        exchange_mode=exchange,
    )
    told.play()
    assert told.client.up, told.client.reason
    told.world.run(2 * LIFE)
    assert told.world.passes_both_ways(told.client)
    assert "quick.rekeying" in told.client.codes()
    told.client.disconnect()
    told.world.run(5)
    assert not told.events, told.events
    count, found = told.replayed()
    assert found is None, found
    assert count == len(told.path.read_bytes().splitlines()) - 1
    assert count > 10


def test_with_secrets_the_record_holds_what_was_really_sent(tmp_path: Path) -> None:
    told = Recording(tmp_path / "record", secrets=True)
    told.play()
    sent = [octets for _, octets, _ in told.client.sent if len(octets) > 28]
    ours = list(datagrams(told.path))
    assert ours
    assert all(any(octets in one for one in sent) for octets in ours)
    assert PASSWORD in told.path.read_text()


@pytest.mark.parametrize("place", ["person", "profile"])
def test_without_secrets_no_password_is_in_the_record_or_in_what_it_says_was_sent(
    tmp_path: Path, place: str
) -> None:
    saved = {"user": USERS[0], "password": Secret(PASSWORD), "save_password": True}
    told = Recording(tmp_path / "record", **(saved if place == "profile" else {}))
    told.play()
    assert told.client.up, told.client.reason
    text = told.path.read_text()
    for secret in (PASSWORD, GROUP_KEY):
        assert secret not in text
        assert secret.encode().hex() not in text
    sent = {octets[-64:] for _, octets, _ in told.client.sent}
    others = [octets for octets in datagrams(told.path) if octets[-64:] not in sent]
    assert len(others) == 1, "the answer with the password, and nothing else"
    assert told.replayed()[1] is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group_key": Secret("not the key of the group")}, "group-mismatch"),
        ({"phase2": ("aes256-sha1",)}, "phase2-refused"),
    ],
    ids=["wrong group key", "phase 2 refused"],
)
def test_a_failing_run_fails_again_octet_for_octet(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    told = Recording(tmp_path / "record", **changes)
    told.play()
    assert told.client.reason == reason
    assert told.replayed()[1] is None
    assert reason in told.path.read_text().splitlines()[-1]


def test_a_wrong_password_fails_again(tmp_path: Path) -> None:
    told = Recording(tmp_path / "record", typed="a wrong password")
    told.play()
    assert told.client.down
    assert told.replayed()[1] is None


def test_code_that_proposes_something_else_is_told_as_the_first_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Recording(tmp_path / "record")
    told.play()
    lines = told.path.read_bytes().splitlines(keepends=True)
    first = json.loads(lines[0])
    first["profile"] = first["profile"].replace("aes128-sha1-modp1024", "aes256-sha1-modp1024")
    count, found = run(json.dumps(first).encode() + b"\n" + b"".join(lines[1:]))
    assert found is not None
    assert found.given == "an answer (Resolved)"
    assert count == 1
    assert "octets of SendIke: " in found.sentence or "differs" in found.sentence

    original = endpoint.Endpoint.receive

    def deaf(self: Any, octets: bytes, path: Any, *, now: float) -> Sequence[Any]:
        return original(self, octets, path, now=now)[1:]

    monkeypatch.setattr(endpoint.Endpoint, "receive", deaf)
    said = CliRunner().invoke(replay, [str(told.path)], standalone_mode=False)
    assert said.return_value == 1
    assert "then they differ" in said.output
    assert "a datagram of " in said.output


def test_a_core_that_raised_raises_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Recording(tmp_path / "record")
    original = Connection.receive

    def broken(self: Any, octets: bytes, path: Any, *, now: float) -> Sequence[Any]:
        original(self, octets, path, now=now)
        raise ZeroDivisionError

    monkeypatch.setattr(Connection, "receive", broken)
    told.client.connect()
    with pytest.raises(ZeroDivisionError):
        told.world.run(5)
    assert told.replayed()[1] is None
    monkeypatch.undo()
    found = told.replayed()[1]
    assert found is not None
    assert found.sentence == "the record has ZeroDivisionError raised, the code raises nothing."


def test_a_record_that_is_full_ends_with_an_event_and_still_replays(tmp_path: Path) -> None:
    told = Recording(tmp_path / "record", most=6000)
    told.play()
    assert told.client.up
    assert [event.code for event in told.events] == ["service.file-ended"]
    assert told.path.stat().st_size <= 6000
    assert told.replayed()[1] is None


def test_the_command_tells_json_and_a_trace(tmp_path: Path) -> None:
    told = Recording(tmp_path / "record")
    told.play()
    said = CliRunner().invoke(replay, [str(told.path), "--json"], standalone_mode=False)
    assert json.loads(said.output)["same"] is True
    traced = CliRunner().invoke(replay, [str(told.path), "--trace"], standalone_mode=False)
    assert "client.up" in traced.output
    assert "octet for octet" in traced.output


def test_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    told = Recording(tmp_path / "record")
    assert told.path.stat().st_mode & 0o777 == 0o600


@given(st.binary(max_size=500))
def test_a_file_that_is_no_record_is_refused(octets: bytes) -> None:
    with pytest.raises(RecordError):
        run(octets)


@given(st.data())
def test_a_damaged_record_is_refused_or_differs_and_never_breaks(data: st.DataObject) -> None:
    lines = damaged(data, SAMPLE)
    try:
        run(b"\n".join(lines))
    except RecordError as error:
        assert error.what


def _sample() -> list[bytes]:
    with TemporaryDirectory() as folder:
        told = Recording(Path(folder) / "record")
        told.play()
        return told.path.read_bytes().splitlines()


SAMPLE = _sample()
