"""`culvert setmtu` in a namespace with two adapters: limits, choices, warnings, every switch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from culvert.cli.main import run
from netio.namespaces import inside, ip, namespace

pytestmark = pytest.mark.root

REASONS = ("loses packets", "makes every packet bigger", "drop fragments", "slows the tunnel")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("CULVERT_STATE_DIR", str(tmp_path))
    with namespace("mtu") as name:
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "two")
        ip("-n", name, "tuntap", "add", "culvert9", "mode", "tun")
        with inside(name):
            yield name


def mtus(name: str) -> dict[str, int]:
    return {row["ifname"]: row["mtu"] for row in json.loads(ip("-n", name, "-j", "link"))}


def set_to(*words: str) -> int:
    return run(["setmtu", *words])


@pytest.mark.requirement("S0-11")
def test_the_help_says_why_it_matters_and_that_it_is_for_troubleshooting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in ("/?", "-?", "--help"):
        assert set_to(words) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert all(reason in told for reason in REASONS), words
        assert "touches all programs" in told
        assert "for troubleshooting" in told
        assert "normally not advised" in told


@pytest.mark.requirement("S0-12")
def test_adapters_and_choices_are_listed_and_limits_are_kept(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_to() == 0
    told = capsys.readouterr().out
    for word in ("one", "two", "Default", "576", "1300", "Custom"):
        assert word in told
    ip("netns", "exec", place, "sysctl", "-qw", "net.ipv6.conf.one.disable_ipv6=1")
    for wrong in ("67", "65536", "0", "-1", "many"):
        assert set_to("one", wrong) == 2, wrong
    assert mtus(place)["one"] == 1500
    capsys.readouterr()
    assert set_to("one", "68") == 0
    assert mtus(place)["one"] == 68
    assert "IPv6" not in capsys.readouterr().out
    assert set_to("two", "1279") == 0
    assert "IPv6 stops on two" in capsys.readouterr().out
    for value in ("576", "1300"):
        assert set_to("one", value) == 0
        assert mtus(place)["one"] == int(value)
    capsys.readouterr()
    assert set_to("one", "1301") == 0
    assert "fragments" in capsys.readouterr().out
    assert set_to("one", "Default") == 0
    assert mtus(place)["one"] == 1500


@pytest.mark.requirement("S0-14")
def test_a_change_counts_at_once_and_the_tool_says_so(
    place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set_to("one", "1200") == 0
    assert mtus(place)["one"] == 1200
    assert "No restart needed" in capsys.readouterr().out


@pytest.mark.requirement("S0-15")
@pytest.mark.parametrize("mark", ["/", "-"])
def test_every_switch_of_the_original_does_what_it_did(place: str, mark: str) -> None:
    loopback = mtus(place)["lo"]
    ip("-n", place, "link", "set", "two", "mtu", "1450")
    assert set_to(f"{mark}s", "1300") == 0
    assert set_to(f"{mark}s", "1350") == 0
    assert mtus(place) == {"lo": loopback, "one": 1350, "two": 1350, "culvert9": 1500}
    assert set_to(f"{mark}r") == 0
    assert mtus(place) == {"lo": loopback, "one": 1500, "two": 1450, "culvert9": 1500}
    assert set_to(f"{mark}va", "1290") == 0
    assert mtus(place) == {"lo": loopback, "one": 1500, "two": 1450, "culvert9": 1290}
    assert set_to(f"{mark}vaReset") == 0
    assert mtus(place)["culvert9"] == 1500
    assert set_to(f"{mark}?") == 0
    before = mtus(place)
    for wrong in (("x",), ("s",), ("s", "1300", "1"), ("r", "1"), ("va",), ("vaReset", "9")):
        assert set_to(f"{mark}{wrong[0]}", *wrong[1:]) == 2, wrong
    assert mtus(place) == before


def test_one_value_that_does_not_go_leaves_all_as_they_were(place: str) -> None:
    before = mtus(place)
    assert set_to("/s", "70000") == 2
    assert set_to("lo", "1300") != 0
    assert mtus(place) == before
