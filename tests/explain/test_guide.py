"""The guide's own example is a family that works: docs/guides/teach-a-family.md."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from culvert.explain.grammar import family as grammar
from culvert.explain.grammar.family import Family
from culvert.explain.grammar.index import Index
from culvert.explain.lint import row_problems
from culvert.tables import loader

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "teach-a-family.md"
BLOCK = re.compile(r"```toml\n(.*?)```", re.DOTALL)
ACME = "explain/acme.toml"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> Family:
    """The blocks of the guide, one after the other, as a family's file."""
    text = "\n".join(BLOCK.findall(GUIDE.read_text("utf-8")))
    given: Mapping[str, Any] = tomllib.loads(text)
    real = loader.document
    monkeypatch.setattr(loader, "document", lambda name: given if name == ACME else real(name))
    make: Any = grammar._family
    made: Family = make("acme")
    return made


def test_the_guides_family_is_without_mistakes(acme: Family) -> None:
    assert acme.readings
    for reading in acme.readings:
        assert list(row_problems(reading)) == []


def test_the_guides_family_reads_a_log(acme: Family) -> None:
    line = "acmevpn[12]: shared secret check failed for 192.0.2.44"
    frame = acme.framed(line)
    assert frame is not None
    ((reading, found),) = Index(acme.readings).hits(line[frame.end() :])
    assert reading.row.sign == "p1.psk-mismatch"
    assert found["peer"] == "192.0.2.44"
