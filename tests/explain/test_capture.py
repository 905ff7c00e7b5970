"""Captures of what simulated ends sent each other, explained from the packets alone."""

from __future__ import annotations

from io import BytesIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import dpkt  # type: ignore[import-untyped]  # it has none
import pytest

from culvert.cli.main import run
from culvert.errors import ConfigError
from culvert.explain import explain
from culvert.explain.capture import lines
from culvert.explain.explanation import Explanation
from culvert.explain.pcap import is_capture
from culvert.secret import Secret
from simulation.world import GATEWAY, World, profile

RAW = 101
INSIDE, PAT = "10.10.10.2", "171.69.89.78"
STAMP = 1_780_000_000.0
KEY = "a-long-group-key-of-the-lab"
library = cast("Any", dpkt)


def connected(**changes: Any) -> World:
    world = World(1)
    client = world.client(profile(**changes), behind=world.nat)
    client.connect()
    world.decided(client)
    for _ in range(3 if client.up else 0):
        assert world.passes_both_ways(client)
    return world


def capture(world: World, *, drop: str = "", writer: str = "pcap") -> bytes:
    """What a machine beside the gateway sees; ``drop`` leaves out ESP of that sender."""
    file = BytesIO()
    made = getattr(library, writer).Writer(file, linktype=RAW)
    for seen in world.network.seen:
        outside = seen.source[0] == GATEWAY or seen.to[0] == GATEWAY
        ike = 500 in (seen.source[1], seen.to[1]) or seen.octets[:4] == bytes(4)
        if not outside or (drop and not ike and (seen.source[0] == GATEWAY) == (drop == GATEWAY)):
            continue
        udp = library.udp.UDP(sport=seen.source[1], dport=seen.to[1], data=seen.octets)
        udp.ulen = len(udp)
        ends = (PAT if end[0] == INSIDE else end[0] for end in (seen.source, seen.to))
        source, target = (ip_address(end).packed for end in ends)
        packet = library.ip.IP(src=source, dst=target, p=17, data=udp)
        packet.len = len(packet)
        made.writepkt(bytes(packet), ts=STAMP + seen.at)
    return file.getvalue()


def told(octets: bytes, key: str = "") -> Explanation:
    return explain(lines(BytesIO(octets), Secret(key) if key else None))


@pytest.mark.parametrize("writer", ["pcap", "pcapng"])
def test_a_good_connection_is_ok_and_its_esp_counted(writer: str) -> None:
    octets = capture(connected(), writer=writer)
    assert is_capture(octets)
    found = told(octets, KEY)
    assert (found.family, found.outcome, found.unknown_lines) == ("capture", "ok", 0)
    steps = [step.says for step in found.attempts[0].timeline]
    assert any("ESP packets" in step for step in steps)
    assert any("pre-shared key" in step for step in steps)


def test_a_key_that_the_gateway_does_not_have_is_known_offline() -> None:
    world = connected(group_key=Secret("another key than the gateway's"))
    found = told(capture(world), "another key than the gateway's")
    (first, *_) = found.diagnoses
    assert first.id == "p1.psk-mismatch"
    assert first.confidence == 0.95
    assert any("the group key is not the one" in proof.text for proof in first.evidence)
    assert "gateway's" not in str([one.document() for one in found.attempts[0].diagnoses[:1]])


def test_without_a_key_nothing_certain_is_said_about_it() -> None:
    world = connected(group_key=Secret("another key than the gateway's"))
    assert all(one.confidence < 0.95 for one in told(capture(world)).diagnoses)


def test_esp_in_one_direction_only_is_counted_and_named() -> None:
    found = told(capture(connected(), drop=GATEWAY))
    assert found.diagnoses[0].id == "data.esp-blocked"
    steps = [step.says for step in found.attempts[0].timeline]
    assert f"ESP packets: 3 from {PAT}, 0 from {GATEWAY}." in steps


def test_the_same_message_again_is_a_retransmission() -> None:
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    world.gateway.suspend()
    client.connect()
    world.decided(client)
    found = told(capture(world))
    assert found.diagnoses[0].id == "p1.no-response"
    assert any("again" in step.says for step in found.attempts[0].timeline)


@pytest.mark.parametrize("cut", [0, 3, 10, 24, 30, 60, 333, 1000])
def test_a_cut_capture_is_read_as_far_as_it_goes(cut: int) -> None:
    octets = capture(connected())[:cut]
    try:
        assert told(octets).family in {"capture", "unknown"}
    except ConfigError as error:
        assert cut < 24
        assert "cannot be read" in str(error)


def test_damaged_octets_end_in_nothing_worse_than_less_to_tell() -> None:
    whole = capture(connected())
    for place in range(24, min(len(whole), 3000), 7):
        told(whole[:place] + bytes((whole[place] ^ 0xFF,)) + whole[place + 1 :])


def test_the_command_takes_a_capture_and_a_key_from_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = connected(group_key=Secret("wrong"))
    (tmp_path / "a.pcap").write_bytes(capture(world))
    (tmp_path / "key").write_text("wrong\n")
    given = ["explain", str(tmp_path / "a.pcap"), "--psk-file", str(tmp_path / "key")]
    assert run(given) == 0
    assert "packet 2 the group key is not the one" in capsys.readouterr().out


def ikev2_capture(*messages: tuple[bool, int, int]) -> bytes:
    """Messages of IKEv2: of the initiator or not, exchange, number."""
    file = BytesIO()
    made = library.pcap.Writer(file, linktype=RAW)
    for at, (asks, exchange, number) in enumerate(messages):
        head = b"\x11" * 8 + b"\x22" * 8 + bytes((33, 0x20, exchange, 0x08 if asks else 0x20))
        octets = head + number.to_bytes(4, "big") + (28 + 4).to_bytes(4, "big") + b"body"
        udp = library.udp.UDP(sport=500, dport=500, data=octets)
        udp.ulen = len(udp)
        ends = (PAT, GATEWAY) if asks else (GATEWAY, PAT)
        source, target = (ip_address(end).packed for end in ends)
        packet = library.ip.IP(src=source, dst=target, p=17, data=udp)
        packet.len = len(packet)
        made.writepkt(bytes(packet), ts=STAMP + at)
    return file.getvalue()


def test_ikev2_is_called_ikev2() -> None:
    found = told(ikev2_capture((True, 34, 0), (False, 34, 0), (True, 35, 1), (False, 43, 1)))
    assert found.unknown_lines == 0
    says = [step.says for step in found.attempts[0].timeline]
    assert "IKEv2" in says[0]
    assert "only IKEv1 is decoded" in says[0]
    assert found.attempts[0].phase == "p1-partial"
    assert found.outcome == "unknown"


def test_ikev2_without_an_answer_is_told_like_any_silence() -> None:
    found = told(ikev2_capture((True, 34, 0), (True, 34, 0), (True, 34, 0)))
    assert found.diagnoses[0].id == "p1.no-response"
