"""Where a daemon keeps its state and listens, and where the command line finds it.

Several daemons may run on one machine, each in a network namespace of its own: give each a state
directory, and its socket lies there too unless told otherwise.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

STATE_VARIABLE = "CULVERT_STATE_DIR"
SOCKET_VARIABLE = "CULVERT_SOCKET"

STATE_DIRECTORY = Path("/var/lib/culvert")
RUN_DIRECTORY = Path("/run/culvert")

SERVICE = "service"
GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one daemon."""

    state: Path
    socket: Path

    @property
    def events(self) -> Path:
        """The event log, JSON lines."""
        return self.state / "events.jsonl"

    @property
    def faults(self) -> Path:
        """Every event of severity 1, whoever else listens or does not."""
        return self.state / "faultlog.txt"

    @property
    def logs(self) -> Path:
        """The folder of the session logs, a file for each connection that was tried."""
        return self.state / "logs"

    @property
    def undo(self) -> Path:
        """What was changed on this machine and is not undone yet."""
        return self.state / "undo"

    @property
    def ways(self) -> Path:
        """What got through in which network."""
        return self.state / "ways.json"

    @property
    def established(self) -> Path:
        """``1`` while a connection works, else ``0``; world-readable."""
        return self.socket.parent / "TunnelEstablished"


def places(
    daemon: str,
    *,
    state_dir: str = "",
    socket: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Places:
    """The places of ``daemon`` (`SERVICE` or `GATEWAY`): options first, then environment."""
    chosen_state = state_dir or environment.get(STATE_VARIABLE, "")
    chosen_socket = socket or environment.get(SOCKET_VARIABLE, "")
    state = Path(chosen_state).absolute() if chosen_state else STATE_DIRECTORY / daemon
    if chosen_socket:
        return Places(state, Path(chosen_socket).absolute())
    run = state if chosen_state else RUN_DIRECTORY
    return Places(state, run / f"{daemon}.sock")
