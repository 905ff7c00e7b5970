"""``culvert service``: the client's root service, and starting it when it is needed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import click

from culvert.cli import options
from culvert.client.daemon import run_service
from culvert.driver.control import RequestError
from culvert.driver.places import Places
from culvert.netio.control_socket import is_answering

START_SECONDS = 10.0
"""How long a service that was started on demand may take until it answers."""

LOOK_INTERVAL = 0.05

LONGEST_WORDS = 2000
"""Octets shown of what a service said that could not start."""

IDLE_EXIT = 300.0
"""A service started on demand ends after so many seconds without a connection."""


@click.group(epilog="Example: sudo culvert service run")
def service() -> None:
    """The client's root service: holds TUN, routes and DNS. It connects nothing by itself."""


@service.command(epilog="Example: sudo culvert service run")
@click.option("--quiet", is_flag=True, help="Do not print events; the log has them all the same.")
@click.option(
    "--idle-exit",
    type=click.FloatRange(min=0.0),
    default=0.0,
    metavar="SECONDS",
    help="End when nothing was connected for so long.",
)
@options.engine
@options.state_dir
@options.socket
def run(quiet: bool, idle_exit: float, engine: str | None, state_dir: str, socket: str) -> None:
    """Run the service in the foreground until SIGTERM or Ctrl-C."""
    if os.geteuid() != 0:
        raise RequestError(
            "cli.denied",
            "the service needs root, for TUN, routes and DNS",
            "sudo culvert service run",
        )
    run_service(
        state_dir=state_dir,
        socket=socket,
        idle_exit=idle_exit,
        quiet=quiet,
        engine=engine or "",
    )


def ensure_running(where: Places) -> None:
    """Start the service if it is not running and we may. Raises RequestError if it does not."""
    if is_answering(where.socket) or os.geteuid() != 0:
        return
    with tempfile.TemporaryFile() as said:
        started = subprocess.Popen(  # noqa: S603  # our own interpreter and module, no shell
            [
                *(sys.executable, "-m", "culvert", "service", "run", "--quiet"),
                *("--idle-exit", str(IDLE_EXIT)),
                *("--state-dir", str(where.state), "--socket", str(where.socket)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        given_up = time.monotonic() + START_SECONDS
        while not is_answering(where.socket):
            if started.poll() is not None or time.monotonic() > given_up:
                said.seek(0)
                words = said.read(LONGEST_WORDS).decode(errors="replace").strip()
                raise RequestError(
                    "cli.not-running",
                    f"the service could not be started: {words or 'it does not answer'}",
                    f"Run it yourself to see why: culvert service run --state-dir {where.state}",
                )
            time.sleep(LOOK_INTERVAL)
    # It goes on without us; nobody collects it but init.
    started.returncode = 0
