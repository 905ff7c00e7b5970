"""Our own event log, as JSON lines or as text: its events are facts already, its story is told.

The diagnosis is the one that `culvert why` gives (tables/diagnoses.toml), from the same entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from culvert.eventlog.diagnosis import ENDS
from culvert.eventlog.entry import Entry
from culvert.eventlog.render import own
from culvert.eventlog.ring import Recent, Rings
from culvert.eventlog.story import Explanation as Story
from culvert.eventlog.story import last_attempt, steps, tell
from culvert.explain.catalogue import catalogue, words
from culvert.explain.explanation import (
    WORST_FIRST,
    Action,
    Attempt,
    Diagnosis,
    Evidence,
    Explanation,
    Proposals,
    Step,
)
from culvert.explain.facts import phases, place
from culvert.explain.join import joined
from culvert.explain.marks import DAY, Marks, named
from culvert.explain.mask import masked
from culvert.explain.own_steps import teller
from culvert.explain.sentence import clause
from culvert.explain.smallest import smallest_change
from culvert.explain.tell import unknowable
from culvert.explain.written import RAW, Written

FAMILY = "culvert"
LOOKED_AT = 120
"""Lines that are looked at to know whether a log is our own."""

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
    "data.pass-through": "data",
}
"""How far an event shows that an attempt came."""

CERTAIN = 0.95
LONGEST_COOKIE = 16

STARTED, HANDED_OVER = "gateway.started", "gateway.restarted"
ANEW = frozenset({STARTED, "gateway.worker-lost"})
"""After these no session of before is left."""


def told(lines: Iterable[str], language: str) -> Explanation:
    """Every connection and session in the log, the one that matters most first."""
    written = Written()
    # Of attempts that ended alike the newest matters most.
    stories = sorted(
        _stories(written.entries(lines)), key=lambda one: one.entries[-1].number, reverse=True
    )
    told_of = [(recent, _attempt(recent, language)) for recent in stories]
    attempts = sorted(
        joined([(recent.entries, attempt) for recent, attempt in told_of]),
        key=lambda one: WORST_FIRST.index(one.outcome),
    )
    outcome = attempts[0].outcome if attempts else "unknown"
    if outcome == "failed" and any(one.outcome in {"ok", "degraded"} for one in attempts):
        outcome = "degraded"
    diagnoses = attempts[0].diagnoses if attempts else ()
    kept = tuple(Evidence(number, masked(line)) for number, line in written.unknown)
    return Explanation(
        FAMILY,
        outcome,
        tuple(attempts),
        diagnoses,
        written.missed,
        written.lines,
        kept,
        language,
    )


def _stories(entries: Iterable[Entry]) -> list[Recent]:
    """What is to be told of, each connection and session by itself.

    A ring for each side: the logs of both ends of a connection may come together. A gateway that
    starts again counts its sessions anew, and those that had not ended are lost.
    """
    rings = {"client": Rings(), "gateway": Rings()}
    whole: list[Recent] = []
    handed_over = False
    for entry in entries:
        # A process that takes over tells so before it says that it has started.
        anew = entry.code in ANEW and not (handed_over and entry.code == STARTED)
        handed_over = entry.code == HANDED_OVER or (handed_over and entry.code != STARTED)
        if anew:
            whole += [_broken_off(one, entry) for one in _kept(rings["gateway"])]
            rings["gateway"] = Rings()
        rings[entry.side].add(entry)
    return [*whole, *_kept(rings["client"]), *_kept(rings["gateway"])]


def _kept(rings: Rings) -> list[Recent]:
    stories = [rings.story(key) for key in rings.keys()]  # noqa: SIM118  # no mapping
    return [one for one in stories if one.entries]


def _broken_off(story: Recent, by: Entry) -> Recent:
    if any(entry.code in ENDS for entry in story.entries):
        return story
    return replace(story, entries=(*story.entries, by))


def first_lines(lines: Iterable[str]) -> tuple[list[str], Iterator[str]]:
    """The first lines of a log, and the whole log again."""
    rest = iter(lines)
    first = [line for _, line in zip(range(LOOKED_AT), rest, strict=False)]
    return first, chain(first, rest)


def _attempt(recent: Recent, language: str) -> Attempt:
    story = tell(recent)
    entries = recent.entries
    verdict = story.verdict
    told_steps = steps(entries[last_attempt(entries) :], teller(language))
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
        (_diagnosis(story, entries, language),),
        tuple(Step(step.number, f"+{step.after:.3f} s", step.text) for step in told_steps),
        Proposals(
            tuple(dict.fromkeys(one.local for one in story.comparisons)),
            tuple(dict.fromkeys(one.remote for one in story.comparisons)),
            smallest_change(story.comparisons, language),
        ),
        FAMILY,
        _marks(entries),
    )


def _marks(entries: Sequence[Entry]) -> Marks:
    """With the times as the log prints them, as those of other logs are."""
    times = [
        at.toordinal() * DAY + at.hour * 3600 + at.minute * 60 + at.second + at.microsecond / 1e6
        for at in (entries[0].at, entries[-1].at)
    ]
    names = named(
        text
        for entry in entries
        for text in (
            f"{str(entry.field('cookies')).ljust(LONGEST_COOKIE, '0')[:LONGEST_COOKIE]}",
            *(f"spi {entry.field(name)}" for name in ("spi_in", "spi_out", "spi")),
        )
    )
    return Marks(frozenset(names), *times)


def _diagnosis(story: Story, entries: Sequence[Entry], language: str) -> Diagnosis:
    verdict = story.verdict
    proof = [entry for entry in entries if entry.row.severity <= 5][-3:] or list(entries[-1:])
    evidence = tuple(
        Evidence(entry.number, masked(str(entry.field(RAW)) or own.render(entry)))
        for entry in proof
    )
    if language != "en" and verdict.id in catalogue():
        text = words(verdict.id, language)
        parted = [action.partition(": ") for action in text.actions]
        return Diagnosis(
            verdict.id,
            text.title,
            CERTAIN,
            text.why.replace("{peer}", clause("the-peer", language)),
            (*text.causes, *unknowable(verdict.id, language)),
            tuple(Action(what, who) for who, _, what in parted),
            evidence,
        )
    why = (
        f"{verdict.why.rstrip('.')}. {story.summary}"
        if verdict.good and story.summary
        else verdict.why
    )
    return Diagnosis(
        verdict.id,
        verdict.what,
        CERTAIN,
        why,
        (*verdict.causes, *unknowable(verdict.id, language)),
        tuple(Action(one.text, one.who) for one in verdict.actions),
        evidence,
    )
