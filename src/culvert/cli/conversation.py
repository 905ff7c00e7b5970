"""One conversation of the command line with a daemon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from culvert.driver.control import RequestError
from culvert.errors import PlatformError
from culvert.netio.control_socket import ControlClient, ControlProtocolError, Message

Row = Mapping[str, object]
Answer = Mapping[str, str] | None


class Conversation:
    """Asks a daemon by method name; see `culvert.driver.control` for what comes back."""

    def __init__(self, socket: Path, *, daemon: str, timeout: float | None = None) -> None:
        try:
            self._client = ControlClient(socket, timeout=timeout)
        except PlatformError as error:
            if isinstance(error.__cause__, PermissionError):
                raise RequestError("cli.denied", error.what, error.action) from error
            raise RequestError(
                "cli.not-running",
                f"{daemon} is not running (no answer at {socket})",
                HOW_TO[daemon],
            ) from error
        self._number = 0

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    @property
    def server_uid(self) -> int:
        """Who answers: a password goes only to root or to oneself."""
        return self._client.server.uid

    def request(
        self,
        method: str,
        params: Row,
        *,
        event: Callable[[Row], None] | None = None,
        rows: Callable[[list[Row]], None] | None = None,
        ask: Callable[[Row], Answer] | None = None,
    ) -> Row:
        """Ask and wait for the result, handing on whatever comes before it.

        Raises RequestError with the daemon's own code and words.
        """
        number = self._send(method, params)
        for message in self._client:
            if message.get("id", number) != number:
                continue  # the daemon's receipt for an answer
            if "error" in message:
                raise _refusal(message["error"])
            if "result" in message:
                return _object(message["result"])
            if event is not None and "event" in message:
                event(_object(message["event"]))
            if rows is not None and "rows" in message:
                rows(cast("list[Row]", message["rows"]))
            if ask is not None and "ask" in message:
                question = _object(message["ask"])
                params = {"ticket": question.get("ticket"), "values": ask(question)}
                self._send("answer", params)
        raise RequestError(
            "cli.not-running",
            "the service ended before it answered",
            "Its event log says why (`culvert log`).",
        )

    def listing(self, method: str, params: Row) -> tuple[list[Row], Row]:
        """All rows of a listing, and its result."""
        found: list[Row] = []
        result = self.request(method, params, rows=found.extend)
        return found, result

    def _send(self, method: str, params: Row) -> int:
        self._number += 1
        self._client.send({"id": self._number, "method": method, "params": dict(params)})
        return self._number


HOW_TO = {
    "the service": "Start it: `culvert service run` as root, or systemctl start culvert.",
    "the gateway": "Start it: `culvert gateway run -c FILE` as root.",
}


def _refusal(error: object) -> RequestError:
    said = cast("Message", error) if isinstance(error, dict) else {}
    sentence = said.get("sentence") or said.get("what") or "refused without a word"
    return RequestError(
        str(said.get("code", "internal")), str(sentence), str(said.get("action", ""))
    )


def _object(value: object) -> Row:
    if not isinstance(value, dict):
        raise ControlProtocolError("a JSON object was expected")
    return cast("Row", value)
