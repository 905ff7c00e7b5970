"""Coverage-guided fuzzing with atheris (libFuzzer), where that is installed.

    PYTHONPATH=tests python tests/fuzz/guided.py                        every target for a minute
    PYTHONPATH=tests python tests/fuzz/guided.py isakmp -runs=1000000   one, as libFuzzer is told

Without atheris it says so and ends well: it is no dependency of anything else.
"""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
A_MINUTE = ("-max_total_time=60", "-max_len=4000", "-print_final_stats=1")


def main(arguments: list[str]) -> int:
    """Not 0 after a finding, whose octets libFuzzer has then written to a file."""
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed (pip install --group fuzz): nothing is fuzzed by coverage")
        return 0
    if arguments:
        return fuzz(*arguments)
    names = sorted(path.name for path in CORPUS.iterdir())
    return max(
        subprocess.run([sys.executable, __file__, name, *A_MINUTE], check=False).returncode
        for name in names
    )


def fuzz(name: str, *options: str) -> int:
    """One target in this process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["culvert"]):
        targets = importlib.import_module("fuzz.targets").TARGETS
    with tempfile.TemporaryDirectory() as grown:
        # New inputs go into the first folder; the committed corpus is only read.
        atheris.Setup([sys.argv[0], *options, grown, str(CORPUS / name)], targets[name])
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
