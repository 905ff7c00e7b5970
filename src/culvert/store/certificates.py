"""Certificates by name: one PEM file each, in a directory of the user and of the system.

A file with a private key is its owner's alone, or it is not used.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from culvert.errors import ConfigError, PlatformError
from culvert.profile.profile import NAME
from culvert.store.profiles import ProfileNotFound, write_private

SUFFIX = ".pem"
SYSTEM_DIRECTORY = Path("/etc/culvert/certificates")
DIRECTORIES_VARIABLE = "CULVERT_CERTIFICATES"
"""Environment: directories to use instead, with colons between them; the first is written to."""

LONGEST_FILE = 1_048_576
"""Octets: a bundle of every authority of the web has 220 KB."""

OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO
HOLDS_KEY = b"PRIVATE KEY-----"


class CertificateNotFound(ProfileNotFound):
    """No certificate has that name."""


@dataclass(frozen=True, slots=True)
class SavedCertificate:
    name: str
    path: Path


def directories(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where certificates lie, the user's own place first."""
    if given := environment.get(DIRECTORIES_VARIABLE):
        return tuple(Path(part) for part in given.split(os.pathsep) if part)
    configured = environment.get("XDG_CONFIG_HOME", "")
    home = Path(configured) if configured.startswith("/") else Path("~/.config").expanduser()
    return (home / "culvert" / "certificates", SYSTEM_DIRECTORY)


class CertificateStore:
    """An earlier directory hides the same names of later ones."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)

    def saved(self) -> list[SavedCertificate]:
        """All of them, by name. Raises PlatformError for a directory that may not be read."""
        found: dict[str, SavedCertificate] = {}
        for place in self._places:
            for path in _files(place):
                found.setdefault(path.stem, SavedCertificate(path.stem, path))
        return sorted(found.values(), key=lambda one: one.name)

    def find(self, name: str) -> Path:
        """The file of ``name``, or ``name`` itself where it is a path.

        Raises CertificateNotFound.
        """
        if os.sep in name:
            return Path(name).expanduser()
        for place in self._places if NAME.fullmatch(name) else ():
            if (path := place / f"{name}{SUFFIX}").is_file():
                return path
        raise CertificateNotFound(
            f"no certificate is called {name[:64]!a}; `culvert certificate list` shows all, and a "
            f"file is named with a slash (./{name[:64]})"
        )

    def read(self, name: str) -> bytes:
        """What the file of ``name`` holds. Raises PlatformError when it is not safe."""
        return read_certificate_file(self.find(name))

    def save(self, name: str, octets: bytes, *, replacing: bool = False) -> Path:
        """Raises ConfigError for a name that cannot be, ProfileExists unless ``replacing``."""
        if not NAME.fullmatch(name):
            raise ConfigError(
                f"{name[:64]!a} cannot be a name: at most 64 letters, digits, spaces or "
                ". _ @ + ( ) -, and a letter or digit first"
            )
        path = self._places[0] / f"{name}{SUFFIX}"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise PlatformError(f"{path.parent} cannot be made ({error.strerror})") from error
        write_private(path, octets, replacing=replacing)
        return path

    def remove(self, name: str) -> Path:
        """Raises CertificateNotFound, or PlatformError when it cannot be removed."""
        if os.sep in name:
            raise CertificateNotFound(f"{name} is a file, not a name; remove it with rm")
        path = self.find(name)
        try:
            path.unlink()
        except OSError as error:
            raise PlatformError(f"{path} cannot be removed ({error.strerror})") from error
        return path


def read_certificate_file(path: Path) -> bytes:
    """Raises ConfigError or PlatformError, with what to do."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ConfigError("is not an ordinary file", path=str(path))
            octets = file.read(LONGEST_FILE + 1)
    except FileNotFoundError as error:
        raise CertificateNotFound(f"there is no file {path}") from error
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be read ({error.strerror})", action="Check its owner and permissions."
        ) from error
    if len(octets) > LONGEST_FILE:
        raise ConfigError(f"has more than {LONGEST_FILE} octets", path=str(path))
    if HOLDS_KEY in octets and mode & OTHERS_MAY:
        raise PlatformError(
            f"{path} holds a private key and is open to others, so it is not used",
            action=f"chmod 600 {path}; if others use this machine, have a new key certified.",
        )
    return octets


def _files(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if path.suffix == SUFFIX and path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise PlatformError(f"{place} cannot be read ({error.strerror})") from error
