"""Levels, filters, live view and clearing of the event log, while a daemon runs."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from culvert.cli.conversation import Conversation
from culvert.cli.main import run
from culvert.driver.control import Request
from culvert.driver.journal import Journal, wall_clock
from culvert.driver.places import Places
from culvert.driver.telling import clear_log, set_level, tell_log
from culvert.errors import ConfigError
from culvert.eventlog.event import LogEvent
from culvert.eventlog.levels import MOST, USUAL, Levels
from culvert.eventlog.vocabulary import row_of
from culvert.netio.control_socket import PeerCredentials
from driver.test_control import served
from simulation.world import World, profile

PER_SECOND = 1000
SECONDS = 3


def journal_in(tmp_path: Path) -> Journal:
    return Journal(Places(tmp_path / "state", tmp_path / "socket"))


def lines(tmp_path: Path) -> list[Mapping[str, object]]:
    text = (tmp_path / "state" / "events.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def asked(**params: object) -> Request:
    return Request(params, PeerCredentials(1, 0, 0), lambda kind, value: None)


@pytest.mark.requirement("S1-132")
def test_a_level_switched_during_a_connect_holds_from_the_next_event_on(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    world = World(1)
    clients = {name: world.client(profile(name)) for name in ("watched", "other")}
    recorded = dict.fromkeys(clients, 0)

    def record() -> None:
        for name, client in clients.items():
            fresh = client.events[recorded[name] :]
            recorded[name] += len(fresh)
            for event in fresh:
                journal.tagged(name)(event)

    def fine() -> list[object]:
        rows = [row for row in lines(tmp_path) if int(str(row["severity"])) > USUAL]
        return [dict(row)["fields"]["connection"] for row in rows]  # type: ignore[index]

    for client in clients.values():
        client.connect()
    world.run_until(lambda: all("xauth.asked" in c.codes() for c in clients.values()), within=60)
    record()
    assert not any(client.up for client in clients.values())
    assert fine() == []  # the level of everybody
    asyncio.run(set_level(journal, asked(name="watched", level=13)))
    world.run_until(lambda: all(client.up for client in clients.values()), within=60)
    record()
    after = sum(row_of(e.code).severity > USUAL for e in clients["watched"].events)
    assert {*fine()} == {"watched"}
    assert 0 < len(fine()) < after  # those before the switch were not written
    written = len(fine())
    asyncio.run(set_level(journal, asked(name="watched", level=0)))
    clients["watched"].disconnect()
    world.run(5)
    record()
    assert len(fine()) == written
    journal.close()


def test_levels_of_several_names_and_of_everybody() -> None:
    levels = Levels()
    levels.set("", 9)
    levels.set("ann", 13)
    levels.set("#7", 3)
    with pytest.raises(ConfigError, match="1 to 13"):
        levels.set("ann", 14)
    for number in range(MOST - 2):
        levels.set(f"n{number}", 8)
    with pytest.raises(ConfigError, match="the most"):
        levels.set("one more", 8)
    levels.set("ann", 12)  # one that has a level may get another
    assert levels.default == 9
    levels.set("", 0)
    assert levels.default == USUAL


@pytest.mark.requirement("S4-61")
def test_each_filter_alone_and_combined_and_a_live_view_of_a_thousand_a_second(
    tmp_path: Path,
) -> None:
    journal = journal_in(tmp_path)
    began = wall_clock()
    about: list[tuple[str, dict[str, str | int]]] = [
        ("auth.accepted", {"user": "ann", "group": "staff", "source": "192.0.2.7:500"}),
        ("auth.wrong-password", {"user": "bob", "group": "staff", "source": "192.0.2.8"}),
        ("auth.accepted", {"user": "bob", "group": "guests", "source": "2001:db8::8"}),
        ("ike.vendor-id", {"hex": "AFCA", "name": "DPD", "peer": "192.0.2.7:500"}),
        ("gateway.stopping", {"reason": "test"}),
    ]
    for code, fields in about:
        journal.record(LogEvent(code, fields))

    def told(**params: object) -> list[int]:
        """The places of what a request is told."""
        shown: list[int] = []

        def tell(kind: str, value: object) -> None:
            assert isinstance(value, dict)
            shown.append(int(value["number"]) - 1)

        request = Request(params, PeerCredentials(1, 0, 0), tell)
        asyncio.run(tell_log(journal.log, request))
        return shown

    assert told() == [0, 1, 2, 3, 4]
    assert told(**{"class": "AUTH"}) == [0, 1, 2]
    assert told(**{"class": "ikedecode, system"}) == [3, 4]
    assert told(level=row_of("auth.wrong-password").severity) == [
        place
        for place, (code, _) in enumerate(about)
        if row_of(code).severity <= row_of("auth.wrong-password").severity
    ]
    assert told(from_level=row_of("ike.vendor-id").severity) == [3]
    assert told(address="192.0.2.7") == [0, 3]
    assert told(address="2001:db8::8") == [2]
    assert told(group="staff") == [0, 1]
    assert told(user="bob") == [1, 2]
    assert told(since=(wall_clock() + timedelta(hours=1)).isoformat()) == []
    assert told(until=(began - timedelta(hours=1)).isoformat()) == []
    assert told(since=began.isoformat(), until="2999-01-01") == [0, 1, 2, 3, 4]
    assert told(user="bob", group="staff", **{"class": "AUTH"}, since=began.isoformat()) == [1]
    for wrong in ({"class": "IKEE"}, {"since": "yesterday"}, {"level": "x"}):
        with pytest.raises(ConfigError):
            told(**wrong)
    journal.close()
    _live(tmp_path)


def _live(tmp_path: Path) -> None:
    """A view of one class, over the real socket, while events come at full speed."""
    journal = journal_in(tmp_path / "live")
    late: list[float] = []
    seen: list[int] = []

    async def flood(_: Request) -> Mapping[str, object]:
        begun = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            fields: dict[str, str | int] = {"user": f"u{number}", "group": "g", "source": "x"}
            journal.record(LogEvent("auth.accepted", {**fields, "n": number}))
            journal.record(LogEvent("ike.vendor-id", {"hex": "AF", "name": "DPD"}))
            await asyncio.sleep(max(0.0, begun + number / PER_SECOND - time.monotonic()))
        late.append(time.monotonic() - begun - SECONDS)
        await asyncio.sleep(0.2)
        return {}

    async def follow(request: Request) -> Mapping[str, object]:
        watching = asyncio.ensure_future(tell_log(journal.log, request))
        await asyncio.sleep(0)
        await flood(request)
        watching.cancel()
        return {}

    def hear(event: Mapping[str, object]) -> None:
        fields = event["fields"]
        assert isinstance(fields, dict)
        seen.append(fields["n"])

    with (
        served(tmp_path / "s", {"log": follow}) as faults,
        Conversation(tmp_path / "s", daemon="the test") as there,
    ):
        there.request("log", {"follow": True, "class": "AUTH"}, event=hear)
    assert faults == []
    assert seen == list(range(PER_SECOND * SECONDS))
    assert late[0] < 1.0, "the view holds the events up"
    journal.close()


def test_a_cleared_log_tells_only_who_cleared_it_and_keeps_files(tmp_path: Path) -> None:
    journal = journal_in(tmp_path)
    journal.record(LogEvent("gateway.stopping", {"reason": "test"}))
    assert asyncio.run(clear_log(journal, asked())) == {"cleared": 1}
    kept = journal.log.rings.latest()
    assert [entry.code for entry in kept.entries] == ["service.log-cleared"]
    assert kept.left_out == 0
    assert [row["code"] for row in lines(tmp_path)] == ["gateway.stopping", "service.log-cleared"]
    journal.close()


def test_the_command_chooses_clears_and_switches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = journal_in(tmp_path)
    for code, user in (("auth.accepted", "ann"), ("auth.accepted", "bob")):
        journal.record(LogEvent(code, {"user": user, "group": "staff", "source": "192.0.2.7"}))

    async def log(request: Request) -> Mapping[str, object]:
        return await tell_log(journal.log, request)

    async def level(request: Request) -> Mapping[str, object]:
        return await set_level(journal, request)

    async def clear(request: Request) -> Mapping[str, object]:
        return await clear_log(journal, request)

    there = ["--socket", str(tmp_path / "s")]
    with served(tmp_path / "s", {"log": log, "level": level, "clear": clear}):
        assert run(["gateway", "log", "--user", "bob", "--only", "class=AUTH", *there]) == 0
        shown = capsys.readouterr().out
        assert "bob" in shown
        assert "ann" not in shown
        assert run(["gateway", "log", "--user", "bob", "--set-level", "13", *there]) == 0
        assert "of bob: up to 13" in capsys.readouterr().out
        assert run(["log", "--clear", *there]) == 0
        assert "3 entries forgotten" in capsys.readouterr().out
        assert run(["log", "--only", "class=NONSENSE", *there]) != 0
        assert run(["log", "--only", "nonsense=1", *there]) != 0
    assert journal.levels.of == {"bob": 13}
    journal.close()
