"""``culvert log``: the event log, of the service or of a gateway, running or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, cast

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.output import printable
from culvert.cli.why import entry_of
from culvert.driver.control import RequestError
from culvert.driver.journal import written
from culvert.driver.places import GATEWAY, SERVICE, Places, places
from culvert.driver.telling import NEWEST
from culvert.eventlog.filter import filter_from
from culvert.eventlog.render.styles import STYLES, Render
from culvert.eventlog.severity import LEAST

follow_option = click.option("-f", "--follow", is_flag=True, help="Go on until interrupted.")
count_option = click.option(
    "-n",
    "count",
    type=click.IntRange(min=0),
    default=NEWEST,
    metavar="COUNT",
    help=f"Entries, {NEWEST} if not said.",
)
level_option = click.option(
    "--level",
    type=click.IntRange(1, LEAST),
    default=LEAST,
    metavar="LEVEL",
    help="Not finer than 1 faults, 3 warnings, 6 information.",
)
CHOICES = ("class", "from-level", "address", "group", "since", "until")
filter_options = (
    click.option(
        "--only",
        multiple=True,
        metavar="WHAT=VALUE",
        help=f"As class=AUTH,IKE: {', '.join(CHOICES)}.",
    ),
    click.option("--clear", is_flag=True, help="Forget the entries in memory; files stay."),
    click.option(
        "--set-level",
        type=click.IntRange(0, LEAST),
        default=None,
        metavar="LEVEL",
        help="Write so much from now on; 0: as usual.",
    ),
)


def filtering(command: Callable[..., None]) -> Callable[..., None]:
    """The options of both commands that choose entries, gathered as ``chosen``."""

    @wraps(command)
    def gathered(only: tuple[str, ...], clear: bool, set_level: int | None, **given: Any) -> None:
        chosen: dict[str, Any] = {"clear": clear, "set_level": set_level}
        for one in only:
            what, _, value = one.partition("=")
            if what not in CHOICES or not value:
                raise click.UsageError(f"--only takes WHAT=VALUE, WHAT is {', '.join(CHOICES)}")
            number = what == "from-level" and value.isdecimal()
            chosen[what.replace("-", "_")] = int(value) if number else value
        command(chosen=chosen, **given)

    made: Callable[..., None] = gathered
    for option in reversed(filter_options):
        made = option(made)
    return made


style_option = click.option(
    "--style",
    type=click.Choice(tuple(STYLES)),
    default="own",
    metavar="STYLE",
    help=f"In whose words: {', '.join(STYLES)} (UTC).",
)


@click.command(epilog="Example: culvert log office -f")
@click.argument("name", required=False, default="")
@click.option("--notices", is_flag=True, help="Only what `culvert notify` shows as well.")
@follow_option
@count_option
@level_option
@style_option
@filtering
@options.as_json
@options.state_dir
@options.socket
def log(
    chosen: dict[str, Any],
    name: str,
    notices: bool,
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
    render = STYLES["json" if as_json else style]()
    params = {**chosen, "level": level, "name": name, "notices": notices}
    show(where, params, daemon="the service", follow=follow, count=count, render=render)


@click.command("log", epilog="Example: culvert gateway log --session 14")
@click.option("--session", type=click.IntRange(min=1), metavar="NUMBER", help="Only this session.")
@click.option("--user", default="", help="Only this user.")
@follow_option
@count_option
@level_option
@style_option
@filtering
@options.as_json
@options.state_dir
@options.socket
def gateway_log(
    chosen: dict[str, Any],
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
    render = STYLES["json" if as_json else style]()
    params = {**chosen, "level": level, "session": session or 0, "user": user}
    show(where, params, daemon="the gateway", follow=follow, count=count, render=render)


def show(
    where: Places,
    params: dict[str, Any],
    *,
    daemon: str,
    follow: bool,
    count: int,
    render: Render,
) -> None:
    """Print the log of a daemon; of one that does not run, what it wrote."""
    clear, level = params.pop("clear"), params.pop("set_level")
    shown = filter_from(params)
    if level is not None or clear:
        with Conversation(where.socket, daemon=daemon) as there:
            if level is not None:
                _set_level(there, params, level)
            if clear:
                cleared = there.request("clear", {}).get("cleared")
                click.echo(f"{cleared} entries forgotten")
        return
    params.update(follow=follow, count=count)
    try:
        with Conversation(where.socket, daemon=daemon) as there:
            there.request("log", params, event=lambda event: click.echo(render(entry_of(event))))
    except RequestError as error:
        if error.code != "cli.not-running" or follow:
            raise
        kept = [entry for entry in written(where) if shown.wants(entry)]
        for entry in kept[-count:] if count else []:
            click.echo(render(entry))


def _set_level(there: Conversation, params: dict[str, Any], level: int) -> None:
    """For the connection, session, user or group that was named, or for all."""
    session = f"#{params['session']}" if params.get("session") else ""
    name = params.get("name") or params.get("user") or params.get("group") or session
    held = there.request("level", {"name": name, "level": level})
    click.echo(f"written down by default: up to {held['default']}")
    levels = cast("dict[str, int]", held["levels"])
    for one, up_to in sorted(levels.items()):
        click.echo(f"of {printable(one)}: up to {up_to}")
