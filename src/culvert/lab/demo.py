"""The scene of `culvert demo` for real: a lab of its own, our programs in it, real packets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

from culvert.driver.places import GATEWAY as GATEWAY_DAEMON
from culvert.driver.places import SERVICE as CLIENT_DAEMON
from culvert.errors import PlatformError
from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines
from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.lab.pat import Neighbour, Xlate
from culvert.lab.scene import (
    CLIENTS,
    CONNECTION,
    DOWNLOAD,
    GATEWAY,
    PINGS,
    Downloaded,
    Pinged,
    Progress,
    Row,
    Secrets,
    Told,
    gateway_file,
    profile_file,
)
from culvert.netio.control_socket import ControlClient, is_answering

PROGRAM = (sys.executable, "-m", "culvert")
START_PATIENCE = 20.0
"""Daemons answer within a second; on a loaded machine it takes longer, never this long."""
CONNECT_PATIENCE = 30.0
ANSWER_PATIENCE = 20.0
LOOK = 0.02
PING_INTERVAL = 0.2

SEEN = {
    "routes": ("ip", "-4", "route", "show", "table", "all"),
    "addresses": ("ip", "-br", "-4", "addr", "show", "up"),
    "devices": ("ip", "-br", "link"),
    "rules": ("ip", "-4", "rule"),
    "DNS": ("cat", "/etc/resolv.conf"),
    "forwarding": ("cat", "/proc/sys/net/ipv4/ip_forward"),
}
"""Everything that a connection may change on a machine, and how to see it."""


class Demo:
    """The scene in network namespaces whose names begin with ``prefix``."""

    place = (
        "Played in network namespaces of this machine, with real packets through real TUN "
        "devices.\nNothing outside of them is touched."
    )

    def __init__(self, prefix: str) -> None:
        self._lab = Lab(prefix, keeps_files=False)
        self._secrets = Secrets()
        self._before: dict[str, Mapping[str, str]] = {}

    def build(self) -> None:
        self._lab.up(owned=True)
        self._before = {where: self._traces(where) for where in (*CLIENTS, GATEWAY)}

    def start(self) -> None:
        config = self._private("gateway.toml", gateway_file(self._secrets))
        self._spawn(GATEWAY, "gateway", "run", "-c", str(config))
        for client in CLIENTS:
            self._private(f"{client}/{CONNECTION}.toml", profile_file(client, self._secrets))
            self._spawn(client, "service", "run")
        end = time.monotonic() + START_PATIENCE
        for who in (GATEWAY, *CLIENTS):
            while not is_answering(self._socket(who)):
                if time.monotonic() > end or not any(
                    one.name == who for one in self._lab.running()
                ):
                    raise PlatformError(f"{who} did not start. Its log:\n{self._log(who)}")
                time.sleep(LOOK)

    def connect(self) -> Mapping[str, float]:
        with ThreadPoolExecutor() as pool:
            return dict(zip(CLIENTS, pool.map(self._up, CLIENTS), strict=True))

    def _up(self, client: str) -> float:
        profile = self._lab.state / client / f"{CONNECTION}.toml"
        done = self._culvert(
            client,
            *("up", str(profile), "--password-stdin", "--json"),
            given=f"{self._secrets.passwords[client].reveal()}\n",
        )
        if done.returncode:
            raise PlatformError(f"{client} did not connect:\n{done.stdout}\n{self._log(client)}")
        (up,) = [
            entry
            for entry in self.ask(client, "story", {"key": CONNECTION}).entries
            if entry.code == "client.up"
        ]
        seconds = up.field("seconds")
        return float(seconds) if isinstance(seconds, int | float) else 0.0

    def ping(self, client: str) -> Pinged:
        command = [namespace.tool("ping"), "-n", "-i", str(PING_INTERVAL), "-c", str(PINGS)]
        said = self._lab.run(client, [*command, topology.SERVER], check=False).stdout
        times = [float(word[5:]) for word in said.split() if word.startswith("time=")]
        return Pinged(PINGS, tuple(times))

    def download(self, progress: Progress) -> Mapping[str, Downloaded]:
        def fetch(client: str) -> Downloaded:
            one = self._lab.fetch(client, DOWNLOAD, progress=lambda count: progress(client, count))
            return Downloaded(one.octets, one.seconds, one.sha256, one.identical)

        with ThreadPoolExecutor() as pool:
            return dict(zip(CLIENTS, pool.map(fetch, CLIENTS), strict=True))

    def xlate(self) -> Xlate:
        return self._lab.xlate()

    def arp(self) -> Sequence[Neighbour]:
        return self._lab.arp()

    def ask(self, who: str, method: str, params: Row) -> Told:
        rows: list[Row] = []
        entries: list[Entry] = []
        with ControlClient(self._socket(who), timeout=ANSWER_PATIENCE) as there:
            there.send({"id": 1, "method": method, "params": dict(params)})
            for message in there:
                if "error" in message:
                    raise PlatformError(f"{who} refused {method}: {message['error']}")
                if "rows" in message:
                    rows += cast("list[Row]", message["rows"])
                if "event" in message:
                    entries.append(json_lines.parse(json.dumps(message["event"])))
                if "result" in message:
                    return Told(tuple(rows), tuple(entries), cast("Row", message["result"]))
        raise PlatformError(f"{who} ended before it answered {method}")

    def disconnect(self, client: str) -> None:
        self.ask(client, "down", {"name": CONNECTION})

    def left_over(self) -> Sequence[str]:
        self._stop_all()
        now = {where: self._traces(where) for where in self._before}
        return [
            f"{what} of {where}"
            for where, before in self._before.items()
            for what, text in before.items()
            if now[where][what] != text
        ]

    def end(self) -> None:
        self._lab.down()

    # --- programs ------------------------------------------------------------------------------

    def _spawn(self, who: str, *words: str) -> None:
        self._folder(who).mkdir(mode=0o700, exist_ok=True)
        self._lab.spawn(who, [*PROGRAM, *words, *self._places(who)], label=who)

    def _culvert(self, who: str, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, *words, *self._places(who)]
        return self._lab.run(who, command, given=given, check=False, timeout=CONNECT_PATIENCE)

    def _stop_all(self) -> None:
        for one in self._lab.running():
            if one.name in (GATEWAY, *CLIENTS):
                one.stop()

    def _log(self, who: str) -> str:
        log = self._lab.state / f"{who}.log"
        return log.read_text("utf-8", "replace") if log.exists() else ""

    # --- places --------------------------------------------------------------------------------

    def _folder(self, who: str) -> Path:
        return self._lab.state / who

    def _socket(self, who: str) -> Path:
        daemon = GATEWAY_DAEMON if who == GATEWAY else CLIENT_DAEMON
        return self._folder(who) / f"{daemon}.sock"

    def _places(self, who: str) -> tuple[str, ...]:
        return ("--state-dir", str(self._folder(who)), "--socket", str(self._socket(who)))

    def _private(self, name: str, text: str) -> Path:
        place = self._lab.state / name
        place.parent.mkdir(mode=0o700, exist_ok=True)
        place.touch(mode=0o600)
        place.write_text(text, "utf-8")
        return place

    def _traces(self, where: str) -> Mapping[str, str]:
        return {name: self._lab.run(where, command).stdout for name, command in SEEN.items()}
