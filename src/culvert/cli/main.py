"""``culvert``: the command line. Daily words for one's own connection; areas for all else."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence

import click

from culvert import __version__
from culvert.cli.exit_code import status_of
from culvert.cli.lazy import LazyGroup
from culvert.cli.output import complain
from culvert.errors import CulvertError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the standard output says when there is no room for more."""

COMMANDS = {
    "up": ("culvert.cli.up:up", "Connect: culvert up NAME or culvert up FILE."),
    "down": ("culvert.cli.down:down", "Disconnect."),
    "status": ("culvert.cli.status:status", "What is connected, and how well."),
    "stats": ("culvert.cli.stats:stats", "What a connection carried; --reset counts anew."),
    "why": ("culvert.cli.why:why", "The last attempt, step by step, in plain words."),
    "explain": ("culvert.cli.explain:explain", "What a VPN log of any kind tells, and what to do."),
    "log": ("culvert.cli.log:log", "The event log; culvert trace shows it live, as LANCOM does."),
    "trace": ("culvert.cli.trace:trace", "The live trace, in the words of LANCOM's."),
    "replay": ("culvert.cli.replay:replay", "Run a recorded session again, packet by packet."),
    "notify": ("culvert.cli.notify:notify", "Pop-ups of the desktop for what happens."),
    "logs": ("culvert.cli.logs:logs", "Session logs: where they are, and a pack for support."),
    "check": ("culvert.cli.check:check", "Test this machine: TUN, ports, privileges."),
    "repair": ("culvert.cli.repair:repair", "Undo changes a crash left behind."),
    "setmtu": ("culvert.cli.setmtu:setmtu", "The MTU of network adapters, for troubleshooting."),
    "profile": ("culvert.cli.profile:profile", "Import, list and show profiles."),
    "certificate": ("culvert.cli.certificate:certificate", "Import, list and show certificates."),
    "gateway": ("culvert.cli.gateway:gateway", "Run and administer a gateway."),
    "service": ("culvert.cli.service:service", "The client's root service."),
    "demo": ("culvert.cli.demo:demo", "See two clients behind one PAT at work, in one minute."),
    "lab": ("culvert.cli.lab:lab", "Networks in namespaces, to try things out."),
    "about": ("culvert.cli.about:about", "Scope, versions, sources."),
    "completion": ("culvert.cli.completion:completion", "Shell completion."),
}


UNLISTED = (
    "stats",
    "trace",
    "replay",
    "logs",
    "notify",
    "setmtu",
    "service",
    "lab",
    "about",
    "completion",
)
"""Named without a line of their own: help fits a screen."""


@click.group(
    cls=LazyGroup,
    commands_at=COMMANDS,
    unlisted=UNLISTED,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: culvert up office.pcf",
)
@click.version_option(__version__, prog_name="culvert", message="%(prog)s %(version)s")
def culvert() -> None:
    """Remote-access VPN that says in plain words why it does not work."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry of the command: every way out ends in a status of tables/exit_codes.toml."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """The exit status of ``culvert ARGUMENTS``."""
    as_json = "--json" in arguments
    try:
        status = culvert.main(arguments, prog_name="culvert", standalone_mode=False)
    except CulvertError as error:
        complain(error, as_json=as_json)
        return status_of(error.code)
    except click.UsageError as error:
        error.show()
        return status_of("cli.usage")
    except click.ClickException as error:
        error.show()
        return status_of("cli.usage")
    except (click.Abort, KeyboardInterrupt):
        click.echo("culvert: interrupted.", err=True)
        return status_of("cli.interrupted")
    except BrokenPipeError:
        # `culvert log | head`: the reader had enough, which is no failure.
        sys.stderr.close()
        return status_of("ok")
    except OSError as error:
        if error.errno not in FULL:
            raise
        # The rest stands in a buffer that would be written at the end, and fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        click.echo(f"culvert: cannot write the output: {error.strerror}.", err=True)
        return status_of("platform.unavailable")
    return status if isinstance(status, int) else status_of("ok")
