"""Line polling and keepalive in virtual time, and what our trace in LANCOM's words says of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from culvert.eventlog.diagnosis import diagnose
from culvert.eventlog.log import EventLog
from culvert.eventlog.render.lancom import Lancom
from culvert.explain.engine import explain
from culvert.tables.texts.lancom import lancom_errors
from simulation.ends import ClientEnd
from simulation.journal import Told
from simulation.world import BEGAN, GATEWAY, SERVER, World, packet, profile

SEED = 1
TARGET = "192.168.2.251"  # the gateway's own address in its LAN
OTHER = "192.168.2.252"
STAMP = re.compile(r"\[VPN-Status\] (\S+ \S+) ")


def world_with(*pingable: str) -> World:
    world = World(SEED)
    world.gateway.pingable = set(pingable)
    return world


def connected(world: World, **changes: Any) -> ClientEnd:
    client = world.client(profile("BUGFIX", **changes), behind=world.nat)
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def entries(world: World, client: ClientEnd) -> EventLog:
    log = EventLog()
    for told in world.network.journal:
        if isinstance(told, Told) and told.name == client.name:
            log.record(told.event, at=BEGAN + timedelta(seconds=told.at), now=told.at)
    return log


def trace(world: World, client: ClientEnd) -> list[tuple[datetime, str]]:
    """When each record was written, and its lines."""
    rendering = Lancom()
    lines: list[tuple[datetime, str]] = []
    for entry in entries(world, client).rings.latest().entries:
        for line in rendering.render(entry).splitlines():
            if (stamp := STAMP.match(line)) is None:
                at, text = lines[-1]
                lines[-1] = (at, f"{text}\n{line}")
            else:
                at = datetime.strptime(stamp[1], "%Y/%m/%d %H:%M:%S,%f").replace(tzinfo=UTC)
                lines.append((at, line[stamp.end() :]))
    return lines


def since_up(world: World, client: ClientEnd) -> list[tuple[float, str]]:
    """Seconds since the first missed poll and the record, of those that are the manager's."""
    lines = trace(world, client)
    first = next(at for at, text in lines if "poll timeout" in text)
    return [
        (round((at - first).total_seconds(), 3), text)
        for at, text in lines
        if at >= first and text.startswith("VPN: ") and "client.down" not in text
    ]


MISSED = f"VPN: poll timeout for BUGFIX ({GATEWAY})\n remote site did not answer during interval"


@pytest.mark.requirement("S3-21")
def test_polling_that_nobody_answers_ends_the_line_in_the_exact_sequence() -> None:
    world = world_with(TARGET)
    with world.shown_if_wrong():
        client = connected(world, polling=(TARGET,))
        up = world.now
        world.run(95.0)
        assert not client.told("live.poll-missed"), "answered, so nothing is said"
        world.gateway.pingable.clear()
        assert world.run_until(lambda: client.down, within=70.0)
        frame = f"\n send poll frame to {TARGET}"
        assert since_up(world, client) == [
            (0.0, f"{MISSED}\n setting poll time to 1 sec. (5 retries left){frame}"),
            (1.0, f"{MISSED} (4 retries left){frame}"),
            (2.0, f"{MISSED} (3 retries left){frame}"),
            (3.0, f"{MISSED} (2 retries left){frame}"),
            (4.0, f"{MISSED} (1 retries left){frame}"),
            (5.0, f"{MISSED}\n no retries left, disconnect channel"),
            (5.01, f"VPN: Error: IFC-X-Line-polling-failed (0x1307) for BUGFIX ({GATEWAY})"),
            (5.01, f"VPN: disconnecting BUGFIX ({GATEWAY})"),
        ]
        assert world.now == pytest.approx(up + 155.01, abs=0.1), "every 30 s, then every second"
        assert client.reason == "line-polling-failed"
        assert client.machine is None
        world.run(1.0)
        assert len(world.gateway.table) == 0, "the gateway was told"
        world.run(300.0)
        assert world.left_over() == []


@pytest.mark.requirement("S3-21")
def test_an_answer_after_three_misses_keeps_the_line_and_its_interval() -> None:
    world = world_with(TARGET)
    with world.shown_if_wrong():
        client = connected(world, polling=(TARGET,))
        world.gateway.pingable.clear()
        assert world.run_until(lambda: len(client.told("live.poll-missed")) == 3, within=60.0)
        world.gateway.pingable.add(TARGET)
        world.run_until(lambda: bool(client.told("live.poll-answered")), within=2.0)
        sent = len(client.echoes)
        world.run(29.5)
        assert len(client.echoes) == sent, "the interval is 30 s again"
        world.run(1.0)
        assert len(client.echoes) == sent + 1
        assert client.up
        world.run(300.0)
        assert client.up
        assert len(client.told("live.poll-missed")) <= 4


def test_the_line_that_is_up_says_its_poll_time() -> None:
    world = world_with(TARGET)
    client = connected(world, polling=(TARGET,), polling_interval=20)
    assert f"VPN: BUGFIX ({GATEWAY}) connected, set poll timer to 20 sec" in [
        text for _, text in trace(world, client)
    ]


@pytest.mark.requirement("S3-20")
def test_a_black_hole_is_told_by_exactly_two_records_after_30_s() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(profile("BUGFIX", peer_timeout=30))
        world.gateway.unplug()
        client.connect()
        assert world.decided(client)
        lines = [(at, text) for at, text in trace(world, client) if lancoms_own(text)]
        first = lines[0][0]
        assert lines[0][1] == "VPN: connecting to BUGFIX (vpn.example.com)"
        last = [(at - first, text) for at, text in lines if (at - first).total_seconds() > 1]
        assert [text for _, text in last] == [
            f"VPN: connection for BUGFIX ({GATEWAY}) timed out: no response",
            f"VPN: Error: IFC-I-Connection-timeout-IKE-IPSEC (0x1106) for BUGFIX ({GATEWAY})",
        ]
        for after, _ in last:
            assert after.total_seconds() == pytest.approx(30.0, abs=0.1)


