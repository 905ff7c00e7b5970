"""The desktop's keyring (Secret Service), through the optional library `keyring`."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from culvert.errors import PlatformError
from culvert.secret import Secret

SERVICE = "culvert"
"""Under which name the keyring lists what is stored here."""


class _Keyring(Protocol):
    def get_password(self, service_name: str, username: str) -> str | None: ...

    def set_password(self, service_name: str, username: str, password: str) -> None: ...

    def delete_password(self, service_name: str, username: str) -> None: ...


class _Errors(Protocol):
    @property
    def KeyringError(self) -> type[Exception]: ...  # noqa: N802  # the library's name

    @property
    def PasswordDeleteError(self) -> type[Exception]: ...  # noqa: N802  # the library's name


class SecretService:
    """Secrets by connection and kind (``password``, ``group_key``).

    Raises PlatformError, when made, if the library is missing; when used, if no keyring answers.
    """

    def __init__(self) -> None:
        try:
            # Loaded only here, because most connections never need it and it is slow to load.
            self._library = cast("_Keyring", import_module("keyring"))
            self._errors = cast("_Errors", import_module("keyring.errors"))
        except ImportError as error:
            raise PlatformError(
                "the keyring cannot be used: its library is not installed",
                action="Install it (pip install 'culvert[keyring]'), or leave out --keyring.",
            ) from error

    def get(self, connection: str, kind: str) -> Secret | None:
        try:
            value = self._library.get_password(SERVICE, _entry(connection, kind))
        except self._errors.KeyringError as error:
            raise _silent(error) from error
        return Secret(value) if value else None

    def put(self, connection: str, kind: str, secret: Secret) -> None:
        try:
            self._library.set_password(SERVICE, _entry(connection, kind), secret.reveal())
        except self._errors.KeyringError as error:
            raise _silent(error) from error

    def erase(self, connection: str, kind: str) -> bool:
        """Whether there was one."""
        try:
            self._library.delete_password(SERVICE, _entry(connection, kind))
        except self._errors.PasswordDeleteError:
            return False
        except self._errors.KeyringError as error:
            raise _silent(error) from error
        return True


def _entry(connection: str, kind: str) -> str:
    return f"{connection}/{kind}"


def _silent(error: Exception) -> PlatformError:
    return PlatformError(
        f"the keyring does not answer ({type(error).__name__})",
        action="Unlock it or log in to a desktop session with one, or leave out --keyring.",
    )
