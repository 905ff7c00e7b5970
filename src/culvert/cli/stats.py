"""``culvert stats``: what a connection carried, how, and since when; and counting anew."""

from __future__ import annotations

from collections.abc import Sequence

import click

from culvert.cli import options
from culvert.cli.conversation import Conversation
from culvert.cli.output import clock_time, document, duration, pairs, printable, since
from culvert.cli.reading import Row, texts
from culvert.driver.places import SERVICE, places


@click.command(epilog="Example: culvert stats office --reset")
@click.argument("name", required=False, default="")
@click.option("--reset", is_flag=True, help="Count from nought from now on.")
@options.as_json
@options.state_dir
@options.socket
def stats(name: str, reset: bool, as_json: bool, state_dir: str, socket: str) -> None:
    """The statistics of the connection NAME, or of all: octets, packets, tunnel port."""
    where = places(SERVICE, state_dir=state_dir, socket=socket)
    with Conversation(where.socket, daemon="the service") as service:
        rows, _ = service.listing("statistics", {"name": name, "reset": reset})
    if as_json:
        document({"connections": rows})
    else:
        click.echo(told(rows))


def told(rows: Sequence[Row]) -> str:
    """The statistics in words."""
    return "\n\n".join(_told(one) for one in rows) if rows else "Nothing is connected."


def _told(shown: Row) -> str:
    began, counted = str(shown.get("since") or ""), str(shown.get("counted_since") or "")
    lines = [
        ("client address", _or_none(shown.get("client_address"))),
        ("server address", _or_none(shown.get("server_address"))),
        ("bytes received", str(shown.get("bytes_in"))),
        ("bytes sent", str(shown.get("bytes_out"))),
        ("packets encrypted", str(shown.get("packets_encrypted"))),
        ("packets decrypted", str(shown.get("packets_decrypted"))),
        ("packets discarded", str(shown.get("packets_discarded"))),
        ("packets bypassed", str(shown.get("packets_bypassed"))),
        ("encryption", _or_none(shown.get("encryption"))),
        ("authentication", _or_none(shown.get("authentication"))),
        ("transparent tunnelling", _tunnelling(shown)),
        ("tunnel port", str(shown.get("tunnel_port"))),
        ("local LAN", ", ".join(texts(shown.get("local_lan"))) or "disabled"),
        ("compression", _or_none(shown.get("compression"))),
        ("time connected", duration(since(began)) if began else "not connected"),
        ("counted since", clock_time(counted) if counted != began else ""),
    ]
    return f"{printable(str(shown['name']))}: {shown['state']}\n{pairs(lines)}"


def _tunnelling(shown: Row) -> str:
    """``active on UDP port 4500``."""
    port, transport = shown.get("tunnel_port"), shown.get("transport")
    if not port:
        return "inactive"
    return f"active on {'TCP' if transport == 'tcp' else 'UDP'} port {port}"


def _or_none(value: object) -> str:
    return str(value or "none")
