"""``culvert explain``: files and standard input in, text or the JSON document out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from culvert.cli.explain import explain

LOG = "04[IKE] calculated HASH does not match HASH payload\n"


def test_a_file_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "charon.log"
    file.write_text(LOG)
    shown = CliRunner().invoke(explain, [str(file)])
    assert shown.exit_code == 0
    assert "(p1.psk-mismatch)" in shown.output
    assert "calculated HASH does not match" in shown.output


def test_standard_input_gives_the_json_document() -> None:
    shown = CliRunner().invoke(explain, ["--json", "-"], input=LOG)
    told = json.loads(shown.output)
    assert told["schema"] == 1
    assert list(told) == [
        "schema", "family", "outcome", "attempts", "diagnoses", "unknown_lines",
    ]  # fmt: skip
    assert set(told["attempts"][0]) == {
        "outcome", "phase", "peer", "started", "duration", "diagnoses", "timeline", "proposals",
    }  # fmt: skip
    assert told["diagnoses"] == told["attempts"][0]["diagnoses"]
    assert set(told["diagnoses"][0]) == {
        "id", "title", "confidence", "why", "causes", "actions", "evidence",
    }  # fmt: skip


def test_a_packed_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "charon.log.gz"
    file.write_bytes(gzip.compress(LOG.encode()))
    assert "p1.psk-mismatch" in CliRunner().invoke(explain, [str(file)]).output


@pytest.mark.parametrize("language", ["de", "nl"])
def test_another_language(language: str) -> None:
    shown = CliRunner().invoke(
        explain, ["--lang", language, "-"], input="vpnc: no response from target\n"
    )
    assert {"de": "nicht geantwortet", "nl": "antwoordde niet"}[language] in shown.output


def test_the_lint_finds_nothing() -> None:
    shown = CliRunner().invoke(explain, ["--lint"])
    assert shown.exit_code == 0
    assert shown.output == ""


def test_every_family_is_listed() -> None:
    assert "strongswan" in CliRunner().invoke(explain, ["--families"]).output


def test_what_is_no_vpn_log_is_called_so() -> None:
    told = json.loads(CliRunner().invoke(explain, ["--json"], input="hello\nworld\n").output)
    assert told["outcome"] == "unknown"
    assert told["attempts"] == []
    assert told["diagnoses"][0]["id"] == "unknown.not-vpn"
