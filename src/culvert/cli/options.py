"""Options that several commands share."""

from __future__ import annotations

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")

state_dir = click.option(
    "--state-dir",
    default="",
    metavar="DIR",
    help="Where the daemon keeps its state (environment: CULVERT_STATE_DIR).",
)

socket = click.option(
    "--socket",
    default="",
    metavar="PATH",
    help="The daemon's control socket (environment: CULVERT_SOCKET).",
)

engine = click.option(
    "--engine",
    type=click.Choice(["auto", "kernel", "python"]),
    default=None,
    help="The engine of the data path: compiled or pure Python (environment: CULVERT_ENGINE).",
)
