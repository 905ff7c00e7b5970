"""The local control socket: JSON lines over a Unix stream socket, with the peer's credentials.

One message is one JSON object on one line. The server calls ``handle`` once per request, each in a
task of its own, so that a conversation may go on (an answer to a question) while an earlier request
still sends events. When the client hangs up, its tasks are cancelled: a handler that watches
something unsubscribes in ``finally``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from culvert.errors import CulvertError, PlatformError, ProtocolError

MAX_MESSAGE = 1 << 20
"""Octets of one message: a status of thousands of sessions fits, a runaway writer does not."""

MAX_UNSENT = 8 << 20
"""Octets kept for a client that does not read; then it is cut off instead of growing memory."""

MAX_CLIENTS = 64
"""Conversations at once: people and scripts of one machine, not the world."""

MAX_REQUESTS = 16
"""Requests of one conversation still being answered; the next one waits in the socket."""

_KEEP_FILE: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""`close` removes the file, if it is still ours; asyncio must not."""

_UCRED = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7), SO_PEERCRED)

Message = dict[str, object]
Send = Callable[[Mapping[str, object]], None]


@dataclass(frozen=True, slots=True)
class PeerCredentials:
    """Who is at the other end, as the kernel noted it when the connection was made."""

    pid: int
    uid: int
    gid: int


Handle = Callable[[Message, PeerCredentials, Send], Awaitable[None]]


class ControlProtocolError(ProtocolError):
    """The other end of the control socket sent something that is not a message."""

    code = "peer.control"


def to_line(message: Mapping[str, object]) -> bytes:
    """The message as one line; `ControlProtocolError` if it is too long for one.

    Half a character, which a request may have named, stays what it was: JSON's own escape of it.
    """
    text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
    line = text.encode("utf-8", "backslashreplace") + b"\n"
    if len(line) > MAX_MESSAGE:
        raise ControlProtocolError(f"message of {len(line)} octets, {MAX_MESSAGE} allowed")
    return line


def parse_line(line: bytes) -> Message:
    """One line as a message; anything that is not a JSON object is a `ControlProtocolError`."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ControlProtocolError("not JSON") from error
    if not isinstance(message, dict):
        raise ControlProtocolError("not a JSON object")
    return cast("Message", message)


def credentials_of(connection: socket.socket) -> PeerCredentials:
    """Who opened this Unix connection, or listens behind it."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return PeerCredentials(pid, uid, gid)


# --- server ------------------------------------------------------------------------------------


