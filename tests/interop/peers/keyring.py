"""gnome-keyring's Secret Service on a session bus of its own, unlocked or locked.

`tools/install-peers desktop` unpacks it: installed, it would bring half a desktop.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from culvert.lab import namespace
from interop.ours import until
from interop.peers.credentials import PeerFailure

UNPACKED = Path("/opt/culvert-peers/desktop")
DAEMON = UNPACKED / "usr/bin/gnome-keyring-daemon"
PASSPHRASE = b"of the keyring"


def home(folder: Path) -> Mapping[str, str]:
    """The environment of a person at home in ``folder``, without a session bus."""
    places = {
        "HOME": folder,
        "XDG_DATA_HOME": folder / "data",
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_RUNTIME_DIR": folder / "run",
    }
    for place in places.values():
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    no_bus = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder}/no-bus"}
    return {**{name: str(place) for name, place in places.items()}, **no_bus}


@contextmanager
def keyring(folder: Path, *, locked: bool = False) -> Iterator[Mapping[str, str]]:
    """The environment of a person whose desktop has one; what it holds outlives it."""
    if not DAEMON.exists():
        raise PeerFailure("gnome-keyring is missing: run tools/install-peers desktop")
    bus = f"unix:path={folder}/bus"
    environment = {**home(folder), "DBUS_SESSION_BUS_ADDRESS": bus}
    (libraries,) = UNPACKED.glob("usr/lib/*/libgck-1.so.0")
    around = {**os.environ, **environment, "LD_LIBRARY_PATH": str(libraries.parent)}
    words = [str(DAEMON), "--foreground", "--components=secrets"]
    daemon = [namespace.tool("dbus-daemon"), "--session", "--nofork", f"--address={bus}"]
    started: list[subprocess.Popen[bytes]] = []
    try:
        quiet = subprocess.DEVNULL
        started.append(subprocess.Popen(daemon, stderr=quiet, env={**os.environ, **environment}))
        until("the bus is there", (folder / "bus").exists, seconds=10)
        unlock = [] if locked else ["--unlock"]
        running = subprocess.Popen(
            [*words, *unlock], env=around, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet
        )
        started.append(running)
        if running.stdin is not None:
            running.stdin.write(b"" if locked else PASSPHRASE)
            running.stdin.close()
        until("it is on the bus", lambda: _named(bus), seconds=10)
        yield environment
    finally:
        for each in reversed(started):
            each.send_signal(signal.SIGTERM)
            each.wait(10)
        (folder / "bus").unlink(missing_ok=True)


def _named(bus: str) -> bool:
    ask = [
        namespace.tool("dbus-send"),
        f"--bus={bus}",
        "--print-reply",
        "--dest=org.freedesktop.DBus",
        "/org/freedesktop/DBus",
        "org.freedesktop.DBus.NameHasOwner",
        "string:org.freedesktop.secrets",
    ]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    return "boolean true" in done.stdout
