"""Who ends a connection, what the other end is told of it, and what ends no connection at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from culvert.client import joint, settings
from culvert.ike import vendor
from culvert.session.ending import ending
from simulation.ends import ClientEnd, End
from simulation.world import GATEWAY, Terms, World, configuration, profile

SEED = 26
OPENING = f"Secure VPN Connection terminated by Peer {GATEWAY}"
REASON_PAYLOAD = "DWR"
EXCHANGE_AT, AGGRESSIVE = 18, 4  # of an ISAKMP header on port 500
ALERTS = [
    pytest.param(True, marks=pytest.mark.requirement("S0-26", part="on")),
    pytest.param(False, marks=pytest.mark.requirement("S0-26", part="off")),
]


def world_of(*, alerts: bool = True, group: dict[str, Any] | None = None, **terms: Any) -> World:
    """A gateway that tells why it ends a session, or does not."""
    world = World(SEED)
    before = configuration(Terms(**terms))
    groups = tuple([replace(each, **(group or {})) for each in before.live.groups])
    live = replace(before.live, groups=groups, alert_when_disconnecting=alerts)
    world.gateway.config = replace(before, live=live)
    world.gateway.reboot()
    return world


def connected(world: World, **changes: Any) -> ClientEnd:
    client = world.client(profile(**changes))
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    return client


def words(client: ClientEnd) -> tuple[str, ...]:
    """The closing message of the last connection."""
    said = client.told("client.down")[-1].fields["words"]
    assert isinstance(said, list | tuple)
    return tuple(map(str, said))


def reasons_sent(end: End) -> list[str]:
    """Messages of this end that carry a reason."""
    sent = [str(each.fields["payloads"]) for each in end.told("ike.sending")]
    return [payloads for payloads in sent if REASON_PAYLOAD in payloads]


# --- reasons a gateway ends a session for ------------------------------------------------------


def logged_out(world: World) -> None:
    (session,) = world.gateway.table
    world.gateway.do(world.gateway.core.logout(session.number, now=world.now))


def shut_down(world: World) -> None:
    world.gateway.do(world.gateway.core.shutdown(now=world.now))


def time_passes(world: World) -> None:
    world.run(1000.0)


Way = tuple[str, dict[str, Any], Callable[[World], None]]
WAYS: list[Way] = [
    ("by-administrator", {}, logged_out),
    ("peer-shutdown", {}, shut_down),
    ("max-connect-time", {"max_connect_time": 60}, time_passes),
    ("idle-timeout", {"idle_timeout": 60}, time_passes),
]


@pytest.mark.requirement("S0-22")
@pytest.mark.requirement("S4-46", part="longest and idle time")
@pytest.mark.parametrize("alerts", ALERTS)
@pytest.mark.parametrize(("reason", "terms", "happens"), WAYS)
def test_a_client_is_told_why_unless_the_gateways_alerts_are_off(
    reason: str, terms: dict[str, Any], happens: Callable[[World], None], alerts: bool
) -> None:
    world = world_of(alerts=alerts, **terms)
    with world.shown_if_wrong():
        client = connected(world)
        happens(world)
        assert world.run_until(lambda: client.down, within=30.0)
        assert bool(reasons_sent(world.gateway)) == alerts
        assert world.gateway.told("session.ended")[-1].fields["reason"] == reason
        if alerts:
            text = ending(reason).delete_text
            assert client.reason == reason
            assert words(client) == (OPENING, f"Reason: {text}")
        else:
            assert client.reason == "peer-deleted"
            assert words(client) == (OPENING,)


@pytest.mark.parametrize("alerts", ALERTS)
def test_the_end_of_a_life_is_told_as_the_alerts_say(alerts: bool) -> None:
    world = world_of(alerts=alerts, phase1_lifetime=300)
    with world.shown_if_wrong():
        client = connected(world)
        assert client.link is not None
        client.link.drops = lambda seen: seen.octets[EXCHANGE_AT] == AGGRESSIVE  # no renewal
        world.run(295.0)
        client.unplug()  # too late to be missed; its own clock would be first
        assert world.run_until(lambda: not len(world.gateway.table), within=10.0)
        ended = world.gateway.told("session.ended")[-1]
        assert ended.fields["reason"] == "lifetime-expired"
        assert bool(reasons_sent(world.gateway)) == alerts


@pytest.mark.parametrize("alerts", ALERTS)
def test_a_missing_firewall_is_told_as_the_alerts_say(alerts: bool) -> None:
    world = world_of(alerts=alerts, group={"firewall": "required"})
    with world.shown_if_wrong():
        client = world.client(profile())
        client.connect()
        assert world.decided(client)
        assert client.down
        assert bool(reasons_sent(world.gateway)) == alerts
        assert client.reason == ("firewall-mismatch" if alerts else "peer-deleted")


# --- peers that know no reasons ----------------------------------------------------------------


@pytest.mark.parametrize("by_gateway", [True, False])
@pytest.mark.requirement("S0-25")
def test_a_peer_that_announces_no_reasons_gets_and_gives_a_plain_delete(
    by_gateway: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    announcing = vendor.announcing
    monkeypatch.setattr(
        vendor, "announcing", lambda wanted: announcing([f for f in wanted if f != "culvert"])
    )
    world = world_of()
    with world.shown_if_wrong():
        client = connected(world)
        logged_out(world) if by_gateway else client.disconnect()
        assert world.run_until(lambda: client.down and not len(world.gateway.table), within=30.0)
        assert reasons_sent(world.gateway) == reasons_sent(client) == []
        for end in (client, world.gateway):
            assert end.told("ike.delete-sent") or end.told("ike.delete-received")
            assert not end.told("ike.datagram-refused")
        if by_gateway:
            assert words(client) == (OPENING,)
        else:
            assert client.reason == "by-user"


@pytest.mark.parametrize(
    ("application", "deleted"),
    [
        ("Cisco Systems VPN Client 0.5.3+git20220927-1:Linux", ["IKE SA"]),
        ("Cisco Systems VPN Client 4.8.01 (0300):WinNT", ["IPsec SA", "IKE SA"]),
    ],
)
def test_who_asks_anew_when_a_pair_is_deleted_hears_of_the_end_alone(
    application: str, deleted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = settings.settings_of
    monkeypatch.setattr(
        joint,
        "settings_of",
        lambda *told, **more: replace(made(*told, **more), application=application),
    )
    world = world_of()
    with world.shown_if_wrong():
        client = connected(world)
        before = len(world.gateway.told("ike.delete-sent"))
        logged_out(world)
        assert world.run_until(lambda: client.down, within=30.0)
        sent = world.gateway.told("ike.delete-sent")[before:]
        assert [each.fields["what"] for each in sent] == deleted


# --- what ends no connection -------------------------------------------------------------------


@pytest.mark.requirement("S0-24")
def test_a_delete_of_one_of_two_pairs_is_only_an_event_in_the_log() -> None:
    world = world_of()
    with world.shown_if_wrong():
        client = connected(world, use_two_phase2=True)
        world.run(5.0)
        inbound = {
            int(str(e.fields["spi_in"]), 16) for e in world.gateway.told("quick.established")
        }
        assert len(inbound) == 2
        core: Any = world.gateway.core
        (number,) = core._clients
        before = len(client.told("quick.removed"))
        core_pairs = [pair.number for pair in core._endpoint.get(number).pairs]

        def delete(sa: Any) -> Any:
            pair = sa.pairs.get(core_pairs[0])
            sa.informational.delete_pair(pair.inbound_spi)
            sa.remove_pair(pair.number)
            return sa._done()

        world.gateway.do(core._carry(core._endpoint.act(number, delete), world.now))
        world.run(5.0)
        (heard,) = client.told("ike.delete-received")
        assert heard.fields["what"] == "IPsec SA"
        assert len(client.told("quick.removed")) == before + 1
        assert client.told("client.down") == []
        assert client.up
        # What went through that pair has one again, and the log says why.
        assert len(client.told("client.pair-missing")) == 1
        assert client.core.snapshot["state"] == "up"
        assert len(core._endpoint.get(number).pairs) == 2
        assert world.passes_both_ways(client)
