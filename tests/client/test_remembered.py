"""What got through where, kept from one connection to the next."""

from __future__ import annotations

from pathlib import Path

import pytest

from culvert.client.remembered import RememberedWays
from culvert.client.ways import REMEMBERED
from culvert.netio.whereabouts import hardware_of, network_towards

ARP = """\
IP address       HW type     Flags       HW address            Mask     Device
192.168.1.1      0x1         0x2         02:00:00:00:00:01     *        eth0
192.168.1.9      0x1         0x0         00:00:00:00:00:00     *        eth0
"""


def test_each_network_of_each_profile_is_remembered(tmp_path: Path) -> None:
    ways = RememberedWays(tmp_path / "ways.json")
    ways.keep("office", "a hotel", "tcp")
    ways.keep("office", "at home", "nat-t")
    again = RememberedWays(tmp_path / "ways.json")
    assert again.way("office", "a hotel") == "tcp"
    assert again.way("office", "at home") == "nat-t"
    assert again.way("other", "a hotel") == ""
    assert (tmp_path / "ways.json").stat().st_mode & 0o777 == 0o600


def test_the_networks_seen_longest_ago_are_forgotten(tmp_path: Path) -> None:
    ways = RememberedWays(tmp_path / "ways.json")
    for number in range(REMEMBERED + 1):
        ways.keep("office", f"network {number}", "udp")
    assert ways.way("office", "network 0") == ""
    assert ways.way("office", "network 1") == "udp"


@pytest.mark.parametrize("text", ["", "[]", "{", '{"office": 1}', "\x00", "[" * 100_000])
def test_a_file_that_cannot_be_read_is_an_empty_one(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ways.json"
    file.write_text(text)
    ways = RememberedWays(file)
    assert ways.way("office", "a hotel") == ""
    ways.keep("office", "a hotel", "tcp")
    assert ways.way("office", "a hotel") == "tcp"


def test_nobody_fails_because_it_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ways = RememberedWays(tmp_path / "file" / "ways.json")
    ways.keep("office", "a hotel", "tcp")
    assert ways.way("office", "a hotel") == ""


def test_a_neighbour_is_known_by_its_hardware(tmp_path: Path) -> None:
    table = tmp_path / "arp"
    table.write_text(ARP)
    assert hardware_of("192.168.1.1", table) == "02:00:00:00:00:01"
    assert hardware_of("192.168.1.9", table) == ""
    assert hardware_of("192.168.1.1", tmp_path / "none") == ""


def test_the_same_way_out_is_the_same_network() -> None:
    assert network_towards("127.0.0.1") == network_towards("127.0.0.2") != ""
