"""Checks the tables of the explainer: every row reads its own examples, every name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator

from culvert.errors import CulvertError
from culvert.explain.catalogue import LANGUAGES, TABLE, catalogue, words
from culvert.explain.facts import fact_rows, place
from culvert.explain.grammar.family import (
    Family,
    Reading,
    families,
    listed,
    names,
    own_rows,
    source,
)
from culvert.explain.grammar.index import Index
from culvert.explain.match import CONTROL, rules
from culvert.explain.sentence import PLACEHOLDER

CARELESS = re.compile(r"(?:[^\\][*+]|\{\d+,\})\)[*+{]")
"""A repeated group of what is itself repeated without end: the classic trap for slow matching."""

UNBOUNDED = re.compile(r"(?<!\\)\.[*+](?![+])")
WHO = frozenset({"user", "administrator", "network"})


def problems() -> list[str]:
    """What is wrong, one sentence each; empty if nothing is."""
    found: list[str] = []
    for name in names():
        try:
            family = families()[name]
        except CulvertError as error:
            return [str(error)]
        found += (f"{source(name)}: {problem}" for problem in _family(family))
    found += (f"rules: {problem}" for problem in _rules())
    found += (f"{TABLE}: {problem}" for problem in _catalogue())
    return found


def _family(family: Family) -> Iterator[str]:
    for frame in (*family.head.frames, *family.head.bodies, family.head.splits):
        if CARELESS.search(frame) or UNBOUNDED.search(frame):
            yield f"frame {frame!r} repeats without bounds"
    for other in family.head.like:
        if other not in names():
            yield f"like names {other!r}, which is no family"
    own = own_rows(family.name)
    for reading in family.readings:
        if reading.row in own:
            yield from row_problems(reading)


def row_problems(reading: Reading) -> Iterator[str]:
    """What is wrong with one row."""
    row = reading.row
    examples = listed(row.example)
    if not row.fact and not row.sign:
        yield f"{row.text!r} says nothing: neither fact nor sign"
    if row.fact and row.fact not in fact_rows():
        yield f"{row.text!r}: no fact {row.fact!r}"
    if row.sign and row.sign not in catalogue():
        yield f"{row.text!r}: no diagnosis {row.sign!r}"
    if not 1 <= row.strength <= 6:
        yield f"{row.text!r}: strength must be 1 to 6"
    for template in reading.templates:
        if not any(template.pattern.search(example) for example in examples):
            yield f"{template.text!r} has no example that it reads"
    index = Index([reading])
    for example in examples:
        if not index.hits(example):
            yield f"example {example!r} is not read by its row"
    known = {name for template in reading.templates for name in template.names} | row.set.keys()
    for wording in (row.en, row.de, row.nl):
        for found in PLACEHOLDER.finditer(wording):
            if found[1] not in known and found[1] != "peer":
                yield f"{row.text!r}: {{{found[1]}}} in a sentence is not read by the row"


def _rules() -> Iterator[str]:
    for rule in rules():
        if rule.diagnosis not in catalogue():
            yield f"no diagnosis {rule.diagnosis!r}"
        for condition in (*rule.all, *rule.any, *rule.none):
            if condition.get("fact") not in fact_rows():
                yield f"{rule.diagnosis}: no fact {condition.get('fact')!r}"
            for name in ("below", "from"):
                if name in condition and place(str(condition[name])) < 0:
                    yield f"{rule.diagnosis}: no phase {condition[name]!r}"
            if not condition.keys() - CONTROL and len(condition) == 0:
                yield f"{rule.diagnosis}: an empty condition"


def _catalogue() -> Iterator[str]:
    for row in catalogue().values():
        for phase in (row.floor, row.cap):
            if phase and place(phase) < 0:
                yield f"{row.id}: no phase {phase!r}"
        for language in LANGUAGES:
            told = words(row.id, language)
            if not told.title or not told.why:
                yield f"{row.id}: no title or reason in {language}"
            for action in told.actions:
                if action.partition(": ")[0] not in WHO:
                    yield f"{row.id}: {action!r} does not say who can do it ({language})"