def lancoms_own(text: str) -> bool:
    """Not one of ours that LANCOM has no words for."""
    return re.match(r"(?:VPN:|VpnIpm: info;) [a-z]+\.[a-z0-9-]+ ", text) is None


@pytest.mark.requirement("S3-22")
def test_a_line_polling_that_failed_is_told_with_its_causes_and_what_to_do() -> None:
    world = world_with()
    client = connected(world, polling=(TARGET,))
    assert world.run_until(lambda: client.down, within=60.0)
    found = diagnose(entries(world, client).rings.latest().entries)
    told = " ".join((found.why, *found.causes, *(action.text for action in found.actions)))
    for words in ("address in polling is not the right one", "firewall", "not answer pings"):
        assert words in told
    for words in ("addresses in polling", "gateway's own in its LAN", "always answers", "ICMP"):
        assert words in told
    assert found.id == "live.poll-failed"
    read = explain(
        [
            f"[VPN-Status] {at:%Y/%m/%d %H:%M:%S},000 {text}"
            for at, text in trace(world, client)
            if lancoms_own(text)
        ]
    )
    assert read.diagnoses[0].id == "live.poll-failed"
    row = lancom_errors()["0x1307"]
    every = " ".join((*row.causes, *row.actions))
    for words in (
        "polling address is wrong",
        "firewall",
        "ping blocking",
        "polling table",
        "PPP list",
        "ICMP trace",
        "LAN address of the remote gateway",
        "always answers",
    ):
        assert words in every


@pytest.mark.requirement("S3-23")
def test_keepalive_9999_without_polling_is_refused_with_its_record() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(profile("BUGFIX", keepalive=9999))
        client.connect()
        assert world.decided(client)
        assert client.down
        assert client.reason == "no-poll-entry"
        assert not client.sent, "the gateway is not even called"
        error = f"VPN: Error: IFC-I-No-poll-table-entry-matched (0x1108) for BUGFIX ({GATEWAY})"
        assert error in [text for _, text in trace(world, client)]
        found = diagnose(entries(world, client).rings.latest().entries)
        assert found.id == "live.no-poll-entry"


@pytest.mark.requirement("S3-24")
def test_9999_reconnects_at_once_after_a_loss_whatever_reconnect_says() -> None:
    world = world_with(TARGET)
    with world.shown_if_wrong():
        client = connected(world, polling=(TARGET,), keepalive=9999, reconnect=0)
        world.gateway.pingable.clear()
        assert world.run_until(lambda: bool(client.told("live.poll-failed")), within=60.0)
        lost = world.now
        world.gateway.pingable.add(TARGET)
        assert world.run_until(lambda: client.up, within=5.0)
        assert world.now - lost < 1.5, "at once: the time of a login"
        assert world.passes_both_ways(client)
        wait = client.told("client.reconnecting")[0].fields["wait"]
        assert wait == 0.0


@pytest.mark.requirement("S3-24")
def test_9999_never_gives_up() -> None:
    world = world_with(TARGET)
    with world.shown_if_wrong():
        client = connected(world, polling=(TARGET,), keepalive=9999, reconnect=0)
        world.gateway.unplug()
        world.run(3 * 3600.0)
        assert client.core.state == "reconnecting"
        world.gateway.plug()
        assert world.run_until(lambda: client.up, within=60.0)


@pytest.mark.requirement("S3-24")
@pytest.mark.parametrize("polling", [(), (TARGET,)], ids=["alone", "polled"])
def test_300_ends_a_connection_without_traffic_after_300_s(polling: tuple[str, ...]) -> None:
    world = world_with(TARGET)
    with world.shown_if_wrong():
        client = connected(world, keepalive=300, polling=polling, reconnect=3600)
        for _ in range(5):
            world.run(100.0)
            client.carry(packet(client.address, SERVER, 1))
        began = world.now
        assert client.up
        assert world.run_until(lambda: not client.up, within=400.0)
        assert world.now - began == pytest.approx(300.0, abs=2.0)
        assert client.down
        assert client.reason == "idle-timeout"


@pytest.mark.requirement("S3-24")
def test_0_never_ends_a_connection_for_lack_of_traffic() -> None:
    world = World(SEED)
    client = connected(world, keepalive=0)
    world.run(6 * 3600.0)
    assert client.up
    assert len(client.told("client.up")) == 1


@pytest.mark.requirement("S3-25")
def test_one_target_that_answers_is_enough() -> None:
    world = world_with(OTHER)
    with world.shown_if_wrong():
        client = connected(world, polling=(TARGET, OTHER), polling_interval=10, polling_retries=2)
        world.run(600.0)
        assert client.up
        assert not client.told("live.poll-missed")
        world.gateway.pingable.clear()
        missed = world.now
        assert world.run_until(lambda: client.down, within=20.0), "both are dead now"
        assert world.now - missed <= 13.0
        assert [told.fields["retries"] for told in client.told("live.poll-missed")] == [2, 1, 0]


@pytest.mark.requirement("S3-25")
def test_the_source_address_is_the_profiles() -> None:
    for source in ("", "40.1.1.7"):
        client = connected(world_with(TARGET), polling=(TARGET,), polling_source=source)
        assert [one.source for one in client.echoes] == [source or client.address]
