"""The compiled engine under ASan and UBSan: the kept inputs of its fuzzer replay cleanly."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORPUS = Path(__file__).with_name("batch_corpus")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc with its sanitizers")
def test_kept_inputs_violate_no_memory(tmp_path: Path) -> None:
    corpus = shutil.copytree(CORPUS, tmp_path / "corpus")
    done = subprocess.run(
        [ROOT / "tools/fuzz-batch", "0", corpus], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{len(list(CORPUS.iterdir()))} inputs replayed")
    through = re.search(r"packets: (\d+) in, (\d+) out", done.stdout)
    assert through is not None
    assert min(map(int, through.groups())) > len(list(CORPUS.iterdir())), "not refusals alone"
