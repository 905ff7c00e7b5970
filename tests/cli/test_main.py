"""The command line as scripts and people meet it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from culvert.changes.change import RouteAdded
from culvert.changes.log import ChangeLog
from culvert.changes.owner import Owner
from culvert.cli.exit_code import status_of
from culvert.cli.gateway import gateway
from culvert.cli.lazy import LazyGroup
from culvert.cli.main import culvert, run
from culvert.client.established import mark_established

SCREEN = (24, 100)
"""Lines and columns that a help text may fill."""


def commands() -> list[tuple[str, ...]]:
    """Every command, by its words."""
    found: list[tuple[str, ...]] = []

    def walk(command: click.Command, words: tuple[str, ...]) -> None:
        found.append(words)
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                inner = command.get_command(context, name)
                assert inner is not None
                walk(inner, (*words, name))

    walk(culvert, ())
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_fits_a_screen_with_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    said = capsys.readouterr().out
    assert "Example: " in said
    lines = said.rstrip().split("\n")
    assert len(lines) <= SCREEN[0]
    assert max(map(len, lines)) <= SCREEN[1]


@pytest.mark.parametrize("group", [culvert, gateway])
def test_no_command_of_a_group_is_missing_from_its_help(group: LazyGroup) -> None:
    context = click.Context(group, terminal_width=80)
    words = group.get_help(context).split()
    assert set(group.list_commands(context)) <= set(words)


@pytest.mark.parametrize("words", [("up",), ("gateway", "run")], ids=" ".join)
def test_options_without_a_line_of_their_own_are_named_with_their_page(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for named in ("--record", "--key-log", "--capture", f"man culvert-{'-'.join(words)}"):
        assert named in said


LOADING = """
import runpy, signal, sys
class Early:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Early())
sys.argv = ["culvert", "status"]
runpy.run_module("culvert", run_name="__main__")
"""
"""Somebody presses Ctrl-C while the command line still loads what it is made of."""


def test_an_interruption_while_it_still_loads_is_one_line_and_the_usual_status() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADING], capture_output=True, text=True, timeout=15, check=False
    )
    assert (done.returncode, done.stderr) == (130, "culvert: interrupted.\n")
    assert done.returncode == status_of("cli.interrupted")


def test_every_command_in_the_table_is_there() -> None:
    assert isinstance(culvert, LazyGroup)
    for name in culvert.list_commands(click.Context(culvert)):
        assert culvert.get_command(click.Context(culvert), name) is not None


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["no-such-command"], 2),
        (["down", "--no-such-option"], 2),
        (["down", "office", "--all"], 2),
        (["gateway", "logout"], 2),
        (["gateway", "logout", "3", "--all"], 2),
        (["gateway", "logout", "three"], 2),
    ],
)
def test_what_is_misunderstood_exits_two(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == status


def test_status_without_a_service_says_nothing_is_connected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--state-dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "Nothing is connected.\n"
    assert run(["status", "--json", "--state-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "connections": [],
        "left_over": False,
    }


def test_established_without_a_service_is_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["status", "--established", "--state-dir", str(tmp_path)]) == 1
    assert capsys.readouterr().out == ""


def changed_and_died(state: Path) -> None:
    """What a service leaves that was killed while a connection stood."""
    log = ChangeLog.of(state / "undo", replace(Owner.here(), started=0))
    log.plan("office", (RouteAdded("192.168.2.0/24", "culvert0", 7),))
    log.close()
    mark_established(state / "TunnelEstablished", established=True)


@pytest.mark.parametrize("undo_is_seen", [True, False])
def test_what_a_killed_service_left_is_told_with_what_undoes_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], undo_is_seen: bool
) -> None:
    changed_and_died(tmp_path)
    if not undo_is_seen:  # as it is for anybody but root
        shutil.rmtree(tmp_path / "undo")
    at = ["--state-dir", str(tmp_path)]
    for words, code in (
        (["status"], 0),
        (["status", "office"], 5),
        (["down"], 0),
        (["down", "office"], 5),
    ):
        assert run([*words, *at]) == code
        said = capsys.readouterr()
        assert "culvert repair" in said.out + said.err, words
    assert run(["status", "--json", *at]) == 0
    assert json.loads(capsys.readouterr().out)["left_over"] is True


def test_a_service_that_ended_in_order_has_left_nothing_to_hint_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark_established(tmp_path / "TunnelEstablished", established=False)
    for words in (["status"], ["down"]):
        assert run([*words, "--state-dir", str(tmp_path)]) == 0
        assert "repair" not in capsys.readouterr().out


def test_a_gateway_that_does_not_run_exits_five_in_words_and_in_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gateway", "sessions", "--state-dir", str(tmp_path)]) == 5
    assert "the gateway is not running" in capsys.readouterr().err
    assert run(["gateway", "sessions", "--json", "--state-dir", str(tmp_path)]) == 5
    said = json.loads(capsys.readouterr().out)
    assert said["error"]["code"] == "cli.not-running"


def test_the_environment_says_where_the_socket_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CULVERT_STATE_DIR", str(tmp_path))
    run(["gateway", "sessions"])
    assert str(tmp_path / "gateway.sock") in capsys.readouterr().err


def test_a_real_process_exits_with_the_status_and_without_colour() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "culvert", "status", "no-such"],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert done.returncode == 5
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_printed_for_each_shell(
    shell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["completion", shell]) == 0
    assert "_CULVERT_COMPLETE" in capsys.readouterr().out
