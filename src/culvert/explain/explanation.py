"""What `explain` returns, and the JSON document that it stands for (docs/reference/explain.md)."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.explain.marks import NO_MARKS, Marks

WORST_FIRST = ("failed", "ended", "degraded", "unknown", "ok")

SCHEMA = 1
"""Rises when a key of `Explanation.document` disappears or changes its meaning."""


@dataclass(frozen=True, slots=True)
class Action:
    """What to do, and who can: user, administrator or network."""

    text: str
    who: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line that proves something, as it stands there; secrets are masked."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Diagnosis:
    id: str
    title: str
    confidence: float
    why: str
    causes: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    evidence: tuple[Evidence, ...] = ()

    def document(self) -> dict[str, object]:
        return {
            "id": self.id,
            "title": self.title,
            "confidence": self.confidence,
            "why": self.why,
            "causes": list(self.causes),
            "actions": [{"text": one.text, "who": one.who} for one in self.actions],
            "evidence": [{"line": one.line, "text": one.text} for one in self.evidence],
        }


@dataclass(frozen=True, slots=True)
class Step:
    line: int
    at: str
    says: str


@dataclass(frozen=True, slots=True)
class Proposals:
    """What both sides offered, and the smallest change that would have made them agree."""

    local: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    smallest_change: tuple[str, ...] = ()
    ends: tuple[str, str] = ("", "")
    """Whose ``local`` and ``remote`` are, where the logs of both ends were given."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """``duration`` in seconds; None where the log prints no times. ``marks``: by what it is known
    to be the same as one in another log."""

    outcome: str
    phase: str
    peer: str
    started: str
    duration: float | None
    diagnoses: tuple[Diagnosis, ...]
    timeline: tuple[Step, ...]
    proposals: Proposals = Proposals()
    family: str = ""
    marks: Marks = NO_MARKS

    def document(self) -> dict[str, object]:
        return {
            "outcome": self.outcome,
            "phase": self.phase,
            "peer": self.peer,
            "started": self.started,
            "duration": self.duration,
            "diagnoses": [one.document() for one in self.diagnoses],
            "timeline": [
                {"line": one.line, "at": one.at, "says": one.says} for one in self.timeline
            ],
            "proposals": {
                "local": list(self.proposals.local),
                "remote": list(self.proposals.remote),
                "smallest_change": list(self.proposals.smallest_change),
            },
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The first attempt matters most; ``unknown`` shows some of the lines not understood.

    ``left_out``: attempts of which nothing is told, since there were more than are kept.
    """

    family: str
    outcome: str
    attempts: tuple[Attempt, ...]
    diagnoses: tuple[Diagnosis, ...]
    unknown_lines: int
    lines: int = 0
    unknown: tuple[Evidence, ...] = ()
    language: str = "en"
    left_out: int = 0

    def document(self) -> dict[str, object]:
        """As what a JSON encoder takes."""
        return {
            "schema": SCHEMA,
            "family": self.family,
            "outcome": self.outcome,
            "attempts": [one.document() for one in self.attempts],
            "diagnoses": [one.document() for one in self.diagnoses],
            "unknown_lines": self.unknown_lines,
        }
