"""``culvert gateway run`` and ``validate``."""

from __future__ import annotations

import click

from culvert.cli import options
from culvert.cli.exit_code import status_of
from culvert.cli.output import document, printable
from culvert.errors import ConfigError
from culvert.gateway.config import examine
from culvert.gateway.daemon import read_file, run_gateway
from culvert.gateway.record_file import Watching
from culvert.gateway.recorded import Wanted

config_option = click.option(
    "-c", "--config", "path", required=True, metavar="FILE", help="The gateway's configuration."
)


@click.command(epilog="Example: culvert gateway run -c /etc/culvert/gateway.toml")
@config_option
@click.option("--quiet", is_flag=True, help="Do not print events; the log has them all the same.")
@options.key_log
@options.capture
@options.record
@options.record_caller
@options.record_secrets
@options.engine
@options.state_dir
@options.socket
def run(
    path: str,
    quiet: bool,
    key_log: str,
    capture: str,
    record: str,
    record_caller: str,
    record_secrets: bool,
    engine: str | None,
    state_dir: str,
    socket: str,
) -> None:
    """Run a gateway in the foreground until SIGTERM or Ctrl-C.

    For support, with more in man culvert-gateway-run: --record, --key-log, --capture.
    """
    if (record_caller or record_secrets) and not record:
        raise click.UsageError("--record-caller and --record-secrets go with --record FILE")
    run_gateway(
        path,
        state_dir=state_dir,
        socket=socket,
        quiet=quiet,
        engine=engine or "",
        watching=Watching(key_log, capture, record, Wanted(record_caller, record_secrets)),
    )


@click.command(epilog="Example: culvert gateway validate -c gateway.toml")
@config_option
@options.as_json
def validate(path: str, as_json: bool) -> int:
    """Check a configuration file: every mistake at once, with its line and what would be right."""
    examined = examine(read_file(path), path)
    if as_json:
        document(
            {
                "path": path,
                "mistakes": [_shown(one) for one in examined.problems],
                "warnings": [_shown(one) for one in examined.warnings],
            }
        )
    else:
        for one in examined.problems:
            click.echo(printable(str(one)))
        for one in examined.warnings:
            click.echo(f"warning: {printable(str(one))}")
        if not examined.problems:
            click.echo(f"{path}: no mistakes")
    return status_of("config.invalid" if examined.problems else "ok")


def _shown(found: ConfigError) -> dict[str, object]:
    return {"line": found.line, "sentence": found.what}
