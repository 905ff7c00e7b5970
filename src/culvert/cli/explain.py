"""``culvert explain``: a VPN log of any kind in, what happened, why and what to change out."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import click

from culvert.cli import options
from culvert.cli.output import prose_columns
from culvert.errors import ConfigError
from culvert.explain import Explanation
from culvert.explain import explain as explained
from culvert.explain.archive import LONGEST_MAGIC, refuse_archive, refuse_without_packets
from culvert.explain.capture import NO_KEYS
from culvert.explain.capture import lines as captured
from culvert.explain.catalogue import LANGUAGES
from culvert.explain.decode import lines
from culvert.explain.ends import explain_ends
from culvert.explain.grammar.family import families
from culvert.explain.keys import read_keys
from culvert.explain.lint import problems
from culvert.explain.own import FAMILY
from culvert.explain.packed import Unpacked, is_packed
from culvert.explain.pcap import is_capture
from culvert.explain.render import html, render
from culvert.secret import Secret

CHUNK = 1 << 18
"""Octets read at a time."""

MAGIC = 4
"""Octets by which a capture is known."""

STANDARD_INPUT = "-"

ENDS = 2

NO_CAPTURE = "culvert: none of this is a capture: --psk-file and --keys say nothing about logs."


@click.command(epilog="Example: culvert explain charon.log")
@click.argument("files", nargs=-1, metavar="[FILE…|-]")
@click.option("--family", default="", metavar="FAMILY", help="Do not guess the kind of log.")
@click.option("--families", "list_families", is_flag=True, help="List the kinds of log.")
@click.option("--lint", is_flag=True, help="Check the tables of all families.")
@click.option(
    "--lang", default="en", type=click.Choice(LANGUAGES), help="Language; nl: part of it."
)
@click.option("--psk-file", default="", metavar="FILE", help="Group key to check a capture with.")
@click.option(
    "--keys", "key_log", default="", metavar="KEYLOG", help="Keys to decrypt a capture with."
)
@click.option("--html", "page", default="", metavar="FILE", help="Write one HTML page.")
@options.as_json
def explain(
    files: tuple[str, ...],
    family: str,
    list_families: bool,
    lint: bool,
    lang: str,
    psk_file: str,
    key_log: str,
    page: str,
    as_json: bool,
) -> int:
    """Explain the VPN logs and captures in FILES; - is standard input.

    The logs of both ends of one connection, given as two files, are joined, whoever wrote them;
    other files are read one after the other. Dutch (nl) covers the sources' own
    messages only; the rest is in English.
    """
    if list_families:
        for one in families().values():
            click.echo(f"{one.name.ljust(18)}{one.head.title}")
        return 0
    if lint:
        return _lint()
    _check(files, family)
    shown = sys.stderr.isatty() and not as_json
    with ExitStack() as stack:
        given = _given(psk_file, key_log)
        told = None if family else _of_both_ends(files, given, lang, stack)
        if told is None:
            told = explained(
                _lines(files or (STANDARD_INPUT,), given, stack),
                family=family,
                language=lang,
                progress=_progress if shown else None,
            )
    if (psk_file or key_log) and not given.used:
        click.echo(NO_CAPTURE, err=True)
    if page:
        _write(page, html(told))
    if as_json:
        click.echo(json.dumps(told.document(), ensure_ascii=False, indent=2))
    elif not page:
        click.echo(render(told, prose_columns()))
    return 0


def _check(files: tuple[str, ...], family: str) -> None:
    """Refuses what cannot be meant, as every other word that is not understood."""
    known = (*families(), FAMILY)
    if family and family not in known:
        raise click.BadParameter(
            f"{family!r} is no family of logs; there are {', '.join(known)}", param_hint="--family"
        )
    if files.count(STANDARD_INPUT) > 1:
        raise click.UsageError("- is standard input, which can be read once: give - once.")


def _write(path: str, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot write it: {error.strerror}", path=path) from None


def _of_both_ends(
    files: tuple[str, ...], given: Given, language: str, stack: ExitStack
) -> Explanation | None:
    """Two files may be the logs of two ends; only plain files can be read again if they are not."""
    if len(files) != ENDS or not all(Path(name).is_file() for name in files):
        return None
    first, second = (
        (shown, _lines((name,), given, stack))
        for name, shown in zip(files, short_names(files), strict=True)
    )
    return explain_ends(first, second, language=language)


def short_names(files: tuple[str, ...]) -> tuple[str, ...]:
    """Without directories, where that tells them apart."""
    names = tuple(Path(name).name for name in files)
    return names if len({*names}) == len(names) else files


def _lint() -> int:
    found = problems()
    for problem in found:
        click.echo(problem, err=True)
    return 1 if found else 0


def _lines(files: tuple[str, ...], given: Given, stack: ExitStack) -> Iterator[str]:
    for number, name in enumerate(files):
        if number:
            yield ""  # a record does not go on in the next file
        file = _opened(name, stack)
        if is_packed(file.peek(MAGIC)[:MAGIC]):
            file = BufferedReader(cast("Any", Unpacked(_chunks(file))))
        refuse_archive(file.peek(LONGEST_MAGIC)[:LONGEST_MAGIC], name)
        if is_capture(file.peek(MAGIC)[:MAGIC]):
            given.used = True
            yield from _packets(file, given, name)
        else:
            yield from lines(_chunks(file))


def _packets(file: BufferedReader, given: Given, name: str) -> Iterator[str]:
    none = True
    for line in captured(file, given.key, given.keys):
        none = False
        yield line
    if none:
        refuse_without_packets(name)


@dataclass(slots=True)
class Given:
    """What a capture may be opened with, and whether there was one."""

    key: Secret | None
    keys: Mapping[bytes, bytes]
    used: bool = False


def _given(psk_file: str, key_log: str) -> Given:
    psk = _text(psk_file).partition("\n")[0].rstrip("\r") if psk_file else ""
    if psk_file and not psk:
        raise ConfigError("no group key on its first line", path=psk_file)
    keys = read_keys(_text(key_log).splitlines(), key_log) if key_log else NO_KEYS
    return Given(Secret(psk) if psk_file else None, keys)


def _text(path: str) -> str:
    """What a file holds, so that no key stands in a command line."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", path=path) from None
    except UnicodeDecodeError:
        raise ConfigError("is not UTF-8 text", path=path) from None


def _chunks(file: BufferedReader) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        yield chunk


def _opened(name: str, stack: ExitStack) -> BufferedReader:
    if name == STANDARD_INPUT:
        given = sys.stdin.buffer
        return BufferedReader(cast("Any", given))
    try:
        return stack.enter_context(Path(name).open("rb"))
    except OSError as error:
        raise ConfigError(f"cannot read it: {error.strerror}", path=name) from None


def _progress(count: int) -> None:
    click.echo(f"\r{count} lines", err=True, nl=False)
