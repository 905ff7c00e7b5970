"""``culvert notify``: what happens to the connections, as pop-ups of the desktop (S0-23)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.output import clock_time, printable
from culvert.cli.reading import Row
from culvert.cli.why import entry_of
from culvert.driver.places import SERVICE, places
from culvert.eventlog.entry import Entry
from culvert.eventlog.sentence import sentence
from culvert.eventlog.wording import time_text
from culvert.netio.desktop import Desktop

URGENT = 3
"""Events of this severity and graver stay on the screen until somebody has seen them."""


@click.command(epilog="Example: culvert notify &")
@click.option("--print", "in_text", is_flag=True, help="Onto the terminal, not onto the desktop.")
@options.state_dir
@options.socket
def notify(in_text: bool, state_dir: str, socket: str) -> None:
    """Show as pop-ups of your desktop what happens to the connections, until interrupted.

    Runs as you, beside your desktop, not as root. The same messages stay in
    `culvert log --notices`.
    """
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    params: Row = {"notices": True, "follow": True, "count": 0}
    with ExitStack() as stack:
        desktop = None if in_text else stack.enter_context(Desktop())
        show = _onto_desktop(desktop) if desktop else _onto_terminal
        service = stack.enter_context(Conversation(where.socket, daemon="the service"))
        service.request("log", params, event=lambda event: show(entry_of(event)))


def title(entry: Entry) -> str:
    """Which connection it is about."""
    return str(entry.event.fields.get("connection") or "culvert").partition("~")[0]


def body(entry: Entry) -> str:
    """The closing message of a connection that is over, else the sentence of the story."""
    words = entry.event.fields.get("words")
    return "\n".join(words) if isinstance(words, tuple) else sentence(entry)


def _onto_terminal(entry: Entry) -> None:
    lines = "\n".join(f"  {printable(line)}" for line in body(entry).splitlines())
    click.echo(f"{clock_time(time_text(entry.at))} {printable(title(entry))}\n{lines}")


def _onto_desktop(desktop: Desktop) -> Callable[[Entry], None]:
    def show(entry: Entry) -> None:
        desktop.show(title(entry), body(entry), urgent=entry.row.severity <= URGENT)

    return show