class ControlServer:
    """Listens at ``path``; ``handle(request, peer, send)`` answers.

    ``mode`` and ``gid`` say who may connect at all; what a person may *do* is the handler's to
    decide from the credentials. `start` refuses when another server answers at this path.
    """

    def __init__(self, path: Path, handle: Handle, *, mode: int = 0o600, gid: int = -1) -> None:
        self._path = path
        self._handle = handle
        self._mode = mode
        self._gid = gid
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._inode = -1

    async def start(self, given: socket.socket | None = None) -> None:
        """``given``: the listening socket that another process had here."""
        listener = given or listen(self._path, mode=self._mode, gid=self._gid)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(
            self._converse, sock=listener, limit=MAX_MESSAGE, **_KEEP_FILE
        )

    def fileno(self) -> int:
        """The listening socket, -1 if there is none."""
        return self._server.sockets[0].fileno() if self._server is not None else -1

    def release(self) -> None:
        """Another process listens on here: this one only ends its conversations."""
        self._inode = -1
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Stop listening, end every conversation, remove the socket file if it is still ours."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(FileNotFoundError):
            if self._path.stat().st_ino == self._inode:
                self._path.unlink()
        clients = tuple(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = cast("asyncio.Task[None]", asyncio.current_task())
        self._clients.add(me)
        try:
            if len(self._clients) > MAX_CLIENTS:
                writer.write(_refusal("busy", f"{MAX_CLIENTS} conversations are open already"))
                return
            await _Conversation(reader, writer, self._handle).run()
        except asyncio.CancelledError:
            # Either `close` is waiting for us or the loop ends: both want the finally below only.
            pass
        finally:
            self._clients.discard(me)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class _Conversation:
    """One client: reads its lines, runs a task per request, ends them all when it hangs up."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handle: Handle
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handle = handle
        self._peer = credentials_of(writer.get_extra_info("socket"))
        self._requests: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(MAX_REQUESTS)

    async def run(self) -> None:
        try:
            while line := await self._read_line():
                await self._room.acquire()
                request = asyncio.create_task(self._answer(line))
                self._requests.add(request)
                request.add_done_callback(self._answered)
        finally:
            for request in self._requests:
                request.cancel()
            await asyncio.gather(*self._requests, return_exceptions=True)

    async def _read_line(self) -> bytes:
        """The next line; empty when the client has gone or talks too long without an end."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return b""
        except ValueError:  # what readline says when its limit is passed
            self._writer.write(_refusal("peer.control", f"a line over {MAX_MESSAGE} octets"))
            return b""
        return line if line.endswith(b"\n") else b""

    async def _answer(self, line: bytes) -> None:
        try:
            await self._handle(parse_line(line), self._peer, self.send)
        except CulvertError as error:
            self._writer.write(_refusal(error.code, str(error)))
        except Exception:
            self._writer.write(_refusal("internal", "the service met an error of its own"))
            raise

    def _answered(self, request: asyncio.Task[None]) -> None:
        self._requests.discard(request)
        self._room.release()
        if not request.cancelled() and (error := request.exception()) is not None:
            # One request's bug ends that request; the loop's handler puts it into the event log.
            request.get_loop().call_exception_handler(
                {"message": "control request failed", "exception": error, "task": request}
            )

    def send(self, message: Mapping[str, object]) -> None:
        """Queue one message; a client that stopped reading is cut off at `MAX_UNSENT`."""
        if self._writer.is_closing():
            return
        self._writer.write(to_line(message))
        transport = self._writer.transport
        if transport.get_write_buffer_size() > MAX_UNSENT:
            transport.abort()


def _refusal(code: str, what: str) -> bytes:
    return to_line({"error": {"code": code, "what": what}})


def listen(path: Path, *, mode: int, gid: int = -1) -> socket.socket:
    """A listening socket at ``path``, never for a moment more open than ``mode``.

    It is bound under a name of its own and moved into place when it is ready; what a dead server
    left behind is replaced, a living one is left alone (`PlatformError`).
    """
    if is_answering(path):
        raise PlatformError(
            f"another service already answers at {path}",
            action="use that one, or stop it first",
        )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        fresh.unlink(missing_ok=True)
        os.fchmod(listener.fileno(), mode)  # bind takes the file's mode from here, less the umask
        listener.bind(os.fspath(fresh))
        if gid >= 0:
            os.chown(fresh, -1, gid)
        fresh.chmod(mode)
        listener.listen(MAX_CLIENTS)
        fresh.replace(path)
    except OSError as error:
        listener.close()
        fresh.unlink(missing_ok=True)
        raise PlatformError(
            f"cannot listen at {path}: {error.strerror}",
            action="check who owns its directory, or choose another path",
        ) from error
    return listener


def is_answering(path: Path) -> bool:
    """Whether a living server accepts connections at ``path``."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            # A full backlog is a living server too.
            return error.errno == errno.EAGAIN
    return True


# --- client ------------------------------------------------------------------------------------


class ControlClient:
    """The blocking end for a command line.

    ``timeout`` bounds one wait for one message; None waits as long as the service lives.
    """

    def __init__(self, path: Path, *, timeout: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(os.fspath(path))
        except OSError as error:
            self._socket.close()
            raise _unreachable(path, error) from error
        self.server = credentials_of(self._socket)
        """Who answers; a password should only go to root or to oneself."""
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, message: Mapping[str, object]) -> None:
        try:
            self._socket.sendall(to_line(message))
        except OSError as error:
            raise _gone(error) from error

    def receive(self) -> Message | None:
        """The next message; None when the service has closed the conversation."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            if len(self._received) > MAX_MESSAGE:
                raise ControlProtocolError(f"a line over {MAX_MESSAGE} octets")
            searched = len(self._received)
            try:
                more = self._socket.recv(65536)
            except OSError as error:
                raise _gone(error) from error
            if not more:
                return None
            self._received += more
        line = bytes(self._received[: end + 1])
        del self._received[: end + 1]
        return parse_line(line)

    def ask(self, request: Mapping[str, object]) -> Message:
        """Send one request and wait for the next message; silence is a `PlatformError`."""
        self.send(request)
        answer = self.receive()
        if answer is None:
            raise PlatformError(
                "the service closed the conversation without an answer",
                action="its event log says why",
            )
        return answer

    def __iter__(self) -> Iterator[Message]:
        while (message := self.receive()) is not None:
            yield message


def _unreachable(path: Path, error: OSError) -> PlatformError:
    if isinstance(error, PermissionError):
        return PlatformError(
            f"no permission to talk to the service at {path}",
            action="run as root, or join the group that owns this socket",
        )
    return PlatformError(
        f"no service answers at {path}: {error.strerror}",
        action="start the service first",
    )


def _gone(error: OSError) -> PlatformError:
    if isinstance(error, TimeoutError):
        return PlatformError("the service does not answer in time", action="look at its event log")
    return PlatformError(
        f"the conversation with the service broke: {error.strerror}",
        action="the service was stopped; start it again",
    )
