"""`culvert lab`: the network of the NAT-T note on this machine, up, down and looked into."""

from __future__ import annotations

import json

import click

from culvert.errors import PlatformError
from culvert.lab import topology
from culvert.lab.lab import DEFAULT_PREFIX, Lab

prefixed = click.option(
    "--prefix",
    default=DEFAULT_PREFIX,
    show_default=True,
    help="Which lab: its namespaces are PREFIX-client1, PREFIX-gw …",
)


def chosen(prefix: str) -> Lab:
    if not prefix or not prefix.replace("-", "").isalnum():
        raise click.BadParameter("letters, digits and '-' only", param_hint="--prefix")
    return Lab(prefix)


@click.group(epilog="Example: culvert lab up && culvert lab exec client1 ping -c1 172.16.172.50")
def lab() -> None:
    """Two clients behind one PAT, an internet, a gateway, a private LAN: in namespaces."""


@lab.command(epilog="Example: culvert lab up")
@prefixed
def up(prefix: str) -> None:
    """Build the lab; it stays until `culvert lab down`."""
    chosen(prefix).up()
    click.echo(f"lab {prefix} is up: {', '.join(topology.NAMES)}")


@lab.command(epilog="Example: culvert lab down")
@prefixed
def down(prefix: str) -> None:
    """Take the lab down, with everything that runs in it."""
    chosen(prefix).down()
    click.echo(f"lab {prefix} is down")


@lab.command(epilog="Example: culvert lab status")
@prefixed
def status(prefix: str) -> None:
    """Whether the lab stands, and what runs in it."""
    standing = chosen(prefix)
    if not standing.is_up:
        raise PlatformError(
            f"lab {prefix} is down", action=f"Build it with: culvert lab up --prefix {prefix}"
        )
    click.echo(f"lab {prefix} is up: {', '.join(topology.NAMES)}")
    for running in standing.running():
        click.echo(f"{running.name} (pid {running.pid}, log {running.log})")


@lab.command(epilog="Example: culvert lab xlate --json")
@prefixed
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def xlate(prefix: str, as_json: bool) -> None:
    """Print the PAT's translation table, as a PIX's `show xlate` does."""
    table = chosen(prefix).xlate()
    if not as_json:
        click.echo(str(table))
        return
    rows = [{name: getattr(row, name) for name in row.__slots__} for row in table.translations]
    shown = {"schema": 1, "in_use": len(rows), "most_used": table.most_used, "translations": rows}
    click.echo(json.dumps(shown, indent=2))


@lab.command(epilog="Example: culvert lab arp")
@prefixed
@click.option("--json", "as_json", is_flag=True, help="Print it for programs.")
def arp(prefix: str, as_json: bool) -> None:
    """Print the PAT's neighbours, as a PIX's `show arp` does."""
    neighbours = chosen(prefix).arp()
    if not as_json:
        for neighbour in neighbours:
            click.echo(str(neighbour))
        return
    rows = [{name: getattr(row, name) for name in row.__slots__} for row in neighbours]
    click.echo(json.dumps({"schema": 1, "neighbours": rows}, indent=2))


@lab.command(name="flush", epilog="Example: culvert lab flush")
@prefixed
def flush_nat(prefix: str) -> None:
    """Forget every translation of the PAT, as a rebooted NAT does."""
    chosen(prefix).flush_nat()


@lab.command(
    name="exec",
    context_settings={"ignore_unknown_options": True},
    epilog="Example: culvert lab exec client1 ping -c1 172.16.172.50",
)
@prefixed
@click.argument("name", type=click.Choice(topology.NAMES))
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def execute(prefix: str, name: str, command: tuple[str, ...]) -> None:
    """Run a program inside the lab, on this terminal; exits with its status."""
    raise SystemExit(chosen(prefix).attend(name, command))
