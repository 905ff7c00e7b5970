"""``culvert log``: the event log, of the service or of a gateway, running or not."""

from __future__ import annotations

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.reading import Row
from culvert.cli.why import entry_of
from culvert.driver.control import RequestError
from culvert.driver.journal import written
from culvert.driver.places import GATEWAY, SERVICE, Places, places
from culvert.driver.telling import NEWEST
from culvert.eventlog.filter import Filter
from culvert.eventlog.render.styles import STYLES, Render
from culvert.eventlog.severity import LEAST

follow_option = click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
count_option = click.option(
    "-n", "count", type=click.IntRange(min=0), default=NEWEST, show_default=True, help="Entries."
)
level_option = click.option(
    "--level",
    type=click.IntRange(1, LEAST),
    default=LEAST,
    help="Leave out what is finer: 1 faults, 3 warnings, 6 informations, 13 everything.",
)
style_option = click.option(
    "--style",
    type=click.Choice(tuple(STYLES)),
    default="own",
    show_default=True,
    help="In whose words: ours, JSON lines, or those of an older product (times are UTC).",
)


@click.command(epilog="Example: culvert log office -f")
@click.argument("name", required=False, default="")
@follow_option
@count_option
@level_option
@style_option
@options.as_json
@options.state_dir
@options.socket
def log(
    name: str,
    follow: bool,
    count: int,
    level: int,
    style: str,
    as_json: bool,
    state_dir: str,
    socket: str,
) -> None:
    """Show what happened: all of it, or what concerns the connection NAME."""
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    shown = Filter(severity_to=level, connection=name)
    render = STYLES["json" if as_json else style]()
    show(where, shown, daemon="the service", follow=follow, count=count, render=render)


@click.command("log", epilog="Example: culvert gateway log --session 14")
@click.option("--session", type=click.IntRange(min=1), default=None, help="Only this session.")
@click.option("--user", default="", help="Only this user.")
@follow_option
@count_option
@level_option
@style_option
@options.as_json
@options.state_dir
@options.socket
def gateway_log(
    session: int | None,
    user: str,
    follow: bool,
    count: int,
    level: int,
    style: str,
    as_json: bool,
    state_dir: str,
    socket: str,
) -> None:
    """Show what happened at the gateway."""
    where = places(GATEWAY, state_dir=state_dir, socket=socket)
    shown = Filter(severity_to=level, session=session or 0, user=user)
    render = STYLES["json" if as_json else style]()
    show(where, shown, daemon="the gateway", follow=follow, count=count, render=render)


def show(
    where: Places, shown: Filter, *, daemon: str, follow: bool, count: int, render: Render
) -> None:
    """Print the log of a daemon; of one that does not run, what it wrote."""
    params: Row = {
        "name": shown.connection,
        "session": shown.session,
        "user": shown.user,
        "level": shown.severity_to,
        "follow": follow,
        "count": count,
    }
    try:
        with Conversation(where.socket, daemon=daemon) as there:
            there.request("log", params, event=lambda event: click.echo(render(entry_of(event))))
    except RequestError as error:
        if error.code != "cli.not-running" or follow:
            raise
        kept = [entry for entry in written(where) if shown.wants(entry)]
        for entry in kept[-count:] if count else []:
            click.echo(render(entry))
