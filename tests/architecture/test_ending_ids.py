"""Every reason that the code ends a session with, or refuses one with, is a row of endings.toml."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from culvert.session.ending import endings

SOURCE = Path(__file__).parents[2] / "src" / "culvert"

# What takes a reason, and at which place among its arguments it stands without a name.
TAKES_REASON = {"Over": 0, "Refused": 0, "SessionEnded": 1, "ending": 0}


def reasons(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and text of every reason written out in a call."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        place = TAKES_REASON.get(node.func.id)
        if place is None:
            continue
        named = [word.value for word in node.keywords if word.arg == "reason"]
        for value in [*node.args[place : place + 1], *named]:
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield node.lineno, value.value


def test_every_reason_written_in_code_has_a_row() -> None:
    found = [
        (f"{path.relative_to(SOURCE)}:{line}", reason)
        for path in sorted(SOURCE.rglob("*.py"))
        for line, reason in reasons(ast.parse(path.read_text("utf-8")))
    ]
    assert found, "the search itself must find something"
    assert [(where, reason) for where, reason in found if reason not in endings()] == []


def test_a_wrong_reason_would_be_seen() -> None:
    code = 'end(Over("no-such-row")); SessionEnded(1, reason="nor-this"); Over(self.why)'
    assert {reason for _, reason in reasons(ast.parse(code))} == {"no-such-row", "nor-this"}
