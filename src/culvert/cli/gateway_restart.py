"""``culvert gateway restart``: another process goes on, and nobody notices."""

from __future__ import annotations

import click

from culvert.cli import options
from culvert.cli.gateway_sessions import asked
from culvert.cli.output import document
from culvert.cli.reading import Row


@click.command(epilog="Example: culvert gateway restart")
@options.as_json
@options.state_dir
@options.socket
def restart(as_json: bool, state_dir: str, socket: str) -> None:
    """Replace the running gateway by a new process, with the code and the configuration that are on
    disk now. Sessions go along; packets wait for less than a second. A capture or a key log of the
    old process ends with it."""
    with asked(state_dir, socket) as there:
        result = there.request("restart", {})
    if as_json:
        document(result)
        return
    click.echo(told(result))


def told(result: Row) -> str:
    if result.get("hot") is not True:
        return (
            f"The gateway starts again without its sessions, because {result.get('why')}. "
            "Their clients were told and can connect again."
        )
    return (
        f"The gateway was replaced: {result.get('sessions')} sessions went along, no packet was "
        f"carried for {result.get('seconds')} s."
    )
