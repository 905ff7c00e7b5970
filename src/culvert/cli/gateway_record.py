"""``culvert gateway record``: the next session of a caller, in a file for ``culvert replay``."""

from __future__ import annotations

from pathlib import Path

import click

from culvert.cli import options
from culvert.cli.gateway_sessions import asked
from culvert.cli.output import document, printable


@click.command(epilog="Example: sudo culvert gateway record alice.record --caller alice")
@click.argument("file", metavar="FILE")
@click.option(
    "--caller",
    default="",
    metavar="USER|ADDRESS",
    help="Whose session; without it that of whoever calls next.",
)
@click.option("--secrets", is_flag=True, help="Keep the caller's password in the record.")
@options.as_json
@options.state_dir
@options.socket
def record(
    file: str, caller: str, secrets: bool, as_json: bool, state_dir: str, socket: str
) -> None:
    """Record the next session in FILE, for `culvert replay`: a report that reproduces itself.

    Passwords are replaced. docs/reference/record.md tells what the file reveals all the same.
    """
    wanted = {"path": str(Path(file).absolute()), "caller": caller, "secrets": secrets}
    with asked(state_dir, socket) as there:
        result = there.request("record", wanted)
    if as_json:
        document(result)
        return
    whose = f"of {caller}" if caller else "of whoever calls next"
    click.echo(
        printable(
            f"The next session {whose} is recorded in {result.get('path')}; "
            "`culvert gateway log` tells when it is complete."
        )
    )
