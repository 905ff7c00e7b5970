"""The story of one attempt: what happened step by step, the verdict, and what both sides offered.

The same events that fill the log tell it; nothing is asked of anyone. ``tell`` takes everything
that is known of a connection and tells its last attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from culvert.eventlog.diagnosis import Verdict, diagnose
from culvert.eventlog.entry import Entry
from culvert.eventlog.ring import Recent
from culvert.eventlog.sentence import joined, told
from culvert.eventlog.summary import summary
from culvert.eventlog.wording import one_line, time_text, value_text

SCHEMA = 1
"""Rises when a key of `Explanation.document` disappears or changes its meaning."""


@dataclass(frozen=True, slots=True)
class Step:
    """``after`` seconds from the beginning; ``count`` times in a row. ``number``: the first entry
    of it."""

    after: float
    text: str
    code: str
    count: int = 1
    number: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """One attribute of their proposal against one of ours, as the log compared them (S3-12)."""

    phase: int
    remote_number: int
    local_number: int
    attribute: str
    remote: str
    local: str

    @property
    def fits(self) -> bool:
        return self.remote == self.local

    def document(self) -> dict[str, object]:
        return {
            "phase": self.phase,
            "remote_number": self.remote_number,
            "local_number": self.local_number,
            "attribute": self.attribute,
            "remote": self.remote,
            "local": self.local,
            "fits": self.fits,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything `culvert why` says.

    ``left_out`` entries are not in memory any more; they stood ``gap_after`` seconds after the
    beginning.
    """

    side: str
    about: str
    began: str
    steps: tuple[Step, ...]
    verdict: Verdict
    summary: str
    comparisons: tuple[Comparison, ...] = ()
    left_out: int = 0
    gap_after: float = 0.0
    schema: int = field(default=SCHEMA)

    def document(self) -> dict[str, object]:
        """As what a JSON encoder takes; docs/reference/events.md describes it."""
        return {
            "schema": self.schema,
            "side": self.side,
            "about": self.about,
            "began": self.began,
            "outcome": self.verdict.outcome,
            "diagnosis": {
                "id": self.verdict.id,
                "what": self.verdict.what,
                "why": self.verdict.why,
                "causes": list(self.verdict.causes),
                "actions": [{"text": one.text, "who": one.who} for one in self.verdict.actions],
            },
            "summary": self.summary,
            "steps": [
                {"after": one.after, "text": one.text, "code": one.code, "count": one.count}
                for one in self.steps
            ],
            "comparisons": [one.document() for one in self.comparisons],
            "smallest_change": [one.document() for one in smallest(self.comparisons)],
            "left_out": self.left_out,
            "gap_after": self.gap_after,
        }


def tell(recent: Recent | Sequence[Entry]) -> Explanation:
    """The story of the last attempt among the entries of one connection or session."""
    kept = recent if isinstance(recent, Recent) else Recent(tuple(recent))
    start = last_attempt(kept.entries)
    entries = kept.entries[start:]
    verdict = diagnose(entries)
    gap = kept.gap_after - start
    lost = kept.left_out if kept.left_out and gap >= 0 else 0
    return Explanation(
        side=entries[0].side if entries else "client",
        about=_about(entries),
        began=time_text(entries[0].at) if entries else "",
        steps=steps(entries),
        verdict=verdict,
        summary=summary(entries),
        comparisons=comparisons(entries),
        left_out=lost,
        gap_after=_after(entries, entries[gap - 1]) if lost and 0 < gap <= len(entries) else 0.0,
    )


def last_attempt(entries: Sequence[Entry]) -> int:
    """Where the last attempt that has more to it than its announcement begins."""
    begins = [place for place, entry in enumerate(entries) if entry.row.attempt == "begins"]
    if begins and begins[-1] == len(entries) - 1 and len(begins) > 1:
        begins.pop()
    return begins[-1] if begins else 0


def steps(
    entries: Sequence[Entry], tell: Callable[[Entry, Sequence[str]], str] = told
) -> tuple[Step, ...]:
    """One step for every entry that has a sentence; what belongs together is one step.

    ``tell`` says an entry in another language, with the parts that are joined in it.
    """
    made: list[Step] = []
    shared: dict[str, tuple[int, list[str]]] = {}  # steps still open for more of their code
    for entry in entries:
        text = tell(entry, (joined(entry),))
        if not text:
            continue
        if not entry.row.join:
            shared.clear()
            if made and made[-1].text == text:
                last = made[-1]
                made[-1] = replace(last, count=last.count + 1)
                continue
        elif entry.code in shared:
            place, parts = shared[entry.code]
            if (part := joined(entry)) not in parts:
                parts.append(part)
            last = made[place]
            made[place] = replace(last, text=tell(entry, parts), count=last.count + 1)
            continue
        else:
            shared[entry.code] = (len(made), [joined(entry)])
        made.append(Step(_after(entries, entry), text, entry.code, number=entry.number))
    return tuple(made)


def comparisons(entries: Sequence[Entry]) -> tuple[Comparison, ...]:
    """What was compared in a phase that ended without agreement."""
    agreed = {entry.field("phase") for entry in entries if entry.code == "ike.proposal-chosen"}
    return tuple(
        Comparison(
            _number(entry, "phase"),
            _number(entry, "remote_number"),
            _number(entry, "local_number"),
            _text(entry, "attribute"),
            _text(entry, "remote"),
            _text(entry, "local"),
        )
        for entry in entries
        if entry.code == "ike.proposal-compared" and entry.field("phase") not in agreed
    )


def smallest(compared: Sequence[Comparison]) -> tuple[Comparison, ...]:
    """Of each phase the pair that differs in the fewest attributes: what of it must change.

    Of pairs that differ in equally many, the one that both sides prefer: the lowest numbers.
    A phase in which a pair differs in nothing was agreed; there is nothing to change.
    """
    made: list[Comparison] = []
    for phase in dict.fromkeys(one.phase for one in compared):
        pairs: dict[tuple[int, int], list[Comparison]] = {}
        for one in compared:
            if one.phase == phase:
                differing = pairs.setdefault((one.remote_number, one.local_number), [])
                if not one.fits and one not in differing:
                    differing.append(one)
        _, best = min(pairs.items(), key=lambda pair: (len(pair[1]), sum(pair[0]), pair[0]))
        made += best
    return tuple(made)


def _after(entries: Sequence[Entry], entry: Entry) -> float:
    """Seconds since the beginning; by the clock if the machine was restarted in between."""
    first = entries[0]
    seconds = entry.now - first.now
    if seconds < 0.0:
        seconds = max((entry.at - first.at).total_seconds(), 0.0)
    return round(seconds, 3)


def _about(entries: Sequence[Entry]) -> str:
    """Whose story: the profile, the user, or at least the other side's address."""
    for name in ("profile", "connection", "user", "peer", "public", "cookies"):
        for entry in entries:
            if value := entry.field(name):
                return one_line(value_text(value))
    return ""


def _number(entry: Entry, name: str) -> int:
    value = entry.field(name)
    return value if isinstance(value, int) else 0


def _text(entry: Entry, name: str) -> str:
    return one_line(value_text(entry.field(name)))
