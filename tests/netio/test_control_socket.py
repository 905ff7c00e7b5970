"""The control socket: real Unix sockets, a server on the loop and a blocking client in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import ConfigError, PlatformError
from culvert.netio.control_socket import (
    MAX_CLIENTS,
    MAX_MESSAGE,
    ControlClient,
    ControlProtocolError,
    ControlServer,
    Handle,
    Message,
    PeerCredentials,
    Send,
    parse_line,
    to_line,
)

T = TypeVar("T")


async def echo(request: Message, peer: PeerCredentials, send: Send) -> None:
    send({"heard": request, "uid": peer.uid, "pid": peer.pid})


def serve(path: Path, handle: Handle, talk: Callable[[], T], **options: int) -> T:
    """Run the server on a loop while ``talk`` runs in a thread."""

    async def run() -> T:
        server = ControlServer(path, handle, **options)
        await server.start()
        try:
            return await asyncio.to_thread(talk)
        finally:
            await server.close()

    return asyncio.run(run())


def test_the_server_learns_from_the_kernel_who_asks(tmp_path: Path) -> None:
    path = tmp_path / "control"

    def talk() -> Message:
        with ControlClient(path) as client:
            assert client.server.uid == os.getuid()
            return client.ask({"ask": "status", "wörter": ["ä", 1, None]})

    assert serve(path, echo, talk) == {
        "heard": {"ask": "status", "wörter": ["ä", 1, None]},
        "uid": os.getuid(),
        "pid": os.getpid(),
    }


def test_the_socket_file_has_the_mode_asked_for_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "run" / "control"
    modes: list[int] = []
    serve(path, echo, lambda: modes.append(stat.S_IMODE(path.stat().st_mode)), mode=0o660)
    assert modes == [0o660]
    assert list(path.parent.iterdir()) == []


def test_a_second_server_leaves_the_living_one_alone(tmp_path: Path) -> None:
    path = tmp_path / "control"

    def talk() -> object:
        with pytest.raises(PlatformError, match="already answers"):
            asyncio.run(ControlServer(path, echo).start())
        with ControlClient(path) as client:
            return client.ask({"still": "there"})["heard"]

    assert serve(path, echo, talk) == {"still": "there"}


def test_the_socket_of_a_dead_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(PlatformError, match="start the service"):
        ControlClient(path)

    def talk() -> object:
        with ControlClient(path) as client:
            return client.ask({"n": 1})["heard"]

    assert serve(path, echo, talk) == {"n": 1}


def test_a_question_is_answered_in_the_midst_of_a_request(tmp_path: Path) -> None:
    path = tmp_path / "control"
    answers: list[asyncio.Future[object]] = []

    async def up(request: Message, peer: PeerCredentials, send: Send) -> None:
        if request["verb"] == "up":
            answers.append(asyncio.get_running_loop().create_future())
            send({"asks": "password"})
            send({"up": await answers[0]})
        else:
            answers[0].set_result(request["value"])

    def talk() -> list[Message | None]:
        with ControlClient(path) as client:
            question = client.ask({"verb": "up"})
            return [question, client.ask({"verb": "answer", "value": "x"})]

    assert serve(path, up, talk) == [{"asks": "password"}, {"up": "x"}]


def test_hanging_up_cancels_what_was_watched(tmp_path: Path) -> None:
    path = tmp_path / "control"

    async def run() -> None:
        over = asyncio.Event()

        async def watch(request: Message, peer: PeerCredentials, send: Send) -> None:
            send({"watching": True})
            try:
                await asyncio.Event().wait()
            finally:
                over.set()

        def look() -> None:
            with ControlClient(path) as client:
                client.ask({})

        server = ControlServer(path, watch)
        await server.start()
        await asyncio.to_thread(look)
        await asyncio.wait_for(over.wait(), 5)
        await server.close()

    asyncio.run(run())


def test_closing_the_server_ends_open_conversations(tmp_path: Path) -> None:
    path = tmp_path / "control"

    async def run() -> Message | None:
        server = ControlServer(path, echo)
        await server.start()
        client = await asyncio.to_thread(ControlClient, path)
        with client:
            await asyncio.to_thread(client.ask, {})
            await server.close()
            return await asyncio.to_thread(client.receive)

    assert asyncio.run(run()) is None


@pytest.mark.parametrize(
    "line", [b"\n", b"[1]\n", b"nonsense\n", b"\xff\xfe\n", b"[" * 9000 + b"\n"]
)
def test_what_is_no_message_is_refused_and_the_conversation_goes_on(
    tmp_path: Path, line: bytes
) -> None:
    path = tmp_path / "control"

    def talk() -> tuple[object, object]:
        with ControlClient(path) as client:
            client._socket.sendall(line)
            refusal = client.receive()
            assert refusal is not None
            return refusal["error"], client.ask({"n": 2})["heard"]

    error, heard = serve(path, echo, talk)
    assert code_of({"error": error}) == "peer.control"
    assert heard == {"n": 2}


def test_an_endless_line_ends_the_conversation(tmp_path: Path) -> None:
    path = tmp_path / "control"

    def talk() -> tuple[Message | None, Message | None]:
        with ControlClient(path) as client:
            client._socket.sendall(b'"' + b"x" * (MAX_MESSAGE + 1))
            return client.receive(), client.receive()

    refusal, end = serve(path, echo, talk)
    assert refusal is not None
    assert code_of(refusal) == "peer.control"
    assert end is None


def test_our_own_errors_are_told_with_their_code(tmp_path: Path) -> None:
    path = tmp_path / "control"

    async def refuse(request: Message, peer: PeerCredentials, send: Send) -> None:
        raise ConfigError("no such profile", path="a.toml", line=3)

    def talk() -> Message:
        with ControlClient(path) as client:
            return client.ask({})

    assert serve(path, refuse, talk) == {
        "error": {"code": "config.invalid", "what": "a.toml:3: no such profile"}
    }


def test_a_bug_in_one_request_ends_that_request_alone(tmp_path: Path) -> None:
    path = tmp_path / "control"
    seen: list[object] = []

    async def broken(request: Message, peer: PeerCredentials, send: Send) -> None:
        if request.get("break"):
            raise RuntimeError("secret detail")
        await echo(request, peer, send)

    async def run() -> list[Message]:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: seen.append(context["exception"])
        )
        server = ControlServer(path, broken)
        await server.start()
        client = await asyncio.to_thread(ControlClient, path)
        with client:
            answers = [
                await asyncio.to_thread(client.ask, {"break": True}),
                await asyncio.to_thread(client.ask, {"n": 1}),
            ]
        await server.close()
        return answers

    first, second = asyncio.run(run())
    assert first["error"] == {"code": "internal", "what": "the service met an error of its own"}
    assert second["heard"] == {"n": 1}
    assert [type(error) for error in seen] == [RuntimeError]


def test_more_conversations_than_allowed_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "control"

    def talk() -> tuple[Message, Message]:
        crowd = [ControlClient(path) for _ in range(MAX_CLIENTS)]
        for client in crowd:
            client.ask({})
        with ControlClient(path) as late:
            refusal = late.receive()
        crowd.pop().close()
        answer: Message | None = None
        # The server needs a turn of its loop to see the place free.
        while answer is None or "error" in answer:
            with ControlClient(path) as next_one:
                answer = next_one.ask({"n": 1})
        for client in crowd:
            client.close()
        assert refusal is not None
        return refusal, answer

    refusal, answer = serve(path, echo, talk)
    assert code_of(refusal) == "busy"
    assert answer["heard"] == {"n": 1}


def test_a_client_that_does_not_read_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "control"

    async def run() -> bool:
        done = asyncio.Event()

        async def flood(request: Message, peer: PeerCredentials, send: Send) -> None:
            for _ in range(40):
                send({"filling": "x" * 500_000})
            done.set()
            await asyncio.Event().wait()

        server = ControlServer(path, flood)
        await server.start()
        with socket.socket(socket.AF_UNIX) as lazy:
            lazy.connect(str(path))
            lazy.sendall(b"{}\n")
            await done.wait()

            def drain() -> int:
                total = 0
                while more := lazy.recv(1 << 20):
                    total += len(more)
                return total

            got = await asyncio.to_thread(drain)
        await server.close()
        return got < 40 * 500_000

    assert asyncio.run(run())


def code_of(refusal: Message) -> object:
    error = refusal["error"]
    assert isinstance(error, dict)
    return error["code"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(st.dictionaries(st.text(), json_values, max_size=5))
def test_what_is_written_is_read_back_and_is_one_line(message: Message) -> None:
    line = to_line(message)
    assert line.count(b"\n") == 1
    assert parse_line(line) == message


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_a_documented_refusal(line: bytes) -> None:
    with contextlib.suppress(ControlProtocolError):
        assert isinstance(parse_line(line), dict)


def test_a_message_too_long_for_one_line_is_not_sent() -> None:
    with pytest.raises(ControlProtocolError, match="allowed"):
        to_line({"text": "x" * MAX_MESSAGE})
