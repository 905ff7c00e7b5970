"""Coverage-guided fuzzing with atheris (libFuzzer), where that is installed.

    PYTHONPATH=tests python tests/fuzz/guided.py                         every target for a minute
    PYTHONPATH=tests python tests/fuzz/guided.py --seconds 1800 --log docs/results/fuzz.json gateway
    PYTHONPATH=tests python tests/fuzz/guided.py --only isakmp -runs=1000000   as libFuzzer is told

What reached new code is added to the corpus, smallest first, up to `MOST_KEPT` files a target; a
finding's octets are left beside it under a name that begins with ``crash-``.
Without atheris it says so and ends well: it is no dependency of anything else.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
MOST_OCTETS = 4000
MORE_OCTETS = {"handed": 12_000}
"""For what is larger by nature: the state of one IKE SA has 8 KB."""
MOST_KEPT = 60
"""Files of one target's corpus: all are replayed by every `make test`."""

_PROGRESS = re.compile(r"cov: (\d+) ft: (\d+)")
_RUNS = re.compile(r"stat::number_of_executed_units: (\d+)")


def main(arguments: list[str]) -> int:
    """Not 0 after a finding."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install --group fuzz): nothing is fuzzed by coverage")
        return 0
    if arguments[:1] == ["--only"]:
        return fuzz(*arguments[1:])
    known = sorted(path.name for path in CORPUS.iterdir())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *known], default=[])
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--log", type=Path, help="JSON file to note the runs in")
    chosen = parser.parse_args(arguments)
    return max([run(name, chosen.seconds, chosen.log) for name in chosen.targets or known])


def run(name: str, seconds: int, log: Path | None) -> int:
    """One target in a process of its own; its figures go into the log."""
    with tempfile.TemporaryDirectory() as grown:
        options = (
            f"-max_total_time={seconds}",
            f"-max_len={MORE_OCTETS.get(name, MOST_OCTETS)}",
            "-print_final_stats=1",
            f"-artifact_prefix={CORPUS / name}/",
            grown,
        )
        started, clock, worked = datetime.now(UTC), time.monotonic(), _worked()
        command = [sys.executable, __file__, "--only", name, *options]
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        took, worked = time.monotonic() - clock, _worked() - worked
        figures = _figures(done.stderr)
        print(f"{name}: {figures}, {took:.0f} s, exit {done.returncode}", flush=True)
        if done.returncode:
            sys.stderr.write(done.stderr[-6000:])
        else:
            keep(name, Path(grown))
    if log is not None:
        entry = {
            "target": name,
            "date": started.isoformat(timespec="seconds"),
            "seconds": round(took),
            "processor_seconds": round(worked),
            **figures,
            "findings": int(done.returncode != 0),
        }
        _note(log, entry)
    return done.returncode


def _worked() -> float:
    """Processor time of all runs so far: beside other work it is less than the clock's."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _figures(told: str) -> dict[str, int]:
    """What libFuzzer says at its end; edges are those of Python's byte code."""
    runs = _RUNS.search(told)
    seen = _PROGRESS.findall(told)
    edges, features = seen[-1] if seen else (0, 0)
    return {
        "executions": int(runs[1]) if runs else 0,
        "edges": int(edges),
        "features": int(features),
    }


def _note(log: Path, entry: dict[str, object]) -> None:
    """The latest run of every target, beside those of the others."""
    noted = json.loads(log.read_text())["runs"] if log.exists() else []
    noted = [one for one in noted if one["target"] != entry["target"]] + [entry]
    noted.sort(key=lambda one: str(one["target"]))
    log.write_text(json.dumps({"schema": 1, "runs": noted}, indent=1) + "\n")


def keep(name: str, grown: Path) -> None:
    """The smallest new inputs, as far as there is room."""
    folder = CORPUS / name
    room = MOST_KEPT - sum(1 for _ in folder.iterdir())
    for path in sorted(grown.iterdir(), key=lambda one: one.stat().st_size)[: max(room, 0)]:
        (folder / f"grown-{path.name[:12]}").write_bytes(path.read_bytes())


def fuzz(name: str, *options: str) -> int:
    """One target in this process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["culvert"]):
        targets = importlib.import_module("fuzz.targets").TARGETS
    # New inputs go into the first folder among the options; the committed corpus is only read.
    atheris.Setup([sys.argv[0], *options, str(CORPUS / name)], targets[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
