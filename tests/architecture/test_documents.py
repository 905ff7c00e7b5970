"""The documents: links lead somewhere, commands exist, and excerpts are what programs print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from culvert.cli.demo import TITLES
from culvert.cli.main import culvert

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
PROGRAM = "culvert"


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = [link for link in LINK.findall(document.read_text("utf-8")) if "://" not in link]
    assert [link for link in targets if not (document.parent / link).exists()] == []


def commands(document: Path) -> Iterator[list[str]]:
    """Every `culvert …` of its code blocks without a language, as words."""
    for language, block in FENCE.findall(document.read_text("utf-8")):
        if language in ("", "sh", "console"):
            for line in block.splitlines():
                words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
                yield from after_the_program(words)


def after_the_program(words: list[str]) -> Iterator[list[str]]:
    """`lab exec client1 culvert up` is two commands."""
    for at, word in enumerate(words):
        if (word == PROGRAM and words[:at] in ([], ["sudo"])) or word.endswith("/bin/culvert"):
            yield words[at + 1 :]
            if words[at + 1 : at + 3] == ["lab", "exec"] and PROGRAM in words[at + 3 :]:
                yield words[words.index(PROGRAM, at + 3) + 1 :]
            return


def unknown(words: list[str]) -> list[str]:
    """What of a command line is no command or option."""
    command: click.Command = culvert
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
    if command.name == "exec":
        return []  # the rest is another program's
    known = {option for one in command.params for option in one.opts} | {"--help"}
    return [word for word in words if re.match(r"--?[a-z]", word) and word not in known]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_line_in_it_exists(document: Path) -> None:
    wrong = [
        f"{' '.join(words)}: {unknown(words)}" for words in commands(document) if unknown(words)
    ]
    assert wrong == []


def test_the_guides_and_the_readme_have_command_lines() -> None:
    for name in ("README.md", "docs/guides/first-connection.md", "docs/guides/import-pcf.md"):
        assert list(commands(ROOT / name))


def test_the_readmes_excerpt_of_the_demo_has_its_titles() -> None:
    shown = re.findall(
        r"^── (\d+)  (.*?) ─+$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(shown) >= 5
    for number, title in shown:
        assert title.startswith(TITLES[int(number) - 1])


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_document_is_listed_where_one_looks_for_it(document: Path) -> None:
    """From the README or the index one comes to all of them, decisions aside."""
    if document.parent.name in ("decisions", "results") or document.name == "README.md":
        return
    listed = {
        (index.parent / link).resolve()
        for index in (ROOT / "README.md", ROOT / "docs/README.md")
        for link in LINK.findall(index.read_text("utf-8"))
    }
    assert document.resolve() in listed
