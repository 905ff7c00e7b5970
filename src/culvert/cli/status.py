"""``culvert status``: what is connected, and how well."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.exit_code import status_of
from culvert.cli.left_over import HINT, hinted, is_left
from culvert.cli.output import clock_time, document, duration, line, octets, pairs, since, until
from culvert.cli.reading import Row, row, texts
from culvert.driver.control import RequestError
from culvert.driver.places import SERVICE, Places, places

WATCH_INTERVAL = 2.0
"""Seconds between two looks of ``--watch``; figures are never older than that."""

CLEAR_SCREEN = "\x1b[H\x1b[2J"


@click.command(epilog="Example: culvert status --watch")
@click.argument("name", required=False, default="")
@click.option("--watch", is_flag=True, help="Show again every two seconds until interrupted.")
@click.option("--established", is_flag=True, help="Print nothing; exit 0 if connected, else 1.")
@options.as_json
@options.state_dir
@options.socket
def status(
    name: str, watch: bool, established: bool, as_json: bool, state_dir: str, socket: str
) -> int:
    """Show the connections of this machine, or the one called NAME; `culvert stats` counts."""
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    if established:
        up = any(one.get("state") == "up" for one in connections(where, name))
        return status_of("ok" if up else "cli.no")
    while True:
        rows, left = _looked(where, name)
        if as_json:
            (line if watch else document)({"connections": rows, "left_over": left})
        else:
            clear = CLEAR_SCREEN if watch and sys.stdout.isatty() else ""
            click.echo(clear + told(rows) + (f"\n{HINT}" if left else ""))
        if not watch:
            return status_of("ok")
        time.sleep(WATCH_INTERVAL)


def connections(where: Places, name: str = "") -> list[Row]:
    """The rows of all connections, or of one. A service that is not running has none."""
    return _looked(where, name)[0]


def _looked(where: Places, name: str) -> tuple[list[Row], bool]:
    """The rows; and whether a service that is not running has left something behind."""
    try:
        with Conversation(where.socket, daemon="the service") as service:
            return service.listing("status", {"name": name})[0], False
    except RequestError as error:
        if error.code != "cli.not-running":
            raise
        left = is_left(where)
        if not name:
            return [], left
        raise hinted(error) if left else error from None


def told(rows: Sequence[Row]) -> str:
    """The connections in words."""
    return "\n\n".join(_told(one) for one in rows) if rows else "Nothing is connected."


def _told(shown: Row) -> str:
    began = str(shown.get("since") or "")
    lasting = f" for {duration(since(began))}, since {clock_time(began)}" if began else ""
    head = f"{shown['name']}: {shown['state']}{lasting}{_coming_back(shown)}"
    through = f"{shown.get('protocol') or ''} {transport(shown)}" if shown.get("transport") else ""
    lines = [
        ("gateway", str(shown.get("gateway") or "")),
        ("through", through),
        ("user", str(shown.get("user") or "")),
        ("address", str(shown.get("assigned_ip") or "")),
        ("networks", ", ".join(texts(shown.get("routes")))),
        ("DNS", ", ".join(texts(shown.get("dns")))),
        ("NBNS", ", ".join(texts(shown.get("nbns")))),
        ("split DNS", ", ".join(texts(shown.get("split_domains")))),
        ("encryption", str(shown.get("encryption") or "")),
        ("authentication", str(shown.get("authentication") or "")),
        ("proved by", _method(shown)),
        ("engine", _engine(shown)),
        ("received", _amount(shown, "in")),
        ("sent", _amount(shown, "out")),
        ("weak", ", ".join(texts(shown.get("weak")))),
        *_problem(shown.get("problem")),
    ]
    return f"{head}\n{pairs(lines)}"


def _coming_back(shown: Row) -> str:
    """``, attempt 3, next in 4 s``."""
    attempt, then = shown.get("attempt"), str(shown.get("next_attempt") or "")
    if shown.get("state") != "reconnecting" or not attempt:
        return ""
    return f", attempt {attempt}, " + (f"next in {until(then):.0f} s" if then else "under way")


def transport(shown: Row) -> str:
    """``nat-t, port 4500`` or ``esp``."""
    port = shown.get("tunnel_port")
    return f"{shown.get('transport') or ''}{f', port {port}' if port else ''}".strip(", ")


def _method(shown: Row) -> str:
    """``hybrid, aggressive mode: both names went in clear``."""
    mode = shown.get("exchange_mode")
    exposed = ": both names went in clear" if mode == "aggressive" else ""
    return f"{shown.get('method')}, {mode} mode{exposed}" if mode else ""


def _engine(shown: Row) -> str:
    """``kernel: compiled kernel with libcrypto.so.3``."""
    return ": ".join(
        filter(None, (str(shown.get(key) or "") for key in ("engine", "engine_reason")))
    )


def _amount(shown: Row, direction: str) -> str:
    count = shown.get(f"bytes_{direction}")
    packets = shown.get(f"packets_{direction}")
    down = shown.get("state") == "down" and not count
    if not isinstance(count, int) or down:
        return ""
    return f"{octets(count)} in {packets} packets"


def _problem(problem: object) -> list[tuple[str, str]]:
    said = row(problem)
    return [
        ("problem", str(said.get("sentence") or "")),
        ("what to do", str(said.get("action") or "")),
    ]
