"""Line polling through a real tunnel: a target dies, another lives, and what the trace says."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import Fresh, OurGateway, Row, until
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

DEAD = "192.168.2.199"
SECOND = "192.168.2.77"
"""One more address of the server, which a test takes away."""

QUICK = {"polling_interval": 2, "dpd_delay": 0}


@pytest.fixture
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


@pytest.fixture
def client(lab: Lab, gateway: OurGateway) -> Iterator[Fresh]:
    with Fresh(lab) as running:
        yield running


@pytest.fixture
def second(lab: Lab) -> Iterator[str]:
    lab.run("server", ["ip", "addr", "add", f"{SECOND}/32", "dev", "lo"])
    yield SECOND
    lab.run("server", ["ip", "addr", "del", f"{SECOND}/32", "dev", "lo"], check=False)


def take_away(lab: Lab, address: str) -> None:
    lab.run("server", ["ip", "addr", "del", f"{address}/32", "dev", "lo"])


def at(row: Row) -> float:
    return datetime.fromisoformat(str(row["at"])).timestamp()


@pytest.mark.cell("line-polling", "ourselves")
def test_a_target_that_dies_takes_the_line_down_in_its_course_and_with_its_reason(
    lab: Lab, gateway: OurGateway, client: Fresh, second: str
) -> None:
    client.profile = {**QUICK, "polling": [second], "reconnect": 0}
    client.up()
    time.sleep(5.0)
    assert not client.events("live.poll-missed")
    take_away(lab, second)
    until("the line is given up", lambda: bool(client.events("client.down")), seconds=20)
    missed = client.events("live.poll-missed")
    assert [row["fields"]["retries"] for row in missed] == [5, 4, 3, 2, 1, 0]
    times = [at(row) - at(missed[0]) for row in missed]
    assert times == pytest.approx([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], abs=0.15)
    (failed,) = client.events("live.poll-failed")
    assert 0.005 <= at(failed) - at(missed[-1]) <= 0.15
    assert client.events("client.down")[0]["fields"]["reason"] == "line-polling-failed"
    gateway.wait_until_empty()
    text = client.culvert("log", "--style", "lancom", "-n", "1000").out
    assert re.search(r"VPN: Error: IFC-X-Line-polling-failed \(0x1307\) for office \(", text)
    assert client.why()["diagnosis"]["id"] == "live.poll-failed"


@pytest.mark.requirement("S3-25", part="in namespaces")
def test_of_two_targets_one_is_dead_and_the_line_stays(
    lab: Lab, gateway: OurGateway, client: Fresh
) -> None:
    client.profile = {**QUICK, "polling": [DEAD, topology.SERVER], "polling_retries": 1}
    with client.connected():
        time.sleep(8.0)
        assert not client.events("live.poll-missed")
        prove_data(lab, "client1")


def test_always_connected_comes_back_at_once_when_the_target_does(
    lab: Lab, gateway: OurGateway, client: Fresh, second: str
) -> None:
    client.profile = {**QUICK, "polling": [second], "keepalive": 9999, "reconnect": 0}
    with client.connected():
        take_away(lab, second)
        until("it is lost", lambda: bool(client.events("live.poll-failed")), seconds=20)
        lab.run("server", ["ip", "addr", "add", f"{second}/32", "dev", "lo"])
        took = until("it is back", lambda: len(client.events("client.up")) > 1, seconds=20)
        print(f"back {took:.1f} s after it was lost")
        assert took <= 5.0
        prove_data(lab, "client1")


def test_always_connected_without_a_target_is_refused(gateway: OurGateway, client: Fresh) -> None:
    client.profile = {"keepalive": 9999}
    done = client.try_up()
    assert done.status == 3
    assert "polling" in done.err
    assert client.why()["diagnosis"]["id"] == "live.no-poll-entry"
    assert not gateway.sessions
