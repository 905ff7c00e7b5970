"""Connection profiles on disk: one file per profile, in a directory of the user and of the system.

A file that holds a secret and is open to everybody is refused, because then it is none any more.
Writing is all or nothing: a new file, flushed, in the old one's place.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from culvert.errors import ConfigError, CulvertError, PlatformError
from culvert.profile.adapters.detect import adapt_any
from culvert.profile.adapters.draft import Adapted, Remark
from culvert.profile.profile import NAME, Profile
from culvert.profile.text import decoded
from culvert.profile.toml import LONGEST_FILE, read, write
from culvert.tables.lines import key_lines

SUFFIX = ".toml"
SYSTEM_DIRECTORY = Path("/etc/culvert/profiles")
DIRECTORIES_VARIABLE = "CULVERT_PROFILES"
"""Environment: directories to use instead, with colons between them; the first is written to."""

MOST_OCTETS = LONGEST_FILE * 4
"""A character takes at most four octets."""

OTHERS_MAY_READ = stat.S_IROTH
OTHERS_MAY_WRITE = stat.S_IWOTH


class ProfileNotFound(CulvertError):
    """No saved profile has that name."""

    code = "cli.not-found"


class ProfileExists(CulvertError):
    """A file of that name is there already."""

    code = "cli.already"


@dataclass(frozen=True, slots=True)
class Saved:
    """Where a saved profile lies; ``hidden`` by one of the same name in an earlier directory."""

    name: str
    path: Path
    hidden: bool = False


def directories(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """Where profiles lie, the user's own place first."""
    if given := environment.get(DIRECTORIES_VARIABLE):
        return tuple(Path(part) for part in given.split(os.pathsep) if part)
    configured = environment.get("XDG_CONFIG_HOME", "")
    home = Path(configured) if configured.startswith("/") else Path("~/.config").expanduser()
    return (home / "culvert" / "profiles", SYSTEM_DIRECTORY)


class ProfileStore:
    """The profiles of some directories; an earlier directory hides the same names of later ones."""

    def __init__(self, places: Sequence[Path]) -> None:
        self._places = tuple(places)

    def saved(self) -> list[Saved]:
        """Every saved profile, by name. Directories that are not there hold none.

        Raises PlatformError for a directory that may not be read.
        """
        found: list[Saved] = []
        for place in self._places:
            names = sorted(path.stem for path in _files(place))
            known = {saved.name for saved in found}
            found += [Saved(name, _file(place, name), hidden=name in known) for name in names]
        return sorted(found, key=lambda saved: (saved.name, saved.hidden))

    def find(self, name: str) -> Saved:
        """The file of the profile called ``name``.

        Raises ProfileNotFound, naming one that is spelled like it.
        """
        for place in self._places if NAME.fullmatch(name) else ():
            path = _file(place, name)
            if path.is_file():
                return Saved(name, path)
        known = [saved.name for saved in self.saved()]
        near = get_close_matches(name, known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "`culvert profile list` shows all"
        raise ProfileNotFound(f"no profile is called {name[:64]!a}; {hint}")

    def load(self, name: str) -> Profile:
        """Raises ProfileNotFound, ConfigError, or PlatformError when the file is not safe."""
        path = self.find(name).path
        text, mode = _read(path)
        profile = read(text, name=name, path=str(path))
        _refuse_exposed(profile, path, mode)
        return profile

    def save(self, profile: Profile, *, replacing: bool = False) -> Path:
        """Write ``profile`` to the first directory; its file.

        Raises ProfileExists unless ``replacing``, PlatformError when it cannot be written.
        """
        path = _file(self._places[0], profile.name)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from error
        write_private(path, write(profile).encode(), replacing=replacing)
        return path

    def erase_password(self, name: str) -> bool:
        """Take the user's password out of the file, as a gateway may demand; was there one?

        All else in the file stays as its owner wrote it.
        """
        path = self.find(name).path
        profile = self.load(name)
        if profile.password is None:
            return False
        without = replace(profile, password=None)
        text = _without_line(_read(path)[0], "password")
        try:
            kept = read(text, name=name) == without
        except ConfigError:
            kept = False
        # A password over several lines is rare enough to lose the file's comments for.
        write_private(path, (text if kept else write(without)).encode(), replacing=True)
        return True


def load_file(path: Path, *, name: str = "") -> Adapted:
    """The profile in a file of any format, called ``name`` or after the file.

    Raises ConfigError, or PlatformError when the file cannot be read or is not safe.
    """
    text, mode = _read(path)
    adapted = adapt_any(text, str(path), name=name)
    if path.suffix.lower() == SUFFIX:
        _refuse_exposed(adapted.profile, path, mode)
        return adapted
    # Files that others handed out are as they are; saying so is all that can be done.
    if adapted.profile.holds_secrets and mode & OTHERS_MAY_READ:
        remark = Remark(0, "", f"everybody here can read its secrets: chmod 600 {path}")
        return Adapted(adapted.profile, (*adapted.warnings, remark))
    return adapted


def _file(place: Path, name: str) -> Path:
    return place / f"{name}{SUFFIX}"


def _files(place: Path) -> list[Path]:
    try:
        return [path for path in place.iterdir() if path.suffix == SUFFIX and path.is_file()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise PlatformError(f"{place} cannot be read ({error.strerror})") from error


def _read(path: Path) -> tuple[str, int]:
    """Text and mode of one and the same open file, so that neither can be swapped in between."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise ProfileNotFound(f"there is no file {path}") from error
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be read ({error.strerror})", action="Check its owner and permissions."
        ) from error
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError("is not an ordinary file", path=str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            octets = file.read(MOST_OCTETS + 1)
    finally:
        os.close(descriptor)
    if len(octets) > MOST_OCTETS:
        raise ConfigError(f"has more than {MOST_OCTETS} octets: not a profile", path=str(path))
    return decoded(octets, path=str(path)), mode


def _refuse_exposed(profile: Profile, path: Path, mode: int) -> None:
    if mode & OTHERS_MAY_WRITE:
        raise PlatformError(
            f"{path} can be changed by everybody on this machine, so it is not used",
            action=f"Check what stands in it, then: chmod 600 {path}",
        )
    if profile.holds_secrets and mode & OTHERS_MAY_READ:
        raise PlatformError(
            f"{path} holds secrets and can be read by everybody on this machine, so it is not used",
            action=f"chmod 600 {path}, and have the secrets changed if others use this machine.",
        )


def write_private(path: Path, octets: bytes, *, replacing: bool) -> None:
    """A file that only its owner may read, whole or not at all.

    Raises ProfileExists unless ``replacing``, PlatformError when it cannot be written.
    """
    try:
        descriptor, draft = tempfile.mkstemp(prefix=f".{path.stem}-", dir=path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(descriptor)
        if replacing:
            Path(draft).replace(path)
        else:
            os.link(draft, path)
            Path(draft).unlink()
        _flush_directory(path.parent)
    except FileExistsError as error:
        Path(draft).unlink(missing_ok=True)
        raise ProfileExists(
            f"{path} is there already; choose another name, or add --replace"
        ) from error
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _flush_directory(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> PlatformError:
    return PlatformError(
        f"{path} cannot be written ({error.strerror})",
        action="Check the space on the disk, and owner and permissions of the directory.",
    )


def _without_line(text: str, key: str) -> str:
    lines = text.split("\n")
    del lines[key_lines(text)[(key,)] - 1]
    return "\n".join(lines)
