"""``culvert replay``: a recorded session again, in virtual time, and the first difference."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, cast

import click

from culvert import __version__
from culvert.cli import options
from culvert.cli.exit_code import status_of
from culvert.cli.output import document, printable
from culvert.client import recording as client
from culvert.driver.coordinator import Coordinator
from culvert.driver.record import LONGEST, Entry, Fed, entries, head
from culvert.driver.replaying import named
from culvert.driver.replaying import replay as replayed
from culvert.errors import ConfigError
from culvert.gateway import one_caller


@click.command(epilog="Example: culvert replay office.record")
@click.argument("file", metavar="FILE")
@click.option("--trace", is_flag=True, help="Show inputs and events with their virtual times.")
@options.as_json
def replay(file: str, trace: bool, as_json: bool) -> int:
    """Run the session recorded in FILE again (`up`, `gateway run --record FILE`), packet by packet.

    Nothing is sent. If the code does otherwise than it did, the first difference is told.
    """
    try:
        with Path(file).open("rb") as stream:
            return _replayed(stream, file, trace=trace and not as_json, as_json=as_json)
    except BrokenPipeError:
        raise  # who reads what we say has heard enough
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", path=file) from None
    except ConfigError as error:
        raise ConfigError(error.what, path=file) from None


def _replayed(stream: BinaryIO, file: str, *, trace: bool, as_json: bool) -> int:
    first = head(stream.readline(LONGEST + 1))
    fed = Fed()
    core, commands = again(first, fed)
    shown = _Trace(on=trace)
    count, found = replayed(core, fed, entries(_lines(stream)), commands, shown.see)
    if as_json:
        different: Mapping[str, object] | None = None
        if found is not None:
            different = {
                "input": found.step,
                "at": found.at,
                "given": found.given,
                "sentence": found.sentence,
            }
        document(
            {
                "same_inputs": count,
                "same": found is None,
                "difference": different,
                "recorded_with": first.get("version"),
                "replayed_with": __version__,
            }
        )
    elif found is None:
        click.echo(f"{file}: all {count} inputs lead to the same outputs, octet for octet.")
    else:
        click.echo(f"{file}: {count} inputs lead to the same outputs, then they differ.")
        click.echo(printable(found.text))
        if (version := first.get("version")) != __version__:
            click.echo(printable(f"Recorded with culvert {version}; this is {__version__}."))
    return status_of("ok") if found is None else 1


def again(first: Mapping[str, object], fed: Fed) -> tuple[Coordinator, tuple[str, ...]]:
    """The core of either side, and its commands. Raises RecordError."""
    if first.get("side") == one_caller.SIDE:
        return one_caller.again(first, fed), one_caller.COMMANDS
    return client.again(first, fed), client.COMMANDS


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """No line is read further than it may be long."""
    while line := stream.readline(LONGEST + 1):
        yield line


class _Trace:
    """Inputs and events, with seconds since the first input."""

    def __init__(self, *, on: bool) -> None:
        self._on = on
        self._began: float | None = None

    def see(self, entry: Entry) -> None:
        if not self._on:
            return
        if self._began is None:
            self._began = entry.given.at
        at = f"{entry.given.at - self._began:10.3f}"
        click.echo(printable(f"{at}  < {named(entry.given)}"))
        for out in entry.out:
            click.echo(printable(f"{at}    {_said(cast('Mapping[str, object]', out))}"))


def _said(out: Mapping[str, object]) -> str:
    match out:
        case {"event": {"code": str(code)} as event}:
            fields = cast("Mapping[str, Mapping[str, object]]", event).get("fields", {})
            return f"{code} " + " ".join(f"{key}={value}" for key, value in fields.items())
        case {"~": "SendIke", "octets": {"~x": str(octets)}, "to": to}:
            return f"> a datagram of {len(octets) // 2} octets to {to}"
        case _:
            return f"> {out.get('~')}"
