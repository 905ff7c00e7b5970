"""Records of real connections in the lab: each replays octet for octet, without its password."""

from __future__ import annotations

import json
import stat

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP_KEY, PASSWORD

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
