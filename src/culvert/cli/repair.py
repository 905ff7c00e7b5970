"""``culvert repair``: undo what a crash left behind on this machine."""

from __future__ import annotations

import os

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.exit_code import status_of
from culvert.cli.output import document
from culvert.cli.reading import Row, texts
from culvert.client.established import mark_established
from culvert.client.service import repaired
from culvert.driver.control import RequestError
from culvert.driver.places import GATEWAY, SERVICE, Places, places
from culvert.netio.machine import Machine


@click.command(epilog="Example: sudo culvert repair")
@options.as_json
@options.state_dir
@options.socket
def repair(as_json: bool, state_dir: str, socket: str) -> int:
    """Undo routes, addresses, DNS and devices left behind by a service or gateway that was killed.

    What a living one has set up is not touched.
    """
    found = [_repaired(places(SERVICE, state_dir=state_dir, socket=socket))]
    gateway = places(GATEWAY, state_dir=state_dir)
    if gateway.undo.is_dir() and os.geteuid() == 0:
        found.append(repaired(Machine(directory=gateway.undo).recover()))
    total = {key: [one for part in found for one in texts(part.get(key))] for key in KEYS}
    if as_json:
        document(total)
    else:
        _tell(total)
    return status_of("cli.problems" if total["failed"] else "ok")


KEYS = ("changes", "notes", "failed")


def _repaired(where: Places) -> Row:
    try:
        with Conversation(where.socket, daemon="the service") as there:
            return there.request("repair", {})
    except RequestError as error:
        if error.code != "cli.not-running":
            raise
    if os.geteuid() != 0:
        raise RequestError(
            "cli.denied",
            "repairing needs root while the service is not running",
            "sudo culvert repair",
        )
    undone = Machine(directory=where.undo).recover()
    mark_established(where.established, established=False)  # it could not say so any more
    return repaired(undone)


def _tell(total: dict[str, list[str]]) -> None:
    for change in total["changes"]:
        click.echo(f"undone: {change}")
    for note in total["notes"]:
        click.echo(f"note: {note}")
    for failure in total["failed"]:
        click.echo(f"NOT undone: {failure}")
    if not any(total.values()):
        click.echo("Nothing was left over.")
