"""``culvert explain``: files and standard input in, text or the JSON document out."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner

from culvert.cli.explain import explain
from culvert.errors import ConfigError
from culvert.explain.pcap import LONGEST_READ, packets
from explain.test_capture import capture, connected

SOURCES = Path(__file__).parents[2] / "src"
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


@pytest.mark.parametrize("writer", ["pcap", "pcapng"])
@pytest.mark.parametrize("by_pipe", [False, True])
def test_a_packed_capture_is_read_as_a_capture(
    writer: str, tmp_path: Path, *, by_pipe: bool
) -> None:
    octets = gzip.compress(capture(connected(), writer=writer))
    file = tmp_path / "line.gz"
    file.write_bytes(octets)
    given = ["--json", "-" if by_pipe else str(file)]
    shown = CliRunner().invoke(explain, given, input=octets if by_pipe else None)
    told = json.loads(shown.output)
    assert (told["family"], told["outcome"]) == ("capture", "ok")


@pytest.mark.parametrize(
    "octets",
    [b"\x1f\x8b", b"\x1f\x8bgarbage" * 9, gzip.compress(b"x", mtime=0)[:11]],
    ids=["cut after two octets", "no gzip", "cut after the head"],
)
def test_a_packed_file_that_is_damaged_is_refused_in_plain_words(
    octets: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "line.pcap.gz"
    file.write_bytes(octets)
    shown = CliRunner().invoke(explain, [str(file)])
    assert isinstance(shown.exception, ConfigError)
    assert "damaged at its beginning" in str(shown.exception)
    assert "Error -" not in str(shown.exception)


def test_what_follows_damage_in_a_packed_capture_is_lost_and_the_rest_is_told(
    tmp_path: Path,
) -> None:
    octets = gzip.compress(capture(connected()))
    file = tmp_path / "line.pcap.gz"
    file.write_bytes(octets[: len(octets) // 2])
    told = json.loads(CliRunner().invoke(explain, ["--json", str(file)]).output)
    assert told["family"] == "capture"


def test_a_packed_capture_is_never_held_whole() -> None:
    """A head of a record that claims 4 GiB asks for no more than a packet."""
    head = capture(connected())[:24]
    asked: list[int] = []

    class Bottomless(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size if size is not None else -1)
            return super().read(size)

    list(packets(Bottomless(head + b"\0" * 8 + b"\xff\xff\xff\xff" * 2 + b"\0" * 99)))
    assert max(asked) <= LONGEST_READ
    assert min(asked) >= 0


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


def test_a_page_holds_the_explanation_and_nothing_of_the_log_acts_in_it(tmp_path: Path) -> None:
    page = tmp_path / "why.html"
    log = LOG + "04[IKE] IDir '<script>alert(1)</script>' does not match to 'gw'\n"
    shown = CliRunner().invoke(explain, ["--html", str(page), "--lang", "de", "-"], input=log)
    assert (shown.exit_code, shown.output) == (0, "")
    text = page.read_text("utf-8")
    assert text.startswith('<!DOCTYPE html>\n<html lang="de">')
    assert "(p1.psk-mismatch)" in text or "(p1.id-mismatch)" in text
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_a_page_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    shown = CliRunner().invoke(explain, ["--html", str(tmp_path), "-"], input=LOG)
    assert isinstance(shown.exception, ConfigError)
    assert "cannot write it" in str(shown.exception)


def plainly(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The whole command, as it is called from a shell."""
    return subprocess.run(  # our own program
        [sys.executable, "-c", "from culvert.cli.main import main; main()", "explain", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES), **environment},
        input=LOG,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("-", "-"), 2, "give - once"),
        (("--family", "foo", "-"), 2, "no family of logs"),
        (("--lang", "fr", "-"), 2, "'fr'"),
        (("--psk-file", "EMPTY", "-"), 3, "no group key"),
        (("--keys", "EMPTY", "-"), 0, "none of this is a capture"),
        (("PCAP",), 3, "capture without packets"),
    ],
)
def test_what_cannot_be_meant_is_said_in_one_sentence(
    arguments: tuple[str, ...], status: int, said: str, tmp_path: Path
) -> None:
    files = {"EMPTY": tmp_path / "empty", "PCAP": tmp_path / "line.pcap"}
    files["EMPTY"].write_text("")
    files["PCAP"].write_bytes(capture(connected())[:24])
    shown = plainly(*(str(files.get(one, one)) for one in arguments))
    assert shown.returncode == status
    assert said in shown.stderr
    assert "Traceback" not in shown.stderr


@pytest.mark.parametrize(
    ("name", "octets"),
    [
        ("xz", lzma.compress(LOG.encode())),
        ("bzip2", bz2.compress(LOG.encode())),
        ("zstd", b"\x28\xb5\x2f\xfd" + bytes(40)),
        ("zip", b"PK\x03\x04" + bytes(40)),
        ("tar", gzip.compress(bytes(257) + b"ustar" + bytes(512), mtime=0)),
    ],
    ids=["xz", "bzip2", "zstd", "zip", "tar"],
)
def test_what_is_packed_in_another_way_is_to_be_unpacked_first(
    name: str, octets: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "log"
    file.write_bytes(octets)
    shown = CliRunner().invoke(explain, [str(file)])
    assert isinstance(shown.exception, ConfigError)
    assert f"packed with {name}; unpack it first" in str(shown.exception)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_said_in_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(  # our own program
            [sys.executable, "-c", "from culvert.cli.main import main; main()", "explain", "-"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SOURCES)},
            input=LOG,
            check=False,
        )
    assert ended.returncode == 4
    assert ended.stderr.count("\n") == 1
    assert "No space left" in ended.stderr


def test_lines_are_counted_as_they_are(tmp_path: Path) -> None:
    empty, one = tmp_path / "empty.log", tmp_path / "one.log"
    empty.write_text("")
    one.write_text(LOG)
    shown = CliRunner().invoke(explain, [str(empty)]).output
    assert "0 lines" in shown
    assert "The file is empty" in shown
    assert ": 1 line, 0 of it" in CliRunner().invoke(explain, [str(one)]).output


def test_the_title_stands_in_the_text_too() -> None:
    assert "\nThis is no VPN log\n" in CliRunner().invoke(explain, [], input="hello\n").output


def test_columns_are_kept_to_where_there_is_no_terminal() -> None:
    shown = plainly("-", COLUMNS="44")
    assert shown.returncode == 0
    assert max(map(len, shown.stdout.splitlines())) <= 44
    assert "\n  line 1\n    " in shown.stdout
