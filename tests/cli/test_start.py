"""A gateway that cannot start says why on the spot, by its exit status, and in faultlog.txt."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.place import CONFIG
from culvert.cli.main import run
from netio.namespaces import inside, namespace

HIDE_TUN = 'mount --bind /dev/null /dev/net/tun && exec "$@"'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@pytest.fixture
def apart() -> Iterator[str]:
    with namespace("s") as name:
        yield name


def start(config: Path, *before: str) -> tuple[int, str, str]:
    """Exit status, what was said, and faultlog.txt."""
    state = config.parent / "state"
    line = (sys.executable, "-m", "culvert", "gateway", "run", "-c", str(config))
    done = subprocess.run(
        [*before, *line, "--quiet", "--state-dir", str(state)],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    return done.returncode, done.stderr, (state / "faultlog.txt").read_text()


@pytest.mark.requirement("S0-03", part="corrupt configuration")
def test_a_corrupt_configuration(config: Path) -> None:
    config.write_text("[gateway\n")
    status, said, faults = start(config)
    assert status == 3
    assert "gateway.toml" in said
    assert "gateway.toml" in faults
    assert "What to do" in faults


@pytest.mark.root
@pytest.mark.requirement("S0-03", part="port taken")
def test_a_port_that_is_taken(config: Path, apart: str) -> None:
    with inside(apart), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("", 4500))
        status, said, faults = start(config)
    assert status == 4
    assert "UDP port 4500" in said
    assert "UDP port 4500" in faults


@pytest.mark.root
@pytest.mark.requirement("S0-03", part="no TUN")
def test_a_machine_without_tun(config: Path, apart: str) -> None:
    with inside(apart):
        status, said, faults = start(config, "unshare", "-m", "sh", "-c", HIDE_TUN, "sh")
    assert status == 4
    assert "TUN device" in said
    assert "TUN device" in faults


def test_validate_names_every_mistake_with_its_line(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(CONFIG.replace("lan =", "lann =").replace('pool = "clients"', 'pool = "x"'))
    assert run(["gateway", "validate", "-c", str(config)]) == 3
    said = capsys.readouterr().out
    assert f"{config}:4:" in said
    assert "lann" in said
    assert "pool 'x'" in said or 'pool "x"' in said, said


def test_validate_is_content_with_a_good_file(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["gateway", "validate", "-c", str(config)]) == 0
    assert "no mistakes" in capsys.readouterr().out
