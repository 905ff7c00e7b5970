"""Whatever stands in a log: no crash, nothing that moves a cursor, time that grows with it."""

from __future__ import annotations

import gzip
import json
import random
import time
from html.parser import HTMLParser

import pytest

from culvert.explain import explain
from culvert.explain.decode import lines as decoded
from culvert.explain.render import html, render
from explain.scoring import samples

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x1b[31m"
BAIT = (
    "Hash verification failed" * 400,
    "phase-1 proposal failed; remote No 1 " + "a = " * 3000,
    "sending packet: from " + "1.1.1.1[" * 1500,
    "x" * 200_000,
    "(" * 50_000,
    "Group = " + "a, Group = " * 2000 + " %ASA-5-713904: ",
    "<13>" * 5000,
    "host kernel: " * 2000,
    " " * 100_000 + "x",
    '"' * 40_000,
)


def printable(text: str) -> bool:
    return all(sign == "\n" or sign.isprintable() for sign in text)


@pytest.mark.parametrize("name", ["charon-02-xauth-failed", "ciscoclient-02-peer-not-responding"])
def test_escapes_in_a_log_reach_no_terminal(name: str) -> None:
    one = next(one for one in samples() if one.name == name)
    told = explain([f"{line}{ESCAPES}\u202e\x9b31m" for line in one.lines])
    assert told.diagnoses[0].id == one.expect["diagnosis"]
    assert printable(render(told))


def test_tags_in_a_log_stay_text_in_html() -> None:
    told = explain(["05[IKE] IDir '<script>alert(1)</script>' does not match to '<b onclick=x>'"])
    tags: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.append(tag)

    Reader().feed(html(told))
    assert tags == ["html", "head", "meta", "meta", "title", "style", "body", "pre"]


@pytest.mark.parametrize("bait", BAIT, ids=range(len(BAIT)))
def test_bait_for_slow_matching_takes_no_time(bait: str) -> None:
    began = time.process_time()
    told = explain([bait] * 20)
    json.dumps(told.document())
    assert time.process_time() - began < 3.0


def test_a_line_of_ten_megabytes_is_read() -> None:
    chunks = (b"a" * 1_000_000 for _ in range(10))
    told = explain(decoded([*chunks, b"\n05[IKE] calculated HASH does not match HASH payload\n"]))
    assert told.diagnoses[0].id == "p1.psk-mismatch"


def test_noise_of_any_kind_crashes_nothing() -> None:
    chance = random.Random(7)
    parts = [line for one in samples() for line in one.lines]
    for _ in range(60):
        lines = []
        for _ in range(60):
            line = chance.choice(parts)
            cut = chance.randrange(len(line) + 1)
            lines.append(line[:cut] + chr(chance.randrange(1, 0x2FFF)) + chance.choice(parts)[cut:])
        told = explain(lines)
        assert printable(render(told))
        json.dumps(told.document())


@pytest.mark.parametrize("seed", range(6))
def test_octets_of_any_kind_crash_nothing(seed: int) -> None:
    octets = random.Random(seed).randbytes(60_000)
    explain(decoded([octets[:7], octets[7:30_000], octets[30_000:]]))


def test_wrappers_in_wrappers_are_taken_off_only_so_deep() -> None:
    wrapped = "Jan  2 03:04:05 host charon[1]: " * 200 + "05[IKE] no proposal found"
    assert explain([wrapped]).family in {"strongswan", "unknown"}
    once = "Jan  2 03:04:05 gw syslogd: Jan  2 03:04:05 host charon: 05[IKE] no proposal found"
    assert explain([once]).diagnoses[0].id == "p1.no-proposal"


def test_a_packed_file_is_read_as_it_unpacks() -> None:
    text = b"05[IKE] calculated HASH does not match HASH payload\n"
    packed = gzip.compress(b"nothing of interest here\n" * 100_000 + text)
    assert len(packed) < 25_000
    told = explain(decoded(packed[at : at + 999] for at in range(0, len(packed), 999)))
    assert told.diagnoses[0].id == "p1.psk-mismatch"
    assert told.lines == 100_001


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_common_encoding_is_read(encoding: str) -> None:
    text = "12[IKE] IDir 'Büro-Zürich' does not match to 'gw'\r\n" * 3
    told = explain(decoded([text.encode(encoding)]))
    assert told.diagnoses[0].id == "p1.id-mismatch"
    assert "Büro-Zürich" in told.diagnoses[0].evidence[0].text


def repeated(times: int) -> float:
    """Seconds of processor time for a log of so many times the same attempts; the least of three,
    because a busy machine only ever adds to them."""
    lines = [line for one in samples() if one.expect["family"] == "asa" for line in one.lines]
    taken: list[float] = []
    for _ in range(3):
        began = time.process_time()
        explain(lines * (40 * times))
        taken.append(time.process_time() - began)
    return min(taken)


def test_time_grows_no_faster_than_the_log() -> None:
    repeated(1)
    once, twice, four = repeated(1), repeated(2), repeated(4)
    assert twice < 3.2 * once
    assert four < 6.4 * once


def test_attempts_that_are_not_kept_are_counted() -> None:
    refused = next(one for one in samples() if one.name == "asa-01-p1-no-proposal").lines
    told = explain(refused * 40)
    assert len(told.attempts) + told.left_out == 40
    assert told.left_out > 0
    assert f"{told.left_out} earlier attempts are not told of" in render(told)


SECRETS = {
    "05[CFG] xauth password = hunter2secret": "hunter2secret",
    "Set-Cookie: webvpn=4D5A1122AABB; path=/": "4D5A1122AABB",
    "IPSec secret vErYs3cret": "vErYs3cret",
    ': PSK "group-key-77"': "group-key-77",
    "05[IKE] pre-shared key: s3cr3tk3y": "s3cr3tk3y",
    "SKEYID_d => 20 bytes: 0123456789abcdef0123456789abcdef": "0123456789abcdef",
}


@pytest.mark.parametrize("line", SECRETS)
def test_secrets_in_a_log_are_not_repeated(line: str) -> None:
    told = explain([line, "05[IKE] calculated HASH does not match HASH payload " + line])
    shown = json.dumps(told.document()) + render(told) + repr(told.unknown)
    assert SECRETS[line] not in shown
    assert "***" in shown


def test_ike_cookies_are_no_secrets() -> None:
    line = (
        "(I_Cookie=1F8A6D2E90BB7C41 R_Cookie=0000000000000000) "
        "reason = DEL_REASON_PEER_NOT_RESPONDING"
    )
    assert "R_Cookie=0000000000000000" in explain([line]).diagnoses[0].evidence[0].text
