"""The control protocol of both daemons: requests by name, over `culvert.netio.control_socket`.

    → {"id": 1, "method": "up", "params": {…}}
    ← {"id": 1, "event": {…}}            any number, while it lasts
    ← {"id": 1, "ask": {…}}              answered by a request "answer"
    ← {"id": 1, "rows": [{…}, …]}        long listings in pieces, so no message grows without limit
    ← {"id": 1, "result": {…}}  or  {"id": 1, "error": {"code", "sentence", "action"}}

docs/reference/control.md describes the methods.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from culvert.errors import CulvertError, PlatformError
from culvert.netio.control_socket import Handle, Message, PeerCredentials, Send

ROWS_PER_MESSAGE = 200
"""Rows of a listing in one message: some 100 KB, far below the longest message allowed."""


class RequestError(CulvertError):
    """A request that cannot be met; ``code`` becomes the exit status of the command line."""

    def __init__(self, code: str, sentence: str, action: str = "") -> None:
        self.code = code
        self.sentence = sentence
        self.action = action
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class Request:
    """One request, with what its answerer may use besides the result it returns."""

    params: Mapping[str, object]
    peer: PeerCredentials
    tell: Callable[[str, object], None] = field(repr=False)

    def text(self, key: str, default: str = "") -> str:
        """A parameter that must be text."""
        value = self.params.get(key, default)
        if not isinstance(value, str):
            raise RequestError("cli.usage", f"parameter {key!r} must be text")
        return value

    def whole(self, key: str, default: int = 0) -> int:
        """A parameter that must be a whole number."""
        value = self.params.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise RequestError("cli.usage", f"parameter {key!r} must be a whole number")
        return value

    def flag(self, key: str) -> bool:
        return self.params.get(key) is True

    def table(self, key: str) -> Mapping[str, object]:
        """A parameter that must be a JSON object."""
        value = self.params.get(key, {})
        if not isinstance(value, dict):
            raise RequestError("cli.usage", f"parameter {key!r} must be an object")
        return cast("Mapping[str, object]", value)

    def rows(self, found: Iterable[Mapping[str, object]]) -> None:
        """Send a listing in pieces."""
        piece: list[Mapping[str, object]] = []
        for row in found:
            piece.append(row)
            if len(piece) == ROWS_PER_MESSAGE:
                self.tell("rows", piece)
                piece = []
        if piece:
            self.tell("rows", piece)


Method = Callable[[Request], Awaitable[Mapping[str, object]]]


def member_of(group: str) -> Callable[[PeerCredentials], bool]:
    """Root, the daemon's own user, and the members of ``group`` (if the machine has it)."""
    own = os.geteuid()

    def allowed(peer: PeerCredentials) -> bool:
        return peer.uid in (0, own) or group_id(group) in groups_of(peer)

    return allowed


def group_id(name: str) -> int:
    """The number of a group, or -1 if the machine has none of that name."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def groups_of(peer: PeerCredentials) -> frozenset[int]:
    """The groups of the peer's user as the machine's files have them now."""
    try:
        user = pwd.getpwuid(peer.uid)
    except KeyError:
        return frozenset({peer.gid})
    return frozenset({peer.gid, *os.getgrouplist(user.pw_name, peer.gid)})


def answering(
    methods: Mapping[str, Method],
    allowed: Callable[[PeerCredentials], bool],
    fault: Callable[[str, BaseException], None],
) -> Handle:
    """The handler that answers ``methods`` to whoever is ``allowed``, and refuses in words."""

    async def handle(message: Message, peer: PeerCredentials, send: Send) -> None:
        number, name = message.get("id", 0), message.get("method")
        if not isinstance(number, int | str):
            number = 0  # nothing that anybody asks by

        def tell(kind: str, value: object) -> None:
            send({"id": number, kind: value})

        try:
            if not allowed(peer):
                raise RequestError(
                    "cli.denied",
                    "you may not control this service",
                    "Run the command as root, or ask an administrator to add you to its group.",
                )
            method = methods.get(name) if isinstance(name, str) else None
            if method is None:
                asked = repr(name) if isinstance(name, str) else "its name is no text"
                raise RequestError("cli.usage", f"no such method: {asked}")
            params = message.get("params", {})
            if not isinstance(params, dict):
                raise RequestError("cli.usage", "params must be an object")
            request = Request(cast("Mapping[str, object]", params), peer, tell)
            tell("result", dict(await method(request)))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # a defect here ends the request, nothing else
            if not isinstance(error, CulvertError):
                fault(f"answering {name!r}", error)
            tell("error", problem(error))

    return handle


def problem(error: BaseException) -> dict[str, str]:
    """An error as the control protocol and ``--json`` show it."""
    if not isinstance(error, CulvertError):
        return {
            "code": "internal",
            "sentence": f"{type(error).__name__}: {error}",
            "action": "This is a defect in culvert; please report it with `culvert log`.",
        }
    match error:
        case RequestError(sentence=sentence, action=action):
            pass
        case PlatformError(what=sentence, action=action):
            pass
        case _:
            sentence, action = str(error), ""
    return {"code": error.code, "sentence": sentence, "action": action}
