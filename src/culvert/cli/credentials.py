"""Names and passwords from where no other user sees them: prompt, descriptor, input, keyring.

Never from an argument, because every user of the machine can read the arguments of every process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import click

from culvert.cli.output import printable
from culvert.cli.secret_service import SecretService
from culvert.errors import CulvertError
from culvert.secret import Secret

LONGEST_LINE = 4096
"""Octets of a password line; the longest that XAUTH could carry is far shorter."""

VISIBLE = frozenset({"user", "domain"})
"""What may be seen while it is typed; everything else is not echoed."""

LABELS: Mapping[str, str] = {
    "user": "User name",
    "password": "Password",
    "group_key": "Group key",
    "domain": "Domain",
    "passcode": "Passcode",
    "passphrase": "Passphrase",
    "next_pin": "New PIN",
    "answer": "Answer",
}


class CredentialError(CulvertError):
    """A name or password could not be had the way that was asked for."""

    code = "cli.usage"


def read_descriptor(number: int) -> Secret:
    """The first line behind an open descriptor, without its line end.

    Raises CredentialError when it is not open, empty, or not UTF-8.
    """
    line = bytearray()
    try:
        # Octet by octet: what follows the line belongs to whoever reads next.
        while len(line) <= LONGEST_LINE and (octet := os.read(number, 1)) not in (b"", b"\n"):
            line += octet
    except OSError as error:
        raise CredentialError(
            f"descriptor {number} cannot be read ({error.strerror}); open it as in "
            f"`{number}< FILE` behind the command"
        ) from error
    if len(line) > LONGEST_LINE:
        raise CredentialError(f"the line behind descriptor {number} has over {LONGEST_LINE} octets")
    try:
        text = line.decode().removesuffix("\r")
    except UnicodeDecodeError:
        raise CredentialError(f"what stands behind descriptor {number} is not UTF-8") from None
    if not text:
        raise CredentialError(f"nothing stands behind descriptor {number}")
    return Secret(text)


def read_input() -> Secret:
    """A password from the standard input: a line from a pipe, or typed without echo."""
    if sys.stdin.isatty():
        return ask("password")
    return read_descriptor(sys.stdin.fileno())


def ask(what: str, *, message: str = "") -> Secret:
    """Ask the person at the terminal; not echoed unless it may be seen.

    Raises CredentialError when there is no terminal, click.Abort when the person gives up.
    """
    if not sys.stdin.isatty():
        raise CredentialError(
            f"{LABELS.get(what, what).lower()} is needed and there is no terminal to ask at; use "
            "--password-fd or --keyring, or put user and group_key into the profile"
        )
    if message:
        click.echo(printable(message), err=True)
    # Peers may ask for anything by any name.
    label = LABELS.get(what) or printable(what)
    typed: str = click.prompt(label, hide_input=what not in VISIBLE, err=True)
    return Secret(typed)


class Holder(Protocol):
    """Where secrets are kept from one connect to the next."""

    def get(self, connection: str, kind: str) -> Secret | None: ...
    def put(self, connection: str, kind: str, secret: Secret) -> None: ...
    def erase(self, connection: str, kind: str) -> bool: ...


KEPT = frozenset({"password", "group_key"})
"""What serves again; a passcode is right only once."""


@dataclass(slots=True)
class Credentials:
    """Answers a gateway's questions for one connection from what was prepared, then by asking.

    What was prepared is given once: a gateway that asks again has refused it, and a password must
    not be replayed against a lock-out.
    """

    connection: str
    password: Secret | None = None
    service: Holder | None = None
    interactive: bool = True
    _spent: set[str] = field(default_factory=set[str])
    _fresh: dict[str, Secret] = field(default_factory=dict[str, Secret])
    """What was given and does not come from ``service``."""

    def answer(
        self, wants: Sequence[str], *, message: str = "", repeated: bool = False
    ) -> dict[str, Secret] | None:
        """A value for everything in ``wants``; None when the person, or nobody, can give it."""
        values: dict[str, Secret] = {}
        for what in wants:
            value = None if repeated else self._prepared(what)
            if value is None:
                if not self.interactive:
                    return None
                try:
                    value = ask(what, message=message)
                except click.Abort:
                    return None
                message = ""
                self._note(what, value)
            values[what] = value
        return values

    def holds(self, what: str) -> bool:
        """Can it be given without asking anybody? It is not spent by that."""
        if what == "password" and self.password is not None:
            return True
        return self.service is not None and self.service.get(self.connection, what) is not None

    def forget_password(self) -> bool:
        """Erase it from the keyring, if that is where it came from; whether there was one."""
        return self.service is not None and self.service.erase(self.connection, "password")

    def keep(self, *, password: bool) -> tuple[str, ...]:
        """Put what was given and proved right into ``service``, your password only if it may be
        kept; what was put. Raises PlatformError."""
        kinds = [kind for kind in self._fresh if kind != "password" or password]
        if self.service is not None:
            for kind in kinds:
                self.service.put(self.connection, kind, self._fresh[kind])
        return tuple(kinds) if self.service is not None else ()

    def _note(self, what: str, value: Secret) -> None:
        if what in KEPT:
            self._fresh[what] = value

    def _prepared(self, what: str) -> Secret | None:
        if what in self._spent:
            return None
        self._spent.add(what)
        if what == "password" and self.password is not None:
            self._note(what, self.password)
            return self.password
        if self.service is not None and what not in VISIBLE:
            return self.service.get(self.connection, what)
        return None


Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def options(
    command: Callable[Concatenate[Callable[[str], Credentials], Parameters], Result],
) -> Callable[Parameters, Result]:
    """Give ``command`` the options below, and a function: connection name → `Credentials`."""

    @click.option(
        "--password-fd",
        type=click.IntRange(min=0),
        metavar="N",
        help="Read your password from descriptor N (one line).",
    )
    @click.option("--password-stdin", is_flag=True, help="Read it from the standard input.")
    @click.option("--keyring", is_flag=True, help="Look it up in the desktop's keyring.")
    @click.option("--no-input", is_flag=True, help="Ask nothing; fail when something is missing.")
    @wraps(command)
    def with_credentials(*arguments: Any, **given: Any) -> Result:  # click's own signature
        descriptor: int | None = given.pop("password_fd")
        from_input: bool = given.pop("password_stdin")
        keyring: bool = given.pop("keyring")
        interactive = not given.pop("no_input")
        if descriptor is not None and from_input:
            raise click.UsageError("--password-fd and --password-stdin exclude each other")

        def credentials(connection: str) -> Credentials:
            password = None
            if descriptor is not None:
                password = read_descriptor(descriptor)
            elif from_input:
                password = read_input()
            service = SecretService() if keyring else None
            return Credentials(connection, password, service, interactive)

        return command(credentials, *arguments, **given)

    return with_credentials
