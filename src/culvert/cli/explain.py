"""``culvert explain``: a VPN log of any kind in, what happened, why and what to change out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import click

from culvert.cli import options
from culvert.cli.output import columns
from culvert.errors import ConfigError
from culvert.explain import explain as explained
from culvert.explain.catalogue import LANGUAGES
from culvert.explain.decode import lines
from culvert.explain.grammar.family import families
from culvert.explain.lint import problems
from culvert.explain.render import render

CHUNK = 1 << 18
"""Octets read at a time."""

STANDARD_INPUT = "-"


@click.command(epilog="Example: culvert explain charon.log")
@click.argument("files", nargs=-1, metavar="[FILE…|-]")
@click.option("--family", default="", metavar="FAMILY", help="Do not guess the kind of log.")
@click.option("--families", "list_families", is_flag=True, help="List the kinds of log.")
@click.option("--lint", is_flag=True, help="Check the tables of all families.")
@click.option("--lang", default="en", type=click.Choice(LANGUAGES), help="Language of the texts.")
@options.as_json
def explain(
    files: tuple[str, ...],
    family: str,
    list_families: bool,
    lint: bool,
    lang: str,
    as_json: bool,
) -> int:
    """Explain the VPN logs in FILES (several are read one after the other, - is standard input)."""
    if list_families:
        for one in families().values():
            click.echo(f"{one.name.ljust(18)}{one.head.title}")
        return 0
    if lint:
        return _lint()
    shown = sys.stderr.isatty() and not as_json
    with ExitStack() as stack:
        told = explained(
            lines(_chunks(files or (STANDARD_INPUT,), stack)),
            family=family,
            language=lang,
            progress=_progress if shown else None,
        )
    if as_json:
        click.echo(json.dumps(told.document(), ensure_ascii=False, indent=2))
    else:
        click.echo(render(told, columns()))
    return 0


def _lint() -> int:
    found = problems()
    for problem in found:
        click.echo(problem, err=True)
    return 1 if found else 0


def _chunks(files: tuple[str, ...], stack: ExitStack) -> Iterator[bytes]:
    for name in files:
        file = _opened(name, stack)
        while chunk := file.read(CHUNK):
            yield chunk
        yield b"\n"


def _opened(name: str, stack: ExitStack) -> BinaryIO:
    if name == STANDARD_INPUT:
        return sys.stdin.buffer
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", path=name) from None


def _progress(count: int) -> None:
    click.echo(f"\r{count} lines", err=True, nl=False)
