"""The samples, what an explanation of each must say, how they are split and how it is scored."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from culvert.explain import Explanation, explain

FOLDER = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    lines: tuple[str, ...]
    expect: Mapping[str, Any]

    @property
    def held_out(self) -> bool:
        """A third, by the hash of the name. The printed sources' own traces are known anyway."""
        number = int(hashlib.sha256(self.name.encode()).hexdigest(), 16)
        return "-printed" not in self.name and number % 3 == 0


@cache
def samples() -> tuple[Sample, ...]:
    return tuple(
        Sample(
            path.stem,
            tuple(path.read_text("utf-8", "replace").splitlines()),
            tomllib.loads(path.with_suffix(".expect.toml").read_text("utf-8")),
        )
        for path in sorted(FOLDER.glob("*.log"))
    )


def sample(name: str) -> Sample:
    return next(one for one in samples() if one.name == name)


def misses(one: Sample, lines: Iterable[str] | None = None, evidence: bool = True) -> list[str]:
    """What of the expectation the explanation does not meet."""
    told = explain(one.lines if lines is None else lines)
    return judged(one, told, evidence=evidence)


def judged(one: Sample, told: Explanation, *, evidence: bool = True) -> list[str]:
    expect = one.expect
    phase = told.attempts[0].phase if told.attempts else "none"
    diagnosis = told.diagnoses[0].id
    found: list[str] = []
    if told.family != expect["family"]:
        found.append(f"family {told.family}, not {expect['family']}")
    if told.outcome != expect["outcome"]:
        found.append(f"outcome {told.outcome}, not {expect['outcome']}")
    if diagnosis not in {expect["diagnosis"], *expect.get("also_ok", ())}:
        found.append(f"diagnosis {diagnosis}, not {expect['diagnosis']}")
    if phase != expect["phase"]:
        found.append(f"phase {phase}, not {expect['phase']}")
    quoted = [_plain(proof.text) for each in told.diagnoses for proof in each.evidence]
    wanted = [_plain(text) for text in expect["evidence"]]
    if evidence and wanted and not any(text in quote for text in wanted for quote in quoted):
        found.append("none of the evidence is quoted")
    if expect["outcome"] == "ok" and claims_failure(told):
        found.append("a failure is claimed where all is well")
    return found


def claims_failure(told: Explanation) -> bool:
    return any(
        not each.id.startswith("ok.") for attempt in told.attempts for each in attempt.diagnoses
    )


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text)
