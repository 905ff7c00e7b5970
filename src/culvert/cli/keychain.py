"""The keychain of a connection (S1-74): the desktop's keyring, else the encrypted file, said so."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

import click

from culvert.cli.output import printable
from culvert.cli.secret_service import SecretService
from culvert.errors import PlatformError
from culvert.rng import SystemRandom
from culvert.secret import Secret
from culvert.store.keychain_file import KeychainFile, keychain_places

Found = TypeVar("Found")


class Keychain:
    """Secrets by connection and kind. What cannot be used is said once, and done without."""

    def __init__(self) -> None:
        self._file = KeychainFile(keychain_places(os.environ), SystemRandom())
        self._keyring: SecretService | None = None
        try:
            self._keyring = SecretService()
        except PlatformError as error:
            self._without_keyring(error)

    def get(self, connection: str, kind: str) -> Secret | None:
        found = self._of_keyring(lambda keyring: keyring.get(connection, kind), None)
        if found is not None:
            return found
        try:
            return self._file.get(connection, kind)
        except PlatformError as error:
            _say(f"{error}; it is asked for")
            return None

    def put(self, connection: str, kind: str, secret: Secret) -> None:
        """Raises PlatformError when neither can keep it."""

        def put(keyring: SecretService) -> bool:
            keyring.put(connection, kind, secret)
            return True

        if not self._of_keyring(put, False):
            self._file.put(connection, kind, secret)

    def erase(self, connection: str, kind: str) -> bool:
        """From both; whether there was one."""
        there = self._of_keyring(lambda keyring: keyring.erase(connection, kind), False)
        return self._file.erase(connection, kind) or there

    def _of_keyring(self, work: Callable[[SecretService], Found], otherwise: Found) -> Found:
        if self._keyring is None:
            return otherwise
        try:
            return work(self._keyring)
        except PlatformError as error:
            self._without_keyring(error)
            return otherwise

    def _without_keyring(self, error: PlatformError) -> None:
        self._keyring = None
        _say(f"{error}; the encrypted file serves instead")


def _say(sentence: str) -> None:
    click.echo(f"  {printable(sentence)}", err=True)
