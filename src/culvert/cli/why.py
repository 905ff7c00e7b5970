"""``culvert why``: the last attempt step by step, and what was wrong, from the event log."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.output import document
from culvert.cli.reading import Row
from culvert.driver.control import RequestError
from culvert.driver.journal import written
from culvert.driver.places import GATEWAY, SERVICE, Places, places
from culvert.driver.telling import latest_key
from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines
from culvert.eventlog.render.story import render
from culvert.eventlog.ring import Recent, Rings
from culvert.eventlog.story import Explanation, tell


@click.command(epilog="Example: culvert why office")
@click.argument("name", required=False, default="")
@options.as_json
@options.state_dir
@options.socket
def why(name: str, as_json: bool, state_dir: str, socket: str) -> None:
    """Tell the last attempt of the connection NAME; without NAME the latest of all."""
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    show(told_by(where, {"key": name}, daemon="the service"), as_json=as_json)


@click.command("why", epilog="Example: culvert gateway why 14")
@click.argument("number", type=click.IntRange(min=1), required=False)
@options.as_json
@options.state_dir
@options.socket
def gateway_why(number: int | None, as_json: bool, state_dir: str, socket: str) -> None:
    """Tell what happened to session NUMBER; without it the latest negotiation of all."""
    where = places(GATEWAY, state_dir=state_dir, socket=socket)
    key = f"#{number}" if number is not None else ""
    show(told_by(where, {"key": key}, daemon="the gateway"), as_json=as_json)


def told_by(where: Places, params: Mapping[str, str], *, daemon: str) -> Explanation:
    """The story as a daemon remembers it, or as its files do when it does not run."""
    entries: list[Entry] = []
    try:
        with Conversation(where.socket, daemon=daemon) as there:
            found = there.request(
                "story", params, event=lambda event: entries.append(entry_of(event))
            )
    except RequestError as error:
        if error.code != "cli.not-running":
            raise
        return tell(story_in(written(where), params["key"]))
    return tell(Recent(tuple(entries), _whole(found, "left_out"), _whole(found, "gap_after")))


def story_in(entries: tuple[Entry, ...], key: str) -> Recent:
    """The story of ``key`` among written entries; without a key, of whatever moved last."""
    rings = Rings()
    for entry in entries:
        rings.add(entry)
    return rings.story(key or latest_key(rings))


def show(story: Explanation, *, as_json: bool) -> None:
    """Print a story."""
    if as_json:
        document(story.document())
    else:
        click.echo(render(story))


def entry_of(event: Row) -> Entry:
    """An entry as a daemon tells it."""
    return json_lines.parse(json.dumps(event))


def _whole(found: Row, key: str) -> int:
    value = found.get(key)
    return value if isinstance(value, int) else 0
