"""``culvert trace + vpn-status``: what happens, live, in the words of LANCOM's trace (S3-01)."""

from __future__ import annotations

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.reading import Row
from culvert.cli.why import entry_of
from culvert.driver.places import GATEWAY, SERVICE, Places, places
from culvert.driver.tracing import TOPIC
from culvert.eventlog.entry import Entry
from culvert.eventlog.render.lancom import Lancom
from culvert.tables.texts.lancom import stamp_styles

ON, OFF = "+", "-"

UNWORDED = 4
"""What LANCOM has no words for is shown in ours if it is at least so severe: the rest would bury
the messages one looks for."""

BEFORE = 2000
"""Earlier entries that tell the names and addresses of what stands already."""

switch_argument = click.argument("switch", type=click.Choice((ON, OFF)), metavar="+|-")
topic_argument = click.argument("topic", type=click.Choice((TOPIC,)), metavar=TOPIC)
stamp_option = click.option(
    "--stamp",
    type=click.Choice([str(style.year) for style in stamp_styles()]),
    default="2007",
    show_default=True,
    help="The form of the time stamps: that of 2004 or of 2007. Times are UTC.",
)


@click.command(epilog="Example: culvert trace + vpn-status office")
@switch_argument
@topic_argument
@click.argument("name", required=False, default="")
@stamp_option
@options.state_dir
@options.socket
def trace(switch: str, topic: str, name: str, stamp: str, state_dir: str, socket: str) -> None:
    """Switch the live trace on (+) or off (-): of everything, or of the connection NAME.

    Switched on, it shows what happens until interrupted, or switched off from elsewhere.
    """
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    run(where, switch, topic, name, int(stamp), daemon="the service")


@click.command("trace", epilog="Example: culvert gateway trace + vpn-status vpnclient1")
@switch_argument
@topic_argument
@click.argument("peer", required=False, default="")
@stamp_option
@options.state_dir
@options.socket
def gateway_trace(
    switch: str, topic: str, peer: str, stamp: str, state_dir: str, socket: str
) -> None:
    """Switch the gateway's live trace on (+) or off (-): of all, or of PEER alone.

    PEER is a user, a group, another gateway, an address, or #14 for the session of that number.
    """
    where = places(GATEWAY, state_dir=state_dir, socket=socket)
    run(where, switch, topic, peer, int(stamp), daemon="the gateway")


def run(where: Places, switch: str, topic: str, about: str, year: int, *, daemon: str) -> None:
    params: Row = {"on": switch == ON, "topic": topic, "name": about}
    if switch == OFF:
        with Conversation(where.socket, daemon=daemon) as there:
            ended = there.request("trace", params).get("ended")
        click.echo(f"{ended} switched off." if ended else "No such trace was on.")
        return
    shown = Shown(year)
    with Conversation(where.socket, daemon=daemon) as there:
        there.request("log", {"count": BEFORE}, event=lambda row: shown.know(entry_of(row)))
        there.request(
            "trace",
            params,
            rows=lambda _: click.echo(f"{topic} is on", err=True),
            event=lambda row: shown.show(entry_of(row)),
        )
    click.echo(f"{topic} is off", err=True)


class Shown:
    """Renders one entry after the other; earlier ones tell what later ones leave out."""

    def __init__(self, year: int) -> None:
        self._words = Lancom(year)

    def know(self, entry: Entry) -> None:
        self._words.render(entry)

    def show(self, entry: Entry) -> None:
        text = self._words.render(entry)
        if self._words.worded or entry.row.severity <= UNWORDED:
            click.echo(text)
