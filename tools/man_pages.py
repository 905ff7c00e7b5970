"""Writes packaging/man/*.1 from the commands themselves; with ``--check`` it only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from culvert import __version__
from culvert.cli.exit_code import exit_codes
from culvert.cli.main import culvert

FOLDER = Path(__file__).resolve().parent.parent / "packaging" / "man"


def main() -> int:
    """Write, or compare; 1 if something differs."""
    pages = {f"{'-'.join(words)}.1": page(words, command) for words, command in commands()}
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in pages.items() if _read(FOLDER / name) != text]
        stale += [path.name for path in FOLDER.glob("*.1") if path.name not in pages]
        for name in stale:
            sys.stderr.write(f"{FOLDER / name} is stale: run tools/man_pages.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path in FOLDER.glob("*.1"):
        path.unlink()
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, groups before what is in them."""

    def walk(
        words: tuple[str, ...], command: click.Command
    ) -> Iterator[tuple[tuple[str, ...], click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                if inner is not None:
                    yield from walk((*words, name), inner)

    return walk(("culvert",), culvert)


def page(words: tuple[str, ...], command: click.Command) -> str:
    """One page, man(7)."""
    context = click.Context(command, info_name=" ".join(words))
    title = "-".join(words)
    help_text = command.help or ""
    first, _, rest = help_text.partition("\n\n")
    lines = [
        f'.TH {title.upper()} 1 "" "culvert {__version__}" "culvert"',
        ".SH NAME",
        _text(f"{title} - {_one_line(first).removesuffix('.')}"),
        ".SH SYNOPSIS",
        f".B {_text(' '.join(words))}",
        _text(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        _text(_one_line(first)),
    ]
    for paragraph in filter(None, rest.split("\n\n")):
        lines += [".PP", _text(_one_line(paragraph))]
    lines += _options(command, context)
    lines += _commands(words, command, context)
    if command.epilog:
        lines += [".SH EXAMPLE", ".EX", _text(command.epilog.removeprefix("Example: ")), ".EE"]
    lines += _exits(words)
    if len(words) > 1:
        lines += [".SH SEE ALSO", f".BR {_text('-'.join(words[:-1]))} (1)"]
    return "\n".join(lines) + "\n"


def _options(command: click.Command, context: click.Context) -> list[str]:
    records: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        if isinstance(parameter, click.Option):
            parameter.hidden = False  # help has to fit a screen, a page has not
            if (record := parameter.get_help_record(context)) is not None:
                records.append(record)
    lines = [".SH OPTIONS"] if records else []
    for names, meaning in records:
        lines += [".TP", f".B {_text(names)}", _text(meaning)]
    return lines


def _commands(words: tuple[str, ...], command: click.Command, context: click.Context) -> list[str]:
    if not isinstance(command, click.Group):
        return []
    lines = [".SH COMMANDS"]
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        if inner is not None:
            lines += [".TP", f".BR {_text('-'.join((*words, name)))} (1)"]
            lines.append(_text(inner.get_short_help_str(limit=100)))
    return lines


def _exits(words: tuple[str, ...]) -> list[str]:
    """The whole table stands in the first page only."""
    if len(words) > 1:
        return [".SH EXIT STATUS", "As in", ".BR culvert (1)."]
    lines = [".SH EXIT STATUS"]
    for row in exit_codes():
        lines += [".TP", f".B {row.status}", _text(f"{row.meaning} ({', '.join(row.codes)})")]
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _text(text: str) -> str:
    """Safe for roff: no escapes, no requests by accident, real hyphens."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
