"""Systems whose resolv.conf belongs to a program: systemd-resolved and resolvconf are told (S1-77).

Which one is in charge is seen at resolv.conf itself, for both may be installed and asleep.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from culvert.changes.change import FileReplaced, NamesGiven
from culvert.changes.plan import Device, Plan
from culvert.errors import PlatformError
from culvert.netio.resolv_conf import checked
from culvert.netio.resolver import RESOLV_CONF, NameService, PlainFile

RESOLVED, RESOLVCONF = "resolvectl", "resolvconf"
PATIENCE = 10.0
EVERYTHING = "~."
SIGNS = {RESOLVED: "/systemd/resolve/", RESOLVCONF: "resolvconf"}
"""What the target of resolv.conf, or its first lines, say of who made it."""
LOOKED_AT = 400


class SystemResolver:
    """Whoever is in charge when it is asked; the plain file where nobody is."""

    def __init__(self, path: Path = RESOLV_CONF) -> None:
        self._path = path
        self._file = PlainFile(path)

    @property
    def splits(self) -> bool:
        return in_charge(self._path) == RESOLVED

    def servers(self) -> tuple[str, ...]:
        return self._file.servers()

    def plan(self, wished: NameService, device: Device | None = None) -> Plan:
        program = in_charge(self._path)
        if not program or device is None:
            return self._file.plan(wished)
        servers, search, notes = checked(wished.servers, wished.search)
        _, split, more = checked((), wished.split)
        if not servers:
            return Plan((), (*notes, *more))
        domains = _domains(program, search, split)
        change = NamesGiven(
            program,
            device.interface,
            device.index,
            " ".join(servers),
            " ".join(domains),
            bool(split),
        )
        return Plan((change,), (*notes, *more))

    def make(self, change: FileReplaced) -> bool:
        return self._file.make(change)

    def undo(self, change: FileReplaced) -> str:
        return self._file.undo(change)


def in_charge(path: Path) -> str:
    """The program to tell; empty: the file itself."""
    made_by = ""
    if path.is_symlink():
        made_by = str(path.readlink())
    elif path.is_file():
        with path.open("rb") as file:
            made_by = "\n".join(
                line
                for line in file.read(LOOKED_AT).decode("latin-1").splitlines()
                if line.startswith("#")
            )
    return next(
        (name for name, sign in SIGNS.items() if sign in made_by and shutil.which(name)), ""
    )


def _domains(program: str, search: tuple[str, ...], split: tuple[str, ...]) -> list[str]:
    """For resolved a tilde says: for asking only, not for searching; a dot: everything."""
    if program == RESOLVCONF:
        return list(search)
    routed = [f"~{domain}" for domain in split if domain not in search]
    return [*search, *(routed if split else [EVERYTHING])]


def make(change: NamesGiven) -> bool:
    """Raises PlatformError."""
    servers, domains = change.servers.split(), change.domains.split()
    if change.program == RESOLVED:
        _run(RESOLVED, "dns", change.interface, *servers)
        _run(RESOLVED, "domain", change.interface, *domains)
        _run(RESOLVED, "default-route", change.interface, "no" if change.split else "yes")
        return True
    search = [f"search {' '.join(domains)}"] if domains else []
    lines = [*search, *(f"nameserver {server}" for server in servers)]
    # -x: these servers alone, or names would go to the others as well.
    _run(RESOLVCONF, "-x", "-a", _record(change), given="\n".join(lines) + "\n")
    return True


def undo(change: NamesGiven) -> str:
    """A device that is gone took its servers along."""
    if change.program == RESOLVED:
        if not Path("/sys/class/net", change.interface).exists():
            return ""
        _run(RESOLVED, "revert", change.interface)
    else:
        _run(RESOLVCONF, "-f", "-d", _record(change))
    return ""


def _record(change: NamesGiven) -> str:
    return f"{change.interface}.culvert"


def _run(program: str, *words: str, given: str = "") -> None:
    found = shutil.which(program)
    if found is None:
        raise PlatformError(f"{program} is not there any more", action="install it again")
    try:
        done = subprocess.run(  # noqa: S603  # words are checked names and addresses
            [found, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PlatformError(
            f"{program} does not answer", action=f"look at what {program} waits for"
        ) from None
    if done.returncode:
        raise PlatformError(
            f"{program} {words[0]}: {done.stderr.strip() or done.returncode}",
            action='set dns = "ignore" in the profile to connect without name servers',
        )
