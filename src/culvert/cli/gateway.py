"""``culvert gateway …``: run and administer a gateway."""

from __future__ import annotations

import click

from culvert.cli.lazy import LazyGroup

COMMANDS = {
    "run": ("culvert.cli.gateway_run:run", "Run a gateway in the foreground."),
    "restart": ("culvert.cli.gateway_restart:restart", "Replace the running gateway's process."),
    "validate": ("culvert.cli.gateway_run:validate", "Check a configuration file."),
    "check": ("culvert.cli.gateway_check:check", "Is all ready that clients behind a NAT need?"),
    "status": ("culvert.cli.gateway_sessions:status", "How the gateway itself is."),
    "sessions": ("culvert.cli.gateway_sessions:sessions", "Who is connected."),
    "logout": ("culvert.cli.gateway_sessions:logout", "End a session."),
    "announce": (
        "culvert.cli.gateway_sessions:announce",
        "Tell the peers of a new address.",
    ),
    "ping": ("culvert.cli.gateway_sessions:ping", "Ping a client through its tunnel."),
    "record": ("culvert.cli.gateway_record:record", "Record the next session, to be replayed."),
    "why": ("culvert.cli.why:gateway_why", "What happened to a session, step by step."),
    "log": ("culvert.cli.log:gateway_log", "The gateway's event log."),
    "trace": ("culvert.cli.trace:gateway_trace", "The gateway's live trace."),
    "group": ("culvert.cli.gateway_group:group", "Keys for the gateway's groups."),
    "user": ("culvert.cli.gateway_user:user", "The gateway's users."),
}


UNLISTED = ("announce", "record")
"""Named without a line of their own: help fits a screen."""


@click.group(
    cls=LazyGroup,
    commands_at=COMMANDS,
    unlisted=UNLISTED,
    epilog="Example: culvert gateway sessions",
)
def gateway() -> None:
    """Run and administer a gateway."""
