"""``culvert gateway check``: what NAT-T needs, as it should be and as it should not."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.place import CONFIG
from netio.namespaces import inside, namespace

pytestmark = pytest.mark.root

FILTER = (
    "table inet filter { chain input { type filter hook input priority 0; policy drop; %s }\n}\n"
)
USUAL = "ct state established accept; iifname lo accept; tcp dport 22 accept;"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    path.chmod(0o600)
    return path


@pytest.fixture
def apart() -> Iterator[str]:
    with namespace("gc") as name:
        yield name


def checked(config: Path, where: str, *words: str) -> tuple[int, str]:
    """Exit status and what was said."""
    line = (sys.executable, "-m", "culvert", "gateway", "check", "-c", str(config), *words)
    with inside(where):
        done = subprocess.run(
            [*line, "--state-dir", str(config.parent / "state")],
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )
    return done.returncode, done.stdout + done.stderr


def findings(config: Path, where: str) -> dict[str, dict[str, Any]]:
    _, said = checked(config, where, "--json")
    return {one["name"]: one for one in json.loads(said)["findings"]}


def filtered(where: str, rules: str) -> None:
    with inside(where):
        subprocess.run(
            ["nft", "-f", "-"], input=FILTER % rules.replace(";", "\n"), text=True, check=True
        )


@pytest.mark.requirement("S4-15")
def test_a_port_4500_that_another_program_has_is_refused_with_what_to_do(
    config: Path, apart: str
) -> None:
    with inside(apart):
        older = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with older:
        older.bind(("", 4500))
        status, said = checked(config, apart)
    assert status == 9, said
    assert "PROBLEM  UDP port 4500: UDP port 4500 at 0.0.0.0 is taken by" in said
    assert "older set-up of IPsec over UDP" in said
    assert "to another port" in said


def test_where_everything_is_ready_all_three_steps_are_good(config: Path, apart: str) -> None:
    status, said = checked(config, apart)
    assert status == 0, said
    found = findings(config, apart)
    assert list(found) == ["firewall, UDP 4500", "UDP port 4500", "UDP port 500", "fragmentation"]
    assert all(one["good"] for one in found.values())


@pytest.mark.parametrize(
    ("rules", "good"),
    [
        (USUAL, False),
        (f"{USUAL} udp dport 500 accept;", False),
        (f"{USUAL} udp dport {{ 500, 4500 }} accept;", True),
        (f"{USUAL} udp dport 4000-5000 accept;", True),
        (f"{USUAL} meta l4proto udp accept;", True),
        (f"{USUAL} udp dport 4500 drop; accept;", False),
        ("ip saddr 192.0.2.1 udp dport 4500 accept;", False),
        ("accept;", True),
    ],
)
def test_a_firewall_that_drops_4500_is_told_with_the_rule_that_opens_it(
    config: Path, apart: str, rules: str, good: bool
) -> None:
    filtered(apart, rules)
    found = findings(config, apart)["firewall, UDP 4500"]
    assert found["good"] is good
    if not good:
        rule = found["action"].partition(". ")[0].removeprefix("nft ")
        with inside(apart):
            subprocess.run(["nft", *rule.split()], check=True)
        assert findings(config, apart)["firewall, UDP 4500"]["good"]


def test_esp_in_fragments_is_a_problem_with_the_two_policies_that_are_none(
    config: Path, apart: str
) -> None:
    config.write_text(CONFIG.replace("[gateway]", '[gateway]\nfragmentation = "after-ipsec"'))
    status, said = checked(config, apart)
    assert status == 9
    assert "PROBLEM  fragmentation: after-ipsec" in said
    assert "before-with-icmp" in said
    assert "before-clearing-df" in said


def test_ipsec_over_udp_at_4500_is_a_mistake_of_the_file(config: Path, apart: str) -> None:
    config.write_text(CONFIG.replace("[gateway]", "[gateway]\nudp_port = 4500"))
    status, said = checked(config, apart)
    assert status == 3
    assert "must move to another port" in said
