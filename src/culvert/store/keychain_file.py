"""Secrets in an encrypted file, for who has no keyring of a desktop (AES-256-GCM, decision 0170).

The key lies apart from the file, under ~/.config: a copy or a backup of one tells nothing without
the other. Who can read both as their owner reads the secrets.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from culvert.errors import PlatformError
from culvert.rng import Random
from culvert.secret import Secret
from culvert.store.profiles import ProfileExists, write_private

KEY_OCTETS, NONCE_OCTETS = 32, 12
LONGEST = 1 << 20
"""Octets of the file: thousands of connections."""


@dataclass(frozen=True, slots=True)
class KeychainPlaces:
    """Where both files lie."""

    secrets: Path
    key: Path


def keychain_places(environment: Mapping[str, str]) -> KeychainPlaces:
    """The user's own, after the XDG base directory specification."""

    def base(variable: str, otherwise: str) -> Path:
        given = environment.get(variable, "")
        chosen = Path(given) if given.startswith("/") else Path(otherwise).expanduser()
        return chosen / "culvert"

    return KeychainPlaces(
        base("XDG_DATA_HOME", "~/.local/share") / "keychain.json",
        base("XDG_CONFIG_HOME", "~/.config") / "keychain.key",
    )


class KeychainFile:
    """Secrets by connection and kind. Every method raises PlatformError for files it cannot use."""

    def __init__(self, places: KeychainPlaces, rng: Random) -> None:
        self._places = places
        self._rng = rng

    def get(self, connection: str, kind: str) -> Secret | None:
        name = _name(connection, kind)
        sealed = self._held().get(name)
        if sealed is None:
            return None
        try:
            octets = base64.b64decode(sealed, validate=True)
            nonce, text = octets[:NONCE_OCTETS], octets[NONCE_OCTETS:]
            return Secret(AESGCM(self._key()).decrypt(nonce, text, name.encode()).decode())
        except (ValueError, InvalidTag):
            raise PlatformError(
                f"{self._places.secrets} and its key {self._places.key} do not belong together",
                action="Remove both; the secrets are asked for and kept anew.",
            ) from None

    def put(self, connection: str, kind: str, secret: Secret) -> None:
        name, nonce = _name(connection, kind), self._rng.octets(NONCE_OCTETS)
        sealed = nonce + AESGCM(self._key()).encrypt(nonce, secret.octets(), name.encode())
        self._write({**self._held(), name: base64.b64encode(sealed).decode()})

    def erase(self, connection: str, kind: str) -> bool:
        """Whether there was one."""
        held = self._held()
        if held.pop(_name(connection, kind), None) is None:
            return False
        self._write(held)
        return True

    def _held(self) -> dict[str, str]:
        octets = _read(self._places.secrets)
        if not octets:
            return {}
        found = entries_of(octets)
        if found is None:
            raise PlatformError(
                f"{self._places.secrets} is damaged",
                action="Remove it; the secrets are asked for and kept anew.",
            )
        return found

    def _write(self, held: Mapping[str, str]) -> None:
        _folder(self._places.secrets)
        write_private(self._places.secrets, json.dumps(held).encode(), replacing=True)

    def _key(self) -> bytes:
        key = _read(self._places.key)
        if not key:
            _folder(self._places.key)
            with suppress(ProfileExists):  # another command made it at the same moment
                write_private(self._places.key, self._rng.octets(KEY_OCTETS), replacing=False)
            key = _read(self._places.key)
        if len(key) != KEY_OCTETS:
            raise PlatformError(
                f"{self._places.key} is no key", action="Remove it; a new one is made."
            )
        return key


def entries_of(octets: bytes) -> dict[str, str] | None:
    """What such a file holds; None for a damaged one."""
    try:
        found: object = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    entries = cast("dict[object, object]", found) if isinstance(found, dict) else {None: None}
    good = {k: v for k, v in entries.items() if isinstance(k, str) and isinstance(v, str)}
    return good if len(good) == len(entries) else None


def _name(connection: str, kind: str) -> str:
    return f"{connection}/{kind}"


def _folder(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error) from error


def _read(path: Path) -> bytes:
    """Empty if there is none. Only a file that nobody else reads is believed."""
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise PlatformError(
                    f"{path} may be read by others", action=f"Close it: chmod 600 {path}"
                )
            return file.read(LONGEST)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise _unusable(path, error) from error


def _unusable(path: Path, error: OSError) -> PlatformError:
    reason = (error.strerror or str(error)).lower()
    return PlatformError(f"{path} cannot be used: {reason}", action="Look at its folder.")
