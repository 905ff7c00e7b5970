"""Records of real connections in the lab: each replays octet for octet, without its password."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP_KEY, PASSWORD, USERS
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]


def test_a_session_with_pings_and_a_farewell_replays(lab: Lab) -> None:
    path = lab.state / "session.record"
    with OurGateway(lab), OurClient(lab, options=("--record", str(path))) as client:
        client.up()
        assert lab.ping("client1", topology.SERVER, count=2)
        client.down()
        said = client.culvert("replay", str(path), "--json")
        assert said.status == 0, said.err + said.out
        told = json.loads(said.out)
        assert told["same"]
        assert told["same_inputs"] > 8
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        traced = client.culvert("replay", str(path), "--trace").out
        assert "client.up" in traced
        assert "client.down" in traced


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"group_key": "not-the-key-of-this-group-at-all"}, "group-mismatch"),
        ({"phase2": ["aes192-sha2_256"]}, "phase2-refused"),
    ],
    ids=["wrong group key", "refused phase 2"],
)
def test_a_failing_attempt_fails_again(lab: Lab, changes: dict[str, object], reason: str) -> None:
    path = lab.state / f"{reason}.record"
    with OurGateway(lab), OurClient(lab, options=("--record", str(path))) as client:
        client.profile = changes
        assert client.try_up().status
        said = client.culvert("replay", str(path), "--trace")
        assert said.status == 0, said.err + said.out
        (end,) = [line for line in said.out.splitlines() if "client.down" in line]
        assert f"reason={reason}" in end
        text = path.read_text()
        assert PASSWORD not in text
        for key in (GROUP_KEY, str(changes.get("group_key", GROUP_KEY))):
            assert key not in text


# --- at the gateway ----------------------------------------------------------------------------


def options(path: Path, *words: str) -> tuple[str, ...]:
    return ("--record", str(path), *words)


def replayed(gateway: OurGateway, path: Path) -> str:
    """The trace of a replay that found no difference; nothing in it is the group's or a person's
    secret."""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    said = gateway.culvert("replay", str(path), "--trace")
    assert said.status == 0, said.err + said.out
    text = path.read_text()
    for secret in (PASSWORD, GROUP_KEY):
        assert secret not in text
        assert secret.encode().hex() not in text
    return said.out


def test_a_session_replays_at_the_gateway(lab: Lab) -> None:
    path = lab.state / "ours-at-the-gateway.record"
    with OurGateway(lab, options=options(path)) as gateway, OurClient(lab) as client:
        client.up()
        assert lab.ping("client1", topology.SERVER, count=2)
        client.down()
        gateway.wait_until_empty()
        gateway.stop()
        told = gateway.events("gateway.record")[-1]  # the log goes on across starts
        assert told["severity"] == 3
        traced = replayed(gateway, path)
        assert "session.started" in traced
        assert "session.ended" in traced


@pytest.mark.parametrize(
    ("changes", "password", "code"),
    [
        ({}, "not-the-password", "xauth.rejected"),
        ({"group_key": "not-the-key-of-this-group-at-all"}, PASSWORD, "ike.group-key-mismatch"),
        ({"phase1": ["aes192-sha2_256-modp2048"]}, PASSWORD, "ike.proposal-refused"),
    ],
    ids=["password", "group key", "proposal"],
)
def test_a_failing_attempt_replays_at_the_gateway(
    lab: Lab, changes: dict[str, object], password: str, code: str
) -> None:
    path = lab.state / f"{code}-at-the-gateway.record"
    with (
        OurGateway(lab, options=options(path, "--record-caller", topology.PAT_OUTSIDE)) as gateway,
        OurClient(lab, password=password) as client,
    ):
        client.profile = changes
        assert client.try_up().status
        gateway.stop()
        traced = replayed(gateway, path)
        assert code in traced
        assert "session.started" not in traced
        assert password not in path.read_text()


@pytest.mark.peer("vpnc")
def test_one_of_two_vpncs_replays_at_the_gateway(lab: Lab) -> None:
    path = lab.state / "vpnc-at-the-gateway.record"
    user, other = USERS["client2"], USERS["client1"]
    with OurGateway(lab) as gateway:
        asked = gateway.culvert("gateway", "record", str(path), "--caller", user)
        assert asked.status == 0, asked.err
        again = gateway.culvert("gateway", "record", str(path), "--caller", user)
        assert again.status
        assert "already" in again.err
        with Vpnc(lab, "client1"), Vpnc(lab, "client2"):
            for where in ("client1", "client2"):
                assert lab.ping(where, topology.SERVER, count=2)
        gateway.wait_until_empty()
        gateway.stop()
        (end,) = [
            one
            for code in ("gateway.recorded", "service.file-ended")
            for one in gateway.events(code)
            if one["fields"]["path"] == str(path)
        ]
        assert end["code"] == "gateway.recorded", end
        traced = replayed(gateway, path)
        assert "session.started" in traced
        assert f"user={user}" in traced
        assert other not in traced
        assert other not in path.read_text()
