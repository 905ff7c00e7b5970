"""``culvert up --run-before``: the profile's own command, before anything is connected (S4-20)."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence

import click

from culvert.errors import ConfigError

PATIENCE = 120.0  # seconds: to dial, or to log in to a network


def prepare(command: str, *, wanted: bool) -> None:
    """Run ``command`` to its end. Not ``wanted``: only say that there is one.

    Profiles are handed around, so nothing runs that nobody asked for. Raises ConfigError.
    """
    if not wanted:
        if command:
            click.echo("The profile has a command_before; --run-before runs it.", err=True)
        return
    if not command:
        raise click.UsageError("--run-before: the profile has no command_before.")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"command_before: {error}; write it as at a prompt") from error
    try:
        user, group, groups = _person()
        done = subprocess.run(  # noqa: S603  # the person asked for it; no shell
            words, timeout=PATIENCE, check=False, user=user, group=group, extra_groups=groups
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError(
            f"command_before: {words[0]} did not end within {PATIENCE:g} s, so nothing was "
            "connected; let it go on by itself in the background"
        ) from error
    except OSError as error:
        raise ConfigError(
            f"command_before: {words[0]} cannot be run: {error.strerror}; nothing was connected"
        ) from error
    if done.returncode:
        raise ConfigError(
            f"command_before: {words[0]} ended with status {done.returncode}, so nothing was "
            "connected; run it by hand to see why, or connect without --run-before"
        )


def _person() -> tuple[int | None, int | None, Sequence[int] | None]:
    """User, group and further groups: under sudo those of who typed it, not root's."""
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if os.geteuid() or not (user.isdecimal() and group.isdecimal()):
        return None, None, None
    return int(user), int(group), []
