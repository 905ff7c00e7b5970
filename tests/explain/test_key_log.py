"""A capture with the key log of one end: everything that IKE said is told."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pytest

from culvert.cli.main import run
from culvert.driver.keylog import lines as key_lines
from culvert.errors import ConfigError
from culvert.explain import explain
from culvert.explain.capture import lines
from culvert.explain.explanation import Explanation
from culvert.explain.keys import read_keys
from explain.test_capture import capture, connected
from simulation.test_authentication import MODES, world_of
from simulation.world import PASSWORD, USERS, World, profile


def key_log(world: World) -> str:
    """What the gateway would have written."""
    return "".join(line for keys in world.gateway.keys for line in key_lines(keys))


def told(world: World, keys: Mapping[bytes, bytes]) -> Explanation:
    return explain(lines(BytesIO(capture(world)), None, keys))


def steps(found: Explanation) -> str:
    return "\n".join(step.says for attempt in found.attempts for step in attempt.timeline)


def test_with_its_keys_a_capture_tells_login_configuration_and_networks() -> None:
    world = connected()
    found = told(world, read_keys(key_log(world).splitlines()))
    assert (found.outcome, found.unknown_lines) == ("ok", 0)
    said = steps(found)
    for phrase in (
        "asks for XAUTH_USER_NAME, XAUTH_USER_PASSWORD",
        "The login is accepted.",
        "The address in the tunnel is 40.1.1.1.",
        "The responder gives MODECFG_UNITY_SPLIT_INCLUDE: 192.168.2.0.",
        "The responder chooses for the packets: aes",
        "Networks of the initiator: 40.1.1.1/32 === 0.0.0.0/0",
        "Phase 2 stands",
    ):
        assert phrase in said, phrase


def test_no_password_is_told() -> None:
    world = connected()
    found = told(world, read_keys(key_log(world).splitlines()))
    assert "XAUTH" in steps(found)
    assert PASSWORD not in str(found.document())


def test_a_refused_login_is_diagnosed_from_the_packets_alone() -> None:
    world = World(1)
    client = world.client(profile(), person=(USERS[0], "wrong"), behind=world.nat)
    client.connect()
    world.decided(client)
    found = told(world, read_keys(key_log(world).splitlines()))
    assert found.diagnoses[0].id == "xauth.failed"
    assert found.diagnoses[0].id != told(world, {}).diagnoses[0].id


def test_a_farewell_is_told_with_who_said_it() -> None:
    world = connected()
    world.clients[0].disconnect()
    world.run(5.0)
    found = told(world, read_keys(key_log(world).splitlines()))
    assert "The initiator ends the connection." in steps(found)


def test_a_key_that_does_not_fit_is_said_once() -> None:
    world = connected()
    ((cookie, key), *_) = read_keys(key_log(world).splitlines()).items()
    said = steps(told(world, {cookie: bytes(len(key))}))
    assert said.count("With this key log nothing is opened: the key does not fit.") == 1
    assert "The address in the tunnel" not in said


def test_a_capture_that_begins_too_late_is_named_as_such() -> None:
    world = connected()
    keys = read_keys(key_log(world).splitlines())
    octets = capture(world)
    for _ in range(2):  # the two messages with the public values
        size = int.from_bytes(octets[24 + 8 : 24 + 12], "little")
        octets = octets[:24] + octets[24 + 16 + size :]
    said = steps(explain(lines(BytesIO(octets), None, keys)))
    assert "the beginning of phase 1 is not in the capture" in said


@pytest.mark.parametrize("mode", MODES)
def test_certificates_and_messages_in_pieces_are_opened_too(mode: str) -> None:
    world, client = world_of("xauth-rsa", mode)
    client.connect()
    world.decided(client)
    said = steps(told(world, read_keys(key_log(world).splitlines())))
    assert "Phase 2 stands" in said
    if mode == "main":
        assert "In phase 1 the initiator calls itself" in said


def test_a_key_log_has_cookies_with_keys_and_esp_as_wireshark_wants_them() -> None:
    world = connected()
    ike, inbound, outbound = key_log(world).splitlines()[:3]
    cookie, _, key = ike.partition(",")
    assert (len(cookie), len(key)) in ((16, 32), (16, 48), (16, 64))
    assert inbound.startswith('"IPv4","') and ',"*","0x' in inbound
    assert outbound.startswith('"IPv4","*","')
    assert "[RFC" in inbound


@pytest.mark.parametrize("line", ["nonsense", "0123,aa", "0123456789abcdef;00112233445566778899"])
def test_what_is_no_key_log_is_refused_without_showing_it(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_keys(["# head", line], "keys")
    assert caught.value.line == 2
    assert line not in str(caught.value)


def test_foreign_forms_of_the_same_table_are_read() -> None:
    key = "00112233445566778899aabbccddeeff"
    text = f'"0123456789abcdef","{key}"\r\n\n0xfedcba9876543210,0x{key}\n"IPv4","*","*","0x1"'
    found = read_keys(text.splitlines())
    assert [cookie.hex() for cookie in found] == ["0123456789abcdef", "fedcba9876543210"]


def test_the_command_takes_capture_and_key_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = connected()
    (tmp_path / "a.pcap").write_bytes(capture(world))
    (tmp_path / "keys").write_text(key_log(world))
    assert run(["explain", str(tmp_path / "a.pcap"), "--keys", str(tmp_path / "keys")]) == 0
    assert "The address in the tunnel is" in capsys.readouterr().out
