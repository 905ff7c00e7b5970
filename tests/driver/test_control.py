"""The control protocol over a real Unix socket, with the command line's own client."""

from __future__ import annotations

import asyncio
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.cli.conversation import Conversation
from culvert.driver.control import (
    ROWS_PER_MESSAGE,
    Method,
    Request,
    RequestError,
    answering,
    member_of,
)
from culvert.errors import ConfigError
from culvert.netio.control_socket import ControlServer, PeerCredentials

Result = Mapping[str, object]


@contextmanager
def served(
    path: Path,
    methods: Mapping[str, Method],
    allowed: Callable[[PeerCredentials], bool] = lambda peer: True,
    mode: int = 0o600,
) -> Iterator[list[str]]:
    """A server in a thread of its own; gives the faults it met."""
    faults: list[str] = []
    started, finish = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        handle = answering(methods, allowed, lambda what, error: faults.append(what))
        server = ControlServer(path, handle, mode=mode)
        await server.start()
        started.set()
        await finish.wait()
        await server.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
    thread.start()
    assert started.wait(5)
    try:
        yield faults
    finally:
        loop.call_soon_threadsafe(finish.set)
        thread.join()
        loop.close()


async def greet(request: Request) -> Result:
    return {"greeting": f"hello {request.text('name')}"}


async def broken(request: Request) -> Result:
    raise ZeroDivisionError("nobody planned this")


async def mistaken(request: Request) -> Result:
    raise ConfigError("no such key", path="x.toml", line=3)


async def many(request: Request) -> Result:
    request.rows({"number": number} for number in range(ROWS_PER_MESSAGE + 1))
    return {}


class Asking:
    """Asks, and ends when the answer has come."""

    def __init__(self) -> None:
        self.answers: asyncio.Queue[object] = asyncio.Queue()

    async def ask(self, request: Request) -> Result:
        request.tell("event", {"step": 1})
        request.tell("ask", {"ticket": 4, "wants": ["user"]})
        return {"answered": await self.answers.get()}

    async def answer(self, request: Request) -> Result:
        self.answers.put_nowait(dict(request.table("values")))
        return {}


def test_a_request_gets_its_result(tmp_path: Path) -> None:
    with served(tmp_path / "s", {"greet": greet}), talk(tmp_path / "s") as there:
        assert there.request("greet", {"name": "ann"}) == {"greeting": "hello ann"}
        assert there.request("greet", {"name": "bob"}) == {"greeting": "hello bob"}


def test_a_question_is_asked_and_its_answer_ends_the_request(tmp_path: Path) -> None:
    asking = Asking()
    events: list[Mapping[str, object]] = []
    with (
        served(tmp_path / "s", {"ask": asking.ask, "answer": asking.answer}),
        talk(tmp_path / "s") as there,
    ):
        result = there.request("ask", {}, event=events.append, ask=lambda question: {"user": "ann"})
    assert result == {"answered": {"user": "ann"}}
    assert events == [{"step": 1}]


def test_a_long_listing_comes_in_pieces_and_whole(tmp_path: Path) -> None:
    with served(tmp_path / "s", {"many": many}), talk(tmp_path / "s") as there:
        pieces: list[int] = []
        there.request("many", {}, rows=lambda rows: pieces.append(len(rows)))
        assert pieces == [ROWS_PER_MESSAGE, 1]
        rows, _ = there.listing("many", {})
        assert [row["number"] for row in rows] == list(range(ROWS_PER_MESSAGE + 1))


def test_a_stranger_is_refused_in_words(tmp_path: Path) -> None:
    with (
        served(tmp_path / "s", {"greet": greet}, allowed=lambda peer: False),
        talk(tmp_path / "s") as there,
        pytest.raises(RequestError, match="may not control") as refused,
    ):
        there.request("greet", {})
    assert refused.value.code == "cli.denied"


def test_a_mistake_in_a_file_keeps_its_code_and_place(tmp_path: Path) -> None:
    with (
        served(tmp_path / "s", {"mistaken": mistaken}),
        talk(tmp_path / "s") as there,
        pytest.raises(RequestError) as refused,
    ):
        there.request("mistaken", {})
    assert (refused.value.code, refused.value.sentence) == (
        "config.invalid",
        "x.toml:3: no such key",
    )


def test_a_defect_ends_one_request_and_is_noted(tmp_path: Path) -> None:
    with (
        served(tmp_path / "s", {"broken": broken, "greet": greet}) as faults,
        talk(tmp_path / "s") as there,
    ):
        with pytest.raises(RequestError) as refused:
            there.request("broken", {})
        assert refused.value.code == "internal"
        assert there.request("greet", {"name": "ann"}) == {"greeting": "hello ann"}
    assert faults == ["answering 'broken'"]


@pytest.mark.parametrize("method", ["", "no-such-method", "__class__"])
def test_an_unknown_method_is_a_usage_error(tmp_path: Path, method: str) -> None:
    with (
        served(tmp_path / "s", {"greet": greet}),
        talk(tmp_path / "s") as there,
        pytest.raises(RequestError) as refused,
    ):
        there.request(method, {})
    assert refused.value.code == "cli.usage"


def test_half_a_character_in_a_request_is_answered(tmp_path: Path) -> None:
    with served(tmp_path / "s", {"greet": greet}) as faults, talk(tmp_path / "s") as there:
        assert there.request("greet", {"name": "\ud800"}) == {"greeting": "hello \ud800"}
    assert faults == []


@pytest.mark.parametrize("key", ["id", "method"])
def test_a_request_that_names_itself_by_a_list_is_refused_in_words(key: str) -> None:
    nested: object = []
    for _ in range(10_000):  # deeper than can be written out
        nested = [nested]
    said: list[Mapping[str, object]] = []
    faults: list[str] = []
    handle = answering({}, lambda _: True, lambda what, _: faults.append(what))

    async def ask() -> None:
        await handle({key: nested}, PeerCredentials(1, 1000, 1000), said.append)

    asyncio.run(ask())
    ((number, error),) = [tuple(one.values()) for one in said]
    assert number == 0
    assert isinstance(error, dict)
    assert error["code"] == "cli.usage"
    assert faults == []


def test_no_service_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(RequestError) as refused:
        talk(tmp_path / "nothing")
    assert refused.value.code == "cli.not-running"
    assert "culvert service run" in refused.value.action


def test_root_and_the_own_user_may_ask_and_others_by_group_only() -> None:
    allowed = member_of("no-such-group-here")
    assert allowed(PeerCredentials(1, 0, 0))
    assert allowed(PeerCredentials(1, os.geteuid(), 65534))
    assert not allowed(PeerCredentials(1, 65533, 65534))
    assert member_of("root")(PeerCredentials(1, 65533, 0))


@pytest.mark.root
@pytest.mark.parametrize("mode", [0o600, 0o666])
def test_the_kernel_says_who_asks_and_a_stranger_is_refused(tmp_path: Path, mode: int) -> None:
    with (
        tempfile.TemporaryDirectory(dir="/tmp") as folder,
        served(Path(folder) / "s", {"greet": greet}, member_of("no-such-group-here"), mode=mode),
    ):
        Path(folder).chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(RequestError) as refused, talk(Path(folder) / "s") as there:
                there.request("greet", {})
        finally:
            os.seteuid(0)
    assert refused.value.code == "cli.denied"


def talk(path: Path) -> Conversation:
    return Conversation(path, daemon="the service", timeout=10)
