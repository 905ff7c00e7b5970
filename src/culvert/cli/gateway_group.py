"""``culvert gateway group …``: keys for groups. Aggressive mode shows everybody a hash to guess the
key by offline, so a key has 128 bits of chance, or somebody said that it need not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from culvert.cli.gateway_user import asked
from culvert.errors import ConfigError, PlatformError
from culvert.gateway.checking import LONGEST_GROUP_NAME, WEAK_KEY
from culvert.gateway.key_strength import SAFE_BITS, bits, strong
from culvert.rng import Random, SystemRandom
from culvert.secret import Secret

LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
"""Five bits a letter, and none that is taken for another one when it is typed."""
LENGTH = 28
"""Letters of a generated key: 140 bits, and by `bits` enough even if no digit is drawn."""


@click.group(epilog="Example: culvert gateway group add sales")
def group() -> None:
    """Keys for the gateway's groups."""


@group.command(epilog="Example: culvert gateway group add sales")
@click.argument("name")
@click.option(
    "--key-file", default="", metavar="FILE", help="Where the key goes. Default: NAME.key here."
)
@click.option(
    "--key-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the key from descriptor N (0: standard input) instead of generating one.",
)
@click.option("--weak-key", is_flag=True, help="Take a key of less than 128 bits all the same.")
def add(name: str, key_file: str, key_fd: int | None, weak_key: bool) -> None:
    """Generate a key for group NAME, and print the lines for the configuration file.

    The key is in a file that its owner alone may read; whoever connects needs it too.
    """
    if not 0 < len(name.encode()) <= LONGEST_GROUP_NAME or not name.isprintable():
        raise ConfigError(f"a group name has 1 to {LONGEST_GROUP_NAME} octets, all printable")
    if not key_file and "/" in name:
        raise ConfigError("a group name with a slash names no file: say where with --key-file")
    key = generated(SystemRandom()) if key_fd is None else asked(key_fd)
    if not strong(key) and not weak_key:
        raise ConfigError(
            f"this key has at most {bits(key)} bits where {SAFE_BITS} are needed: whoever asks the "
            "gateway once can guess it offline. Leave --key-fd out to have one generated, or say "
            "--weak-key"
        )
    path = Path(key_file or f"{name}.key").absolute()
    _written(path, key)
    click.echo(f"[[group]]\nname = {_quoted(name)}\nkey_file = {_quoted(str(path))}")
    click.echo(f"The key is in {path}. Put the lines above into the configuration.", err=True)
    if not strong(key):
        click.echo(f'A key this weak is taken where "{WEAK_KEY}" is in legacy.', err=True)


def generated(rng: Random) -> Secret:
    """A key of `LENGTH` letters."""
    return Secret("".join(LETTERS[one % len(LETTERS)] for one in rng.octets(LENGTH)))


def _written(path: Path, key: Secret) -> None:
    """A new file: a key that is in use is never written over."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PlatformError(
            f"{path} cannot be written: {error.strerror}",
            action="Name another file with --key-file; one that is there is not written over.",
        ) from error
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key.octets() + b"\n")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
