"""``culvert about``: what this program is, and what it leaves out."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

import click

from culvert.tables.scope import MARKS, scope

SCHEMA = 1
WIDTH = 96
INDENT = " " * 10


@click.group(epilog="Example: culvert about scope")
def about() -> None:
    """What culvert is and is not."""


@about.command("scope", epilog="Example: culvert about scope --json")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
def show_scope(as_json: bool) -> None:
    """List what is done differently here, or not at all, and why.

    Numbers such as S0-07 are those of docs/requirements.md.
    """
    found = scope()
    if as_json:
        told = {"schema": SCHEMA, "scope": [asdict(row) for row in found]}
        click.echo(json.dumps(told, ensure_ascii=False, indent=2))
        return
    for mark, meaning in MARKS.items():
        chosen = [row for row in found if row.mark == mark]
        click.echo(f"{meaning.capitalize()} ({len(chosen)})")
        for row in chosen:
            click.echo(f"  {row.row:<8}{row.title}")
            click.echo(
                textwrap.fill(row.reason, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
            )
        click.echo()
