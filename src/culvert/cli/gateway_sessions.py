"""``culvert gateway sessions, logout, ping, status``: who is connected, and how the gateway is."""

from __future__ import annotations

from collections.abc import Sequence

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.exit_code import status_of
from culvert.cli.output import clock_time, document, duration, octets, pairs, since, table
from culvert.cli.reading import Row, items, numbers, row, rows
from culvert.driver.places import GATEWAY, places

LONGEST_PING = 60
"""Echo requests of one `ping`: it is a look at a session, not a measurement over days."""

REFUSALS = 5
"""Refused attempts shown below the sessions; ``--json`` has all that the gateway keeps."""


def asked(state_dir: str, socket: str) -> Conversation:
    """A conversation with the running gateway."""
    where = places(GATEWAY, state_dir=state_dir, socket=socket)
    return Conversation(where.socket, daemon="the gateway")


@click.command(epilog="Example: culvert gateway sessions --json")
@options.as_json
@options.state_dir
@options.socket
def sessions(as_json: bool, state_dir: str, socket: str) -> None:
    """List who is connected."""
    with asked(state_dir, socket) as there:
        found, summary = there.listing("sessions", {})
    if as_json:
        document({**summary, "sessions": found})
        return
    click.echo(sessions_told(found))
    click.echo()
    click.echo(summary_told(summary))
    if refused := rows(summary.get("refusals")):
        click.echo()
        click.echo(refusals_told(refused))


def sessions_told(found: Sequence[Row]) -> str:
    """The session table for people."""
    if not found:
        return "Nobody is connected."
    headings = (
        "ID",
        "USER",
        "GROUP",
        "ASSIGNED",
        "PUBLIC",
        "THROUGH",
        "ENCRYPTION",
        "FOR",
        "IN",
        "OUT",
    )
    return table(
        headings,
        [
            (
                str(one.get("number", "")),
                str(one.get("user", "")),
                str(one.get("group", "")),
                str(one.get("assigned_ip", "")),
                str(one.get("public_ip", "")),
                str(one.get("transport", "")),
                str(one.get("encryption", "")),
                duration(since(str(one["since"]))) if one.get("since") else "",
                _octets(one.get("bytes_in")),
                _octets(one.get("bytes_out")),
            )
            for one in found
        ],
    )


def summary_told(summary: Row) -> str:
    """The session summary, a name and a number per line."""
    totals = row(summary.get("summary"))
    return pairs([(label(name), str(count)) for name, count in totals.items()], indent="")


def label(name: str) -> str:
    """What a count is called. One of the limits' is no count of all that was refused."""
    return "refused at a limit" if name == "refused" else name.replace("_", " ")


def refusals_told(found: Sequence[Row]) -> str:
    """The newest refused attempts for people, the newest last."""
    shown = found[-REFUSALS:]
    head = f"last attempts refused, for whatever cause ({len(shown)} of {len(found)})"
    lines = [
        (
            clock_time(str(one["at"])),
            str(one.get("peer", "")),
            str(one.get("group", "")),
            str(one.get("user", "")),
            str(one.get("cause", "")),
        )
        for one in shown
    ]
    return f"{head}\n{table(('WHEN', 'FROM', 'GROUP', 'USER', 'WHY'), lines)}"


def _octets(count: object) -> str:
    return octets(count) if isinstance(count, int) else ""


def _session_number(_: click.Context, __: click.Parameter, given: str | None) -> int | None:
    """Of the table; a name in its place is asked for with --user."""
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and int(given)):
        raise click.BadParameter(
            f"{given!r} is no session's number; for a user's say --user {given}"
        )
    return int(given)


@click.command(epilog="Example: culvert gateway logout 14")
@click.argument("number", required=False, callback=_session_number)
@click.option("--user", default="", help="Every session of this user instead of one number.")
@click.option("--all", "everybody", is_flag=True, help="Everybody.")
@options.as_json
@options.state_dir
@options.socket
def logout(
    number: int | None, user: str, everybody: bool, as_json: bool, state_dir: str, socket: str
) -> None:
    """End session NUMBER; the client is told that an administrator did it."""
    if sum((number is not None, bool(user), everybody)) != 1:
        raise click.UsageError("Say exactly one of NUMBER, --user and --all.")
    with asked(state_dir, socket) as there:
        result = there.request("logout", {"number": number or 0, "user": user, "all": everybody})
    if as_json:
        document(result)
        return
    for one in rows(result.get("ended")):
        click.echo(f"session {one.get('number')} ({one.get('user')}) logged out")


@click.command(epilog="Example: culvert gateway announce")
@options.as_json
@options.state_dir
@options.socket
def announce(as_json: bool, state_dir: str, socket: str) -> None:
    """Tell every peer that this gateway has another address; it does so by itself, too."""
    with asked(state_dir, socket) as there:
        result = there.request("announce", {})
    if as_json:
        document(result)
        return
    click.echo(f"told {result.get('told')} peers")


@click.command(epilog="Example: culvert gateway ping 14")
@click.argument("number", type=click.IntRange(min=1))
@click.option("-n", "--count", type=click.IntRange(1, LONGEST_PING), default=3, show_default=True)
@options.as_json
@options.state_dir
@options.socket
def ping(number: int, count: int, as_json: bool, state_dir: str, socket: str) -> int:
    """Ping the client of session NUMBER through its tunnel."""
    with asked(state_dir, socket) as there:
        result = there.request("ping", {"number": number, "count": count})
    received = result.get("received")
    if as_json:
        document(result)
    else:
        click.echo(_ping_told(result))
    return status_of("ok" if received else "cli.problems")


def _ping_told(result: Row) -> str:
    found = numbers(result.get("milliseconds"))
    told = (
        f"{result.get('address')}: {result.get('received')} of {result.get('sent')} answered"
        f", from {result.get('source')}"
    )
    if found:
        shortest, longest = min(found), max(found)
        told += f"; {shortest:.1f} / {sum(found) / len(found):.1f} / {longest:.1f} ms"
    return told


WHEN_WRONG = ("store_problem", "store_unwritten")
"""Lines that are shown only while they say something."""

NAMED = {"unproved": "callers that have proved nothing yet"}
"""Heads of a table that say more than its key."""


@click.command(epilog="Example: culvert gateway status --json")
@options.as_json
@options.state_dir
@options.socket
def status(as_json: bool, state_dir: str, socket: str) -> None:
    """How the gateway itself is: version, engine, limits, drops."""
    with asked(state_dir, socket) as there:
        result = there.request("status", {})
    if as_json:
        document(result)
        return
    shown = [
        (label(key), ", ".join(map(str, items(value))) or str(value))
        for key, value in result.items()
        if not isinstance(value, dict) and (value or key not in WHEN_WRONG)
    ]
    click.echo(pairs(shown, indent=""))
    for name in ("unproved", "refused_datagrams", "dropped_packets"):
        counts = row(result.get(name))
        if counts:
            click.echo(NAMED.get(name, name.replace("_", " ")))
            told = [(what.replace("_", " "), str(count)) for what, count in counts.items()]
            click.echo(pairs(told))
