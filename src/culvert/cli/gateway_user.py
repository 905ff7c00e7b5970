"""``culvert gateway user …``: the people in the gateway's store."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar

import click

from culvert.cli import options
from culvert.cli.output import document, table
from culvert.driver.places import GATEWAY, places
from culvert.errors import ConfigError, PlatformError
from culvert.identity.account import Account
from culvert.secret import Secret
from culvert.store.database import FILE_NAME, NO_ROOM, free_space, open_database
from culvert.store.users import Users
from culvert.vault.password import SCHEMES, Argon2id

LONGEST_PASSWORD = 1024
"""Octets read from a descriptor: far above any password, and an end for a pipe that has none."""

STANDARD_INPUT = 0

Result = TypeVar("Result")

Command = Callable[..., None]


def password_options(command: Command) -> Command:
    """Where the new password comes from: ``descriptor``, None to ask for it."""

    @click.option(
        "--password-fd",
        type=click.IntRange(min=0),
        metavar="N",
        help="Read the password from descriptor N instead of asking for it.",
    )
    @click.option("--password-stdin", is_flag=True, help="Read it from the standard input.")
    @wraps(command)
    def with_password(**given: Any) -> None:  # click's own signature
        descriptor: int | None = given.pop("password_fd")
        if given.pop("password_stdin"):
            if descriptor is not None:
                raise click.UsageError("--password-fd and --password-stdin exclude each other")
            descriptor = STANDARD_INPUT
        command(descriptor=descriptor, **given)

    return with_password


backend = click.option(
    "--backend",
    type=click.Choice(tuple(SCHEMES)),
    default=Argon2id.name,
    show_default=True,
    help="How the password is hashed; as `backend` in the configuration.",
)


@click.group(epilog="Example: culvert gateway user add ann --group sales")
def user() -> None:
    """The gateway's users."""


@user.command(epilog="Example: culvert gateway user add ann --group sales --expires 2030-12-31")
@click.argument("name")
@click.option("--group", "groups", multiple=True, required=True, help="May log in to this group.")
@click.option(
    "--expires",
    type=click.DateTime(("%Y-%m-%d",)),
    metavar="YYYY-MM-DD",
    help="First day (UTC) on which the account no longer serves.",
)
@password_options
@backend
@options.state_dir
def add(
    name: str,
    groups: tuple[str, ...],
    expires: datetime | None,
    descriptor: int | None,
    backend: str,
    state_dir: str,
) -> None:
    """Add user NAME."""

    def work(users: Users) -> None:
        stored = SCHEMES[backend]().hash(asked(descriptor))
        end = expires.replace(tzinfo=UTC) if expires else None
        users.add(Account(name, stored, frozenset(groups), expires=end))

    with_users(state_dir, work)
    click.echo(f"user {name} added")


@user.command("list", epilog="Example: culvert gateway user list --json")
@options.as_json
@options.state_dir
def list_users(as_json: bool, state_dir: str) -> None:
    """List the users of the store; those in the configuration file stand there."""
    found = with_users(state_dir, Users.all)
    if as_json:
        document({"users": [told(account) for account in found]})
    elif not found:
        click.echo("There are no users.")
    else:
        rows = [
            (
                account.name,
                " ".join(sorted(account.groups)),
                "yes" if account.enabled else "no",
                account.expires.date().isoformat() if account.expires else "never",
            )
            for account in found
        ]
        click.echo(table(("USER", "GROUPS", "ENABLED", "EXPIRES"), rows))


@user.command(epilog="Example: culvert gateway user remove ann")
@click.argument("name")
@options.state_dir
def remove(name: str, state_dir: str) -> None:
    """Remove user NAME; a session that is up stays up."""
    if not with_users(state_dir, lambda users: users.remove(name)):
        raise unknown(name)
    click.echo(f"user {name} removed")


@user.command(epilog="Example: culvert gateway user passwd ann")
@click.argument("name")
@password_options
@backend
@options.state_dir
def passwd(name: str, descriptor: int | None, backend: str, state_dir: str) -> None:
    """Give user NAME another password."""

    def work(users: Users) -> bool:
        if users.find(name) is None:
            raise unknown(name)
        return users.set_password(name, SCHEMES[backend]().hash(asked(descriptor)))

    if not with_users(state_dir, work):
        raise unknown(name)
    click.echo(f"password of {name} changed")


@user.command("hash", epilog="Example: culvert gateway user hash")
@password_options
@backend
def hash_password(descriptor: int | None, backend: str) -> None:
    """Print a hash for `password_hash` in the configuration file."""
    click.echo(SCHEMES[backend]().hash(asked(descriptor)))


def told(account: Account) -> dict[str, object]:
    """A user as JSON; never the hash."""
    return {
        "name": account.name,
        "groups": sorted(account.groups),
        "enabled": account.enabled,
        "expires": account.expires.isoformat() if account.expires else None,
    }


def asked(descriptor: int | None) -> Secret:
    """The new password. Raises ConfigError for an empty or endless one."""
    if descriptor is None:
        entered: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        return Secret(entered)
    try:
        with os.fdopen(os.dup(descriptor), "rb") as stream:
            read = stream.read(LONGEST_PASSWORD + 1)
        text = read.decode().removesuffix("\n")
    except OSError as error:
        raise ConfigError(f"descriptor {descriptor} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError("the password is not UTF-8 text") from None
    if not text or len(read) > LONGEST_PASSWORD:
        raise ConfigError(f"a password has 1 to {LONGEST_PASSWORD} octets")
    return Secret(text)


def unknown(name: str) -> ConfigError:
    return ConfigError(
        f"there is no user {name} in the store; `culvert gateway user list` shows all"
    )


def with_users(state_dir: str, work: Callable[[Users], Result]) -> Result:
    """What ``work`` makes of the store, which is closed again afterwards."""
    folder = places(GATEWAY, state_dir=state_dir).state
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PlatformError(
            f"{folder} cannot be made ({error.strerror})",
            action=free_space(folder.parent)
            if error.errno in NO_ROOM
            else "Run as the gateway's user, or name its state directory with --state-dir.",
        ) from error
    with closing(open_database(folder / FILE_NAME)) as connection:
        return work(Users(connection))
