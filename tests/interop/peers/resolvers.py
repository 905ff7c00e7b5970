"""The programs that own resolv.conf elsewhere, each in a namespace and beside this machine's own:
openresolv's resolvconf, moved to a folder of the lab, and systemd-resolved on a bus of its own.

`tools/install-peers desktop` unpacks them.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from culvert.lab import namespace
from culvert.lab.lab import Lab
from interop.ours import until
from interop.peers.credentials import PeerFailure

UNPACKED = Path("/opt/culvert-peers/desktop")
OPENRESOLV = UNPACKED / "openresolv"
RESOLVED = UNPACKED / "lib/systemd/systemd-resolved"

NOBODY = 65534

BUS = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


def missing(program: str) -> PeerFailure:
    return PeerFailure(f"{program} is missing: run tools/install-peers desktop")


@contextmanager
def resolvconf(lab: Lab, where: str, server: str) -> Iterator[Mapping[str, str]]:
    """In charge in ``where``, with ``server`` for eth0; the environment to find it."""
    found = list(OPENRESOLV.glob("**/sbin/resolvconf"))
    if not found:
        raise missing("openresolv")
    place = lab.state / "resolvconf"
    for folder in ("bin", "etc", "lib/libc.d", "run"):
        (place / folder).mkdir(parents=True, exist_ok=True)
    moved = {
        "SYSCONFDIR=/etc": f"SYSCONFDIR={place}/etc",
        "LIBEXECDIR=/lib/resolvconf": f"LIBEXECDIR={place}/lib",
        "VARDIR=/run/resolvconf": f"VARDIR={place}/run",
    }
    (libc,) = OPENRESOLV.glob("**/lib/resolvconf/libc")
    for source, to in ((found[0], place / "bin/resolvconf"), (libc, place / "lib/libc")):
        text = source.read_text("utf-8")
        for before, after in moved.items():
            text = text.replace(f"\n{before}\n", f"\n{after}\n")
        to.write_text(text, "utf-8")
        to.chmod(0o755)
    environment = {"PATH": f"{place}/bin:{os.environ['PATH']}"}
    tell = ["sh", str(place / "bin/resolvconf"), "-a", "eth0"]
    lab.run(where, tell, given=f"nameserver {server}\n", env=environment)
    try:
        yield environment
    finally:
        shutil.rmtree(place)


@contextmanager
def resolved(lab: Lab, where: str, server: str) -> Iterator[Mapping[str, str]]:
    """In charge in ``where``, with ``server`` for eth0; the environment to reach it."""
    if not RESOLVED.exists():
        raise missing("systemd-resolved")
    (libraries,) = UNPACKED.glob("usr/lib/*/systemd")
    address = f"unix:abstract=culvert-{lab.prefix}"  # of this network namespace alone
    configuration = lab.state / "system-bus.conf"
    configuration.write_text(BUS.format(address=address), "utf-8")
    environment = {
        "DBUS_SYSTEM_BUS_ADDRESS": address,
        "SYSTEMD_LOG_TARGET": "console",
        "LD_LIBRARY_PATH": str(libraries),
        "PATH": f"{UNPACKED}/usr/bin:{os.environ['PATH']}",
    }
    daemon = [namespace.tool("dbus-daemon"), "--nofork", f"--config-file={configuration}"]
    bus = lab.spawn(where, daemon, label="system-bus")
    until("the bus is there", lambda: address.split("=")[1] in _sockets(lab, where), seconds=10)
    folder = lab.run_folder("resolved") / "systemd/resolve"
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, NOBODY, NOBODY)
    # As somebody else, for root must have a user systemd-resolve to become.
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    caps = [f"--{kind}-caps=+net_bind_service,+net_raw,+setpcap" for kind in ("inh", "ambient")]
    words = [namespace.tool("setpriv"), *ids, *caps, str(RESOLVED)]
    running = lab.spawn(where, words, private_run=True, label="resolved", env=environment)
    try:
        until("resolved answers", lambda: _answers(lab, where, environment), seconds=10)
        lab.run(where, ["resolvectl", "dns", "eth0", server], env=environment)
        yield environment
    finally:
        running.stop()
        bus.stop()


def _answers(lab: Lab, where: str, environment: Mapping[str, str]) -> bool:
    asked = lab.run(where, ["resolvectl", "status"], env=environment, check=False)
    return asked.returncode == 0


def _sockets(lab: Lab, where: str) -> str:
    return lab.run(where, ["cat", "/proc/net/unix"]).stdout
