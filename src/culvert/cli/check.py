"""``culvert check``: does this machine give what a connection needs?"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from culvert.cli import options
from culvert.cli.exit_code import status_of
from culvert.cli.output import document
from culvert.driver.engine import choose, kernel_ipsec
from culvert.driver.places import SERVICE, Places, places
from culvert.driver.state_directory import look
from culvert.errors import CulvertError, PlatformError
from culvert.identity.certificates.proof import soon
from culvert.netio.control_socket import is_answering
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.store.certificates import CertificateStore, directories
from culvert.vault.credential import contents

IKE_PORT, NATT_PORT = 500, 4500
RESOLV_CONF = Path("/etc/resolv.conf")
CAP_NET_ADMIN, CAP_NET_BIND_SERVICE = 12, 10  # <linux/capability.h>


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``needed``: without it no connection comes up."""

    name: str
    good: bool
    sentence: str
    action: str = ""
    needed: bool = True


@click.command(epilog="Example: sudo culvert check")
@options.as_json
@options.state_dir
@options.socket
def check(as_json: bool, state_dir: str, socket: str) -> int:
    """Test privileges, state directory, TUN, UDP ports, DNS file and service of this machine."""
    findings = list(examine(places(SERVICE, state_dir=state_dir, socket=socket)))
    if as_json:
        document({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(told(finding))
    bad = any(finding.needed and not finding.good for finding in findings)
    return status_of("cli.problems" if bad else "ok")


def told(finding: Finding) -> str:
    """One finding in words."""
    mark = "ok     " if finding.good else "PROBLEM" if finding.needed else "note   "
    lines = [f"{mark}  {finding.name}: {finding.sentence}"]
    if finding.action and not finding.good:
        lines.append(f"         {finding.action}")
    return "\n".join(lines)


def examine(where: Places) -> Iterator[Finding]:
    """Look at everything; nothing is left behind."""
    running = is_answering(where.socket)
    yield Finding(
        "service",
        running,
        f"answers at {where.socket}" if running else "is not running",
        "`culvert up` as root starts it; or: systemctl start culvert",
        needed=False,
    )
    rights = _rights()
    # A running service has the privileges and may hold the ports; a person's own do not matter.
    yield Finding(
        "privileges",
        not rights or running,
        f"missing: {', '.join(rights)}" if rights else "network administration is permitted",
        "Run as root, or let the service do the work.",
    )
    yield _try(
        "state directory",
        partial(look, where.state),
        f"{where.state} can be used",
        needed=not running,
    )
    yield _try("TUN", _open_tun, "devices can be made", needed=not running)
    yield _engine()
    yield _kernel_ipsec()
    for port, use in ((IKE_PORT, "IKE"), (NATT_PORT, "IKE and ESP behind a NAT")):
        yield _try(
            f"UDP port {port}",
            partial(_open_port, port),
            f"free, for {use}",
            needed=False,
        )
    yield _resolv_conf()
    yield _certificates()


def _rights() -> list[str]:
    held = effective_capabilities(Path("/proc/self/status").read_text())
    wanted: Mapping[str, int] = {
        "CAP_NET_ADMIN": CAP_NET_ADMIN,
        "CAP_NET_BIND_SERVICE": CAP_NET_BIND_SERVICE,
    }
    return [name for name, number in wanted.items() if not held >> number & 1]


def effective_capabilities(status: str) -> int:
    """The capability bits in a text of /proc/PID/status (proc_pid_status(5))."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _engine() -> Finding:
    """Pure Python serves everywhere, several times slower."""
    try:
        chosen = choose()
    except PlatformError as error:
        return Finding("engine", good=False, sentence=error.what, action=error.action)
    return Finding(
        "engine",
        good=chosen.name != "python",
        sentence=chosen.reason,
        action=f"For speed, {chosen.cure}." if chosen.cure else "",
        needed=False,
    )


def _kernel_ipsec() -> Finding:
    """Without it packets pass through user space: the same tunnels, other figures."""
    why = kernel_ipsec()
    return Finding(
        "kernel IPsec",
        good=not why,
        sentence=why or "is there, and carries what it can (CULVERT_ENGINE=user: user space does)",
        action="User space does the same; nothing needs to be done.",
        needed=False,
    )


def _open_port(port: int) -> None:
    UdpSocket.bind("0.0.0.0", port).close()  # noqa: S104  # every address, as a client does


def _open_tun() -> None:
    Tun.open().close()


def _try(name: str, attempt: Callable[[], None], good: str, *, needed: bool) -> Finding:
    try:
        attempt()
    except PlatformError as error:
        return Finding(name, good=False, sentence=error.what, action=error.action, needed=needed)
    return Finding(name, good=True, sentence=good, needed=needed)


def _resolv_conf() -> Finding:
    if not RESOLV_CONF.exists():
        return Finding(
            "DNS",
            good=False,
            sentence=f"{RESOLV_CONF} does not exist",
            action="Names inside the tunnel will not be found; make an empty file.",
            needed=False,
        )
    target = RESOLV_CONF.resolve()
    changed = os.access(target, os.W_OK) or os.geteuid() != 0
    return Finding(
        "DNS",
        good=changed,
        sentence=f"{target} "
        + ("can be changed" if changed else "cannot be written, even by root"),
        action="Something protects the file (chattr +i, a read-only mount): names inside the "
        "tunnel will not be found.",
        needed=False,
    )


def _certificates() -> Finding:
    """Those in the store: what expires soon is better known today."""
    store = CertificateStore(directories(os.environ))
    said: list[str] = []
    count = 0
    try:
        for saved in store.saved():
            # A file may hold a key that still waits for its certificate.
            found = contents(store.read(saved.name), path=saved.name).certificates
            count += bool(found)
            said += [one.sentence for one in soon(found, datetime.now(UTC))]
    except CulvertError as error:
        said.append(str(error))
    return Finding(
        "certificates",
        good=not said,
        sentence=" ".join(said) or f"{count} in the store, none expires soon",
        action="Have them renewed; `culvert certificate import FILE --replace` brings them in.",
        needed=False,
    )
