"""Options that several commands share."""

from __future__ import annotations

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print a JSON document.")

state_dir = click.option(
    "--state-dir",
    default="",
    metavar="DIR",
    help="The daemon's state directory (or CULVERT_STATE_DIR).",
)

socket = click.option(
    "--socket",
    default="",
    metavar="PATH",
    help="The daemon's control socket (or CULVERT_SOCKET).",
)

engine = click.option(
    "--engine",
    type=click.Choice(["auto", "xfrm", "user", "kernel", "python"]),
    default=None,
    help="The kernel's IPsec, or user space: compiled or pure Python (CULVERT_ENGINE).",
)

key_log = click.option(
    "--key-log",
    default="",
    hidden=True,  # as those below: help fits a screen, and its text names them
    metavar="FILE",
    help="Write the keys of IKE and ESP there, to decrypt a capture with. For root only.",
)

record = click.option(
    "--record",
    default="",
    hidden=True,
    metavar="FILE",
    help="Record the session there, for `culvert replay`; without passwords. For root only.",
)

record_secrets = click.option(
    "--record-secrets",
    is_flag=True,
    hidden=True,
    help="With --record: keep passwords and the group key in the record.",
)

record_caller = click.option(
    "--record-caller",
    default="",
    hidden=True,
    metavar="USER|ADDRESS",
    help="With --record: whose session; without it that of whoever calls first.",
)

capture = click.option(
    "--capture",
    default="",
    hidden=True,
    metavar="FILE",
    help="Write the packets of IKE and ESP there, as pcap. For root only.",
)
