"""Words for facts and clauses in the reader's language; what a log printed is filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

from culvert.eventlog.wording import one_line
from culvert.explain.catalogue import words
from culvert.explain.facts import Fact
from culvert.explain.mask import masked
from culvert.tables.loader import document

PLACEHOLDER = re.compile(r"\{([a-z][a-z_0-9]*)\}")
LONGEST_VALUE = 160


@cache
def _clauses() -> Mapping[str, Mapping[str, str]]:
    return {row["id"]: row for row in document("explain/summary.toml")["clause"]}


def clause(name: str, language: str, **values: object) -> str:
    """A clause of the summary, or a heading; English where the language has none."""
    row = _clauses()[name]
    return filled(row.get(language) or row["en"], {key: str(one) for key, one in values.items()})


def says(fact: Fact, language: str) -> str:
    """What the fact says as a step; empty if it is no step."""
    row = fact.row
    if fact.says.get("en", "-").isspace():
        return ""
    own = fact.says.get(language)
    general = {"en": row.en, "de": row.de, "nl": row.nl}
    wording = own or general.get(language) or fact.says.get("en") or row.en
    if own is None and "en" in fact.says and language != "en":
        # The row's own English says more than the fact's general sentence in any language.
        wording = general.get(language) or fact.says["en"]
    if fact.strength and not fact.says and not row.en:
        wording = words(fact.value("of"), language).title
    values = {name: str(value) for name, value in fact.values.items()}
    text = filled(wording, {"peer": clause("the-peer", language), **values})
    return text[:1].upper() + text[1:]


def filled(wording: str, values: Mapping[str, str]) -> str:
    """``wording`` with its placeholders replaced; what the log does not say is left out."""
    text = PLACEHOLDER.sub(lambda found: values.get(found[1], "?")[:LONGEST_VALUE], wording)
    return one_line(masked(text)).strip()


def number(value: float, language: str, digits: int = 1) -> str:
    text = f"{value:.{digits}f}"
    return text if language == "en" else text.replace(".", ",")
