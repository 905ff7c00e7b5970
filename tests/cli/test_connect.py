"""The command line, the service and a gateway as processes: connected, refused, ended, killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.place import GROUP_KEY, OWN_DNS, PASSWORD, Place, place

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]


ROW_KEYS = {
    "name", "user", "state", "protocol", "transport", "tunnel_port", "assigned_ip", "public_ip",
    "encryption", "authentication", "since", "bytes_in", "bytes_out", "packets_in", "packets_out",
    "weak", "problem",
}  # fmt: skip


LOCALLY = "Secure VPN Connection terminated locally by the Client"
BY_USER = "Reason: The user ended the connection."


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("connect")) as found:
        found.start_gateway()
        yield found


@pytest.fixture(autouse=True)
def disconnected(at: Place) -> Iterator[None]:
    yield
    at.client.culvert("down", "--all")


def service_pid(at: Place) -> int:
    """The client's service that `up` has started."""
    (found,) = [
        int(pid)
        for pid in at.client.run("ip", "netns", "pids", at.client.name).split()
        if b"service\0run" in command_line(pid)
    ]
    return found


def command_line(pid: str | int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


@pytest.mark.requirement("S0-21", part="writing")
@pytest.mark.requirement("S0-23", part="command line")
@pytest.mark.requirement("S1-73", part="pre-shared key")
def test_up_ping_status_down(at: Place) -> None:
    before = at.client.traces()
    up = at.up()
    assert up.status == 0, up.err
    assert "Connected: office is up" in up.err
    assert at.ping()
    (row,) = at.client.culvert("status", "--json").document["connections"]
    assert row.keys() >= ROW_KEYS
    assert (row["name"], row["state"], row["user"]) == ("office", "up", "ann")
    assert (row["transport"], row["tunnel_port"]) == ("esp", 0)  # no NAT here
    assert row["packets_in"] >= 2
    assert "192.168.2.53" in at.client.resolv_conf.read_text()
    assert at.client.culvert("status", "--established").status == 0
    assert (at.client.state / "TunnelEstablished").read_text() == "1\n"
    down = at.client.culvert("down")
    assert (down.status, down.out) == (0, f"office: disconnected\n  {LOCALLY}\n  {BY_USER}\n")
    assert f"{LOCALLY}, {BY_USER}" in at.client.culvert("log").out
    assert at.client.traces() == before
    assert at.client.culvert("status", "--established").status == 1
    assert (at.client.state / "TunnelEstablished").read_text() == "0\n"


def test_both_ends_count_the_same_and_agree_on_the_row(at: Place) -> None:
    assert at.up().status == 0
    assert at.ping()
    (ours,) = at.client.culvert("status", "--json").document["connections"]
    told = at.gateway.culvert("gateway", "sessions", "--json").document
    (theirs,) = told["sessions"]
    assert theirs.keys() >= ROW_KEYS
    for key in ("user", "assigned_ip", "transport", "encryption"):
        assert ours[key] == theirs[key]
    assert (ours["bytes_in"], ours["bytes_out"]) == (theirs["bytes_out"], theirs["bytes_in"])
    assert told["summary"]["active"] == 1
    assert told["schema"] == 1


@pytest.mark.requirement("S4-45", part="logout")
@pytest.mark.requirement("S4-45", part="ping")
def test_a_gateway_pings_its_client_and_logs_it_out_with_the_reason(at: Place) -> None:
    assert at.up().status == 0
    (row,) = at.gateway.culvert("gateway", "sessions", "--json").document["sessions"]
    number = str(row["number"])
    pinged = at.gateway.culvert("gateway", "ping", number, "-n", "1", "--json")
    assert (pinged.status, pinged.document["received"]) == (0, 1)
    assert at.gateway.culvert("gateway", "logout", number).status == 0
    (ended,) = at.client.culvert("status", "--json").document["connections"]
    assert (ended["state"], ended["problem"]["id"]) == ("down", "by-administrator")
    assert "An administrator" in at.client.culvert("why").out
    assert at.client.resolv_conf.read_text() == OWN_DNS
    assert at.gateway.culvert("gateway", "ping", number).status == 6
    assert at.gateway.culvert("gateway", "logout", number).status == 6


def test_a_wrong_password_is_told_as_such_and_the_next_attempt_is_unharmed(at: Place) -> None:
    refused = at.up(password="wrong")
    assert refused.status == 14
    assert "User name or password was refused" in refused.err
    assert "auth.wrong-password" in at.gateway.culvert("gateway", "log").out
    assert at.up().status == 0


def test_a_wrong_group_key_exits_thirteen_with_a_story_in_json(at: Place) -> None:
    right = at.profile.read_text()
    at.profile.write_text(right.replace(GROUP_KEY, "another key of over twenty characters"))
    try:
        refused = at.up("--json")
    finally:
        at.profile.write_text(right)
    assert refused.status == 13
    assert refused.document["error"]["code"] == "group-mismatch"
    assert refused.document["story"]["diagnosis"]["id"] == "p1.psk-mismatch"


def test_a_second_up_of_the_same_name_is_refused_and_harms_nothing(at: Place) -> None:
    assert at.up().status == 0
    assert at.up().status == 8
    assert at.ping()


def test_a_profile_that_is_not_there_exits_six(at: Place) -> None:
    assert at.client.culvert("up", "nowhere.toml", "--no-input").status == 6
    assert at.client.culvert("up", "nowhere", "--no-input").status == 6


def test_no_secret_stands_in_any_command_line(at: Place) -> None:
    assert at.up().status == 0
    lines = [command_line(pid.name) for pid in Path("/proc").iterdir() if pid.name.isdigit()]
    assert not [line for line in lines if PASSWORD.encode() in line or GROUP_KEY.encode() in line]
    logged = at.client.culvert("log", "-n", "10000", "--json").out
    assert PASSWORD not in logged
    assert GROUP_KEY not in logged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_restores_everything_within_five_seconds(
    at: Place, number: signal.Signals
) -> None:
    before = at.client.traces()
    assert at.up().status == 0
    pid = service_pid(at)
    began = time.monotonic()
    os.kill(pid, number)
    while command_line(pid) and time.monotonic() < began + 10:
        time.sleep(0.02)
    assert time.monotonic() - began < 5
    assert at.client.traces() == before
    told = at.gateway.culvert("gateway", "sessions", "--json").document
    assert told["sessions"] == []


def test_what_a_killed_service_left_over_is_repaired(at: Place) -> None:
    at.client.culvert("down", "--all")
    before = at.client.traces()
    assert at.up().status == 0
    os.kill(service_pid(at), signal.SIGKILL)
    assert at.client.resolv_conf.read_text() != OWN_DNS
    for words in ("status", "down"):
        assert "culvert repair" in at.client.culvert(words).out
    repaired = at.client.culvert("repair", "--json")
    assert repaired.status == 0
    assert any("resolv.conf" in change for change in repaired.document["changes"])
    assert at.client.traces() == before
    assert at.client.culvert("repair").out == "Nothing was left over.\n"
    assert at.client.culvert("status").out == "Nothing is connected.\n"


def test_the_next_service_repairs_too_and_says_so(at: Place) -> None:
    assert at.up().status == 0
    os.kill(service_pid(at), signal.SIGKILL)
    assert at.up().status == 0
    assert "client.repaired" in at.client.culvert("log").out
    assert at.client.culvert("down").status == 0
    assert at.client.resolv_conf.read_text() == OWN_DNS


def test_interrupting_up_ends_the_attempt(at: Place) -> None:
    before = at.client.traces()
    unreachable = at.profile.with_name("unreachable.toml")
    unreachable.write_text(at.profile.read_text().replace("172.31.9.1", "172.31.9.77"))
    unreachable.chmod(0o600)
    attempt = at.client.start("up", str(unreachable), "--user", "ann")
    assert attempt.stderr is not None
    for line in attempt.stderr:
        if b"Phase 1" in line or b"Sent our proposals" in line:
            break
    attempt.send_signal(signal.SIGINT)
    assert attempt.wait(10) == 130
    at.client.culvert("down", "--all")
    assert not [
        row
        for row in at.client.culvert("status", "--json").document["connections"]
        if row["state"] != "down"
    ]
    assert at.client.traces() == before
