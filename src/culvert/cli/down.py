"""``culvert down``: disconnect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.left_over import HINT, hinted, is_left
from culvert.cli.output import document, printable
from culvert.cli.reading import row, texts
from culvert.driver.control import RequestError
from culvert.driver.places import SERVICE, places


@click.command(epilog="Example: culvert down office")
@click.argument("name", required=False, default="")
@click.option("--all", "everything", is_flag=True, help="Every connection of this machine.")
@options.as_json
@options.state_dir
@options.socket
def down(name: str, everything: bool, as_json: bool, state_dir: str, socket: str) -> None:
    """End the connection NAME; without NAME the only one there is."""
    if name and everything:
        raise click.UsageError("NAME and --all exclude each other.")
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    result: Mapping[str, object]
    try:
        with Conversation(where.socket, daemon="the service") as service:
            result = service.request("down", {"name": name, "all": everything})
    except RequestError as error:
        if error.code != "cli.not-running":
            raise
        left = is_left(where)
        if name:
            raise hinted(error) if left else error from None
        result = {"ended": (), "left_over": left}
    if as_json:
        document(result)
        return
    words = row(result.get("words"))
    for ended in texts(result.get("ended")):
        click.echo(closing(ended, texts(words.get(ended))))
    if not result.get("ended"):
        click.echo("Nothing was connected.")
    if result.get("left_over"):
        click.echo(HINT)


def closing(name: str, words: Sequence[str]) -> str:
    """The closing message of a connection, below its name."""
    return "\n".join((f"{name}: disconnected", *(f"  {printable(line)}" for line in words)))
