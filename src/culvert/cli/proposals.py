"""``culvert profile proposals``: every proposal that has a name, and what is weak about it."""

from __future__ import annotations

import json

import click

from culvert.cli import options
from culvert.cli.output import table
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName


@click.command(epilog="Example: culvert profile proposals --json")
@options.as_json
def proposals(as_json: bool) -> int:
    """List the proposals that profiles (phase1, phase2) and the gateway know by name.

    A weak one works only with its switches in the key legacy.
    """
    made = [_row(name) for name in PROPOSAL_NAMES]
    if as_json:
        click.echo(json.dumps(made, indent=2))
        return 0
    heads = ("PHASE", "NAME", "PROPOSAL", "AUTHENTICATION", "WEAK (SWITCHES)")
    click.echo(table(heads, [_line(name) for name in PROPOSAL_NAMES]))
    return 0


def _suite(name: ProposalName) -> IkeSuite | EspSuite:
    return (IkeSuite if name.phase == 1 else EspSuite).named(name.tokens)


def _line(name: ProposalName) -> tuple[str, ...]:
    suite = _suite(name)
    return (
        str(name.phase),
        name.name,
        suite.name,
        name.authentication or "-",
        " ".join(sorted(suite.legacy)) or "-",
    )


def _row(name: ProposalName) -> dict[str, object]:
    suite = _suite(name)
    return {
        "phase": name.phase,
        "number": name.number,
        "name": name.name,
        "proposal": suite.name,
        "authentication": name.authentication,
        "selectable": True,
        "legacy": sorted(suite.legacy),
        "weak": list(suite.weak),
    }
