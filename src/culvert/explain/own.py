"""Our own event log, as JSON lines or as text: its events are facts already, its story is told.

The diagnosis is the one that `culvert why` gives (tables/diagnoses.toml), from the same entries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import chain

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.ring import Recent, Rings
from culvert.eventlog.story import Explanation as Story
from culvert.eventlog.story import tell
from culvert.eventlog.vocabulary import vocabulary
from culvert.explain.carrier import plain, unwrapped
from culvert.explain.catalogue import catalogue, words
from culvert.explain.explanation import (
    Action,
    Attempt,
    Diagnosis,
    Evidence,
    Explanation,
    Proposals,
    Step,
)
from culvert.explain.facts import phases, place
from culvert.explain.grammar.template import Template
from culvert.explain.mask import masked
from culvert.explain.sentence import clause

FAMILY = "culvert"
LOOKED_AT = 20
"""Lines that are looked at to know whether a log is our own."""

JSON_LINE = re.compile(r'\{"schema":\d{1,3},"number":\d{1,12},"at":"')
TEXT_LINE = re.compile(
    r"(?:(?P<at>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) )?(?P<word>[a-z]{4,10}) "
    r"(?P<code>[a-z0-9]{2,16}\.[a-z0-9-]{2,40})(?: \[(?P<key>[^\]]{1,100})\])? (?P<text>.*)"
)
OUTCOMES = {
    "failed": "failed",
    "ended": "ended",
    "impaired": "degraded",
    "working": "ok",
    "unfinished": "unknown",
}
REACHED = {
    "client.resolved": "dns",
    "ike.phase1-started": "p1-sent",
    "ike.proposal-chosen": "p1-partial",
    "ike.nat-detected": "p1-partial",
    "ike.phase1-established": "p1",
    "xauth.asked": "xauth",
    "config.requested": "modecfg",
    "quick.established": "p2",
    "client.up": "p2",
    "session.started": "p2",
    "data.nothing-back": "data",
}
"""How far an event shows that an attempt came."""

CERTAIN = 0.95
STYLE = re.compile(r"\{([a-z_0-9]+)(?::[a-z]+)?\}")


def is_own(lines: Sequence[str]) -> bool:
    """Do these first lines of a log say that we wrote it?"""
    return any(_read(line, number) is not None for number, line in enumerate(lines, start=1))


def told(lines: Iterable[str], language: str) -> Explanation:
    """Every connection and session in the log, the one that matters most first."""
    rings = Rings()
    count = unknown = 0
    kept: list[Evidence] = []
    where: dict[int, int] = {}
    for number, line in enumerate(lines, start=1):
        count = number
        if not line.strip():
            continue
        entry = _read(line, number)
        if entry is None:
            unknown += 1
            if len(kept) < LOOKED_AT:
                kept.append(Evidence(number, masked(plain(line))))
            continue
        rings.add(entry)
        where[entry.number] = number
    stories = [rings.story(key) for key in rings.keys()]  # noqa: SIM118  # no mapping or [rings.latest()]
    attempts = sorted(
        (_attempt(recent, where, language) for recent in stories if recent.entries),
        key=lambda one: ("failed", "ended", "degraded", "unknown", "ok").index(one.outcome),
    )
    outcome = attempts[0].outcome if attempts else "unknown"
    if outcome == "failed" and any(one.outcome in {"ok", "degraded"} for one in attempts):
        outcome = "degraded"
    diagnoses = attempts[0].diagnoses if attempts else ()
    return Explanation(
        FAMILY, outcome, tuple(attempts), diagnoses, unknown, count, tuple(kept), language
    )


def first_lines(lines: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """The first lines of a log, and the whole log again."""
    rest = iter(lines)
    first = [line for _, line in zip(range(LOOKED_AT), rest, strict=False)]
    return first, chain(first, rest)


def _read(line: str, number: int) -> Entry | None:
    text = unwrapped(plain(line)).text if not line.startswith("{") else line
    if JSON_LINE.match(text):
        try:
            return json_lines.parse(text)
        except ConfigError:
            return None
    found = TEXT_LINE.match(plain(line)) or TEXT_LINE.match(text)
    if found is None or found["code"] not in vocabulary():
        return None
    at = datetime.fromisoformat(found["at"] or "1970-01-01T00:00:00.000+00:00")
    fields: dict[str, Field] = {**_key(found["key"] or ""), **_fields(found["code"], found["text"])}
    return Entry(number, at, at.timestamp(), LogEvent(found["code"], fields))


def _key(shown: str) -> Mapping[str, Field]:
    if shown.startswith("#") and shown[1:].isdigit():
        return {"session": int(shown[1:])}
    return {"connection": shown} if shown else {}


def _fields(code: str, text: str) -> Mapping[str, Field]:
    """The fields that a line of text still shows."""
    found = _template(code).pattern.match(text)
    if found is None:
        return {}
    return {name: _typed(value) for name, value in found.groupdict().items() if value}


def _typed(value: str) -> Field:
    if value.isdigit():
        return int(value)
    return {"yes": True, "no": False}.get(value, value)


@cache
def _template(code: str) -> Template:
    seen: set[str] = set()

    def placeholder(found: re.Match[str]) -> str:
        if found[1] in seen:
            return " .. "
        seen.add(found[1])
        return f"{{{found[1]}:text}}"

    return Template(STYLE.sub(placeholder, vocabulary()[code].text))


def _attempt(recent: Recent, where: Mapping[int, int], language: str) -> Attempt:
    story = tell(recent)
    entries = recent.entries
    verdict = story.verdict
    reach = max((place(REACHED.get(entry.code, "")) for entry in entries), default=-1)
    known = catalogue().get(verdict.id)
    if known is not None:
        reach = max(reach, place(known.floor))
        reach = min(reach, place(known.cap)) if known.cap else reach
    peer = next((str(one) for entry in entries if (one := entry.field("peer"))), story.about)
    return Attempt(
        OUTCOMES.get(verdict.outcome, "unknown"),
        phases()[reach] if reach >= 0 else "none",
        peer,
        story.began,
        round(story.steps[-1].after, 3) if story.steps else None,
        (_diagnosis(story, entries, where, language),),
        tuple(Step(0, f"+{step.after:.3f} s", step.text) for step in story.steps),
        Proposals(
            tuple(dict.fromkeys(one.local for one in story.comparisons)),
            tuple(dict.fromkeys(one.remote for one in story.comparisons)),
            tuple(
                clause(
                    "change-attribute",
                    language,
                    attribute=one.attribute,
                    local=one.local,
                    remote=one.remote,
                )
                for one in story.comparisons
                if not one.fits
            )[:1],
        ),
        FAMILY,
    )


def _diagnosis(
    story: Story, entries: Sequence[Entry], where: Mapping[int, int], language: str
) -> Diagnosis:
    verdict = story.verdict
    proof = [entry for entry in entries if entry.row.severity <= 5][-3:] or list(entries[-1:])
    evidence = tuple(
        Evidence(where.get(entry.number, 0), masked(own.render(entry))) for entry in proof
    )
    if language != "en" and verdict.id in catalogue():
        text = words(verdict.id, language)
        parted = [action.partition(": ") for action in text.actions]
        return Diagnosis(
            verdict.id,
            text.title,
            CERTAIN,
            text.why.replace("{peer}", clause("the-peer", language)),
            text.causes,
            tuple(Action(what, who) for who, _, what in parted),
            evidence,
        )
    why = f"{verdict.why}. {story.summary}" if verdict.good and story.summary else verdict.why
    return Diagnosis(
        verdict.id,
        verdict.what,
        CERTAIN,
        why,
        verdict.causes,
        tuple(Action(one.text, one.who) for one in verdict.actions),
        evidence,
    )
