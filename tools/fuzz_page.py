"""Writes docs/fuzzing.md from the log of fuzzing runs and the list of findings; ``--check`` only
compares."""

from __future__ import annotations

import ast
import json
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "fuzzing.md"
LOG = ROOT / "docs" / "results" / "fuzz.json"
FUZZ = ROOT / "tests" / "fuzz"

HEAD = """\
# Fuzzing

Every place where octets or text from outside are read is a **target**: a function of octets in
`tests/fuzz` that returns for whatever it is given. A refusal that is documented is caught by its
type; anything else that rises, an answer that contradicts itself or one that takes too long is a
finding. This page is written by `tools/fuzz_page.py` from `docs/results/fuzz.json` and
`tests/fuzz/findings.toml`.

Each target is tried in three ways:

- **In every `make test`**: on its whole corpus, on a hundred or so changes of it and on any octets
  at all (`tests/fuzz/test_targets.py`, hypothesis). An input that found something once stays in
  the corpus under a name that says what it is.
- **`make fuzz`**: the same with many more examples, then every target guided by coverage for
  `FUZZ_SECONDS` each, where [atheris](https://github.com/google/atheris) is installed
  (`pip install --group fuzz`).
- **Long runs**, those of the table, one process and one core each, while the machine did other
  work too:

      PYTHONPATH=src:tests python tests/fuzz/guided.py --seconds 1805 \\
          --log docs/results/fuzz.json TARGET

The compiled engine is fuzzed in C under ASan and UBSan with edge coverage of its own
(`tools/fuzz-batch`); a race of two threads is outside of what this can find.

## Runs

The latest run of each target; half an hour is wanted, and where it was less the minutes say so. *Of
a core* are the minutes of processor time in them, for the runs yield to all other work (`?`: before
that was noted). *Edges* are those of Python's byte code that the run reached; more of them are
behind a target than any run reaches. *Findings* are all there ever were, mended. A run that found
something stops there, so the run that counts is the one after it was mended.
"""

FINDINGS = """\
## Findings

By runs, by changes of the corpus, and by writing a target: who asks what must hold there often sees
what does not, and the seed that shows it is then the first finding.
"""

TAIL = """\

## Not fuzzed

- What libraries read for us, by their names: pyroute2 (routes and addresses), `http.client` and
  `ssl` (revocation lists are fetched with them, and read by the target `answers`), sqlite, and
  what `cryptography` does behind its interface. Certificates and keys go through it in the targets
  `certificates` and `key_files`.
- Options of the command line.
- Timing, and two threads at once.
"""


def main() -> int:
    """Write, or compare; 1 if it differs."""
    text = page()
    if "--check" in sys.argv[1:]:
        stale = not PAGE.exists() or PAGE.read_text("utf-8") != text
        if stale:
            sys.stderr.write(f"{PAGE} is stale: run tools/fuzz_page.py\n")
        return int(stale)
    PAGE.write_text(text, encoding="utf-8")
    return 0


def page() -> str:
    """All of it."""
    about = _about()
    runs: dict[str, dict[str, Any]] = {
        one["target"]: one for one in json.loads(LOG.read_text("utf-8"))["runs"]
    }
    findings: list[dict[str, str]] = tomllib.loads((FUZZ / "findings.toml").read_text("utf-8"))[
        "finding"
    ]
    known = Counter(one["target"] for one in findings)
    lines = [HEAD, "| target | what | date | minutes | of a core | runs | edges | findings |"]
    lines.append("|---|---|---|---:|---:|---:|---:|---:|")
    about |= {name: "The data path in C" for name in runs if name not in about}
    for name in sorted(about):
        cells = (f"`{name}`", about[name], *_figures(runs.get(name)), str(known[name]))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", FINDINGS, *_findings(findings), TAIL]
    return "\n".join(lines)


def _about() -> dict[str, str]:
    """The first sentence of what each target says it is. Read, not imported: that takes long."""
    targets = {path.name for path in (FUZZ / "corpus").iterdir()}
    said: dict[str, str] = {}
    for path in FUZZ.glob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and node.name in targets:
                words = " ".join((ast.get_docstring(node) or "").split())
                said[node.name] = words.partition(". ")[0].rstrip(".").replace("|", "\\|")
    return said


def _figures(run: Mapping[str, Any] | None) -> tuple[str, ...]:
    if run is None:
        return "none yet", "0", "0", "0", "0"
    worked = run.get("processor_seconds")
    of_a_core = "?" if worked is None else _minutes(worked)
    executions = f"{run['executions']:,}"
    return run["date"][:10], _minutes(run["seconds"]), of_a_core, executions, str(run["edges"])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f}" if seconds >= 600 else f"{seconds / 60:.1f}"


def _findings(findings: list[dict[str, str]]) -> Iterator[str]:
    for one in findings:
        yield f"- `{one['target']}/{one['input']}`: {one['was']}."


if __name__ == "__main__":
    sys.exit(main())
