"""`culvert gateway group add`: generated keys are strong, weak ones need a named switch."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from culvert.cli.gateway_group import LENGTH, generated, group
from culvert.errors import ConfigError, PlatformError
from culvert.gateway.config import load
from culvert.gateway.key_strength import SAFE_BITS, bits
from culvert.rng import SystemRandom
from culvert.secret import Secret


def add(*words: str, given: str = "") -> str:
    reading, writing = os.pipe()
    os.write(writing, given.encode())
    os.close(writing)
    try:
        more = ("--key-fd", str(reading)) if given else ()
        return (
            CliRunner()
            .invoke(group, ["add", *words, *more], catch_exceptions=False, standalone_mode=False)
            .stdout
        )
    finally:
        os.close(reading)


def test_a_generated_key_has_128_bits_and_is_never_the_same() -> None:
    keys = {generated(SystemRandom()).reveal() for _ in range(100)}
    assert len(keys) == 100
    assert bits(Secret("abcdefghijklmnopqrstuvwxyzab")) >= SAFE_BITS, "one without digits"
    assert all(len(key) == LENGTH for key in keys)
    assert all(bits(Secret(key)) >= SAFE_BITS for key in keys)


def test_its_lines_are_taken_by_the_gateway(tmp_path: Path) -> None:
    path = tmp_path / "sales.key"
    lines = add("sales", "--key-file", str(path))
    assert path.stat().st_mode & 0o777 == 0o600
    text = (
        '[gateway]\nlegacy = ["aggressive-psk"]\n'
        f'[[pool]]\nname = "p"\naddresses = ["10.9.0.1-10.9.0.9"]\n{lines}'
    )
    assert tomllib.loads(lines)["group"][0]["key_file"] == str(path)
    config = load(text, "gateway.toml")
    assert config.group_keys["sales"].reveal() == path.read_text().strip()


def test_a_weak_key_is_refused_unless_its_switch_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sales.key"
    with pytest.raises(ConfigError, match="at most 70 bits where 128 are needed"):
        add("sales", "--key-file", str(path), given="cisco-secret")
    assert not path.exists()
    add("sales", "--key-file", str(path), "--weak-key", given="cisco-secret")
    assert path.read_text() == "cisco-secret\n"


def test_length_alone_makes_no_strong_key() -> None:
    assert bits(Secret("ab" * 40)) == 0


def test_a_key_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "sales.key"
    path.write_text("in use\n")
    with pytest.raises(PlatformError, match="cannot be written"):
        add("sales", "--key-file", str(path))
    assert path.read_text() == "in use\n"
