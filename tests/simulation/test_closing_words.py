"""How a connection ends, in the words of the original client, whoever ends it (S0-21 to S0-26)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from culvert.client.pairs import SESSION
from culvert.effects import PairWorn
from culvert.eventlog.vocabulary import vocabulary
from culvert.ike.outputs import Output
from culvert.ike.peer import IkeSa
from culvert.session.ending import delete_text, ending
from simulation.certificates import gateway_vault, person_paper, person_vault
from simulation.ends import NATT_PORT, ClientEnd, End
from simulation.meddler import ike_sa
from simulation.test_configuration import world_of
from simulation.world import GATEWAY, GROUP, USERS, Terms, World, profile

LOCAL = "Secure VPN Connection terminated locally by the Client"
BY_PEER = f"Secure VPN Connection terminated by Peer {GATEWAY}"
NAME = USERS[0]
TIME = 300  # seconds of every limit here
Provoke = Callable[[World, ClientEnd], None]
ALERT = [
    pytest.param(True, id="told", marks=pytest.mark.requirement("S0-26", part="on")),
    pytest.param(False, id="kept back", marks=pytest.mark.requirement("S0-26", part="off")),
]
"""The gateway's switch, alert when disconnecting."""


def connected(world: World, **changes: Any) -> ClientEnd:
    client = world.client(profile(**changes), behind=world.nat)
    client.connect()
    assert world.decided(client)
    return client


def notices(client: ClientEnd) -> list[str]:
    """What its person was shown at once."""
    return [code for code in client.codes() if vocabulary()[code].notice]


def words_of(client: ClientEnd) -> tuple[str, ...]:
    (down,) = client.told("client.down")
    words = down.fields["words"]
    assert isinstance(words, tuple)
    return words


# --- who ended it ------------------------------------------------------------------------------


@pytest.mark.requirement("S0-21", part="writing")
def test_what_is_ended_here_opens_with_the_clients_words() -> None:
    world = World(1)
    client = connected(world)
    client.disconnect()
    world.run(5.0)
    assert words_of(client) == (LOCAL, f"Reason: {ending('by-user').sentence}")


@pytest.mark.requirement("S0-21", part="writing")
def test_what_fails_here_does_as_well() -> None:
    world = World(1)
    client = world.client(profile(), behind=world.nat)
    world.gateway.unplug()
    client.connect()
    assert world.decided(client)
    assert words_of(client) == (LOCAL, f"Reason: {ending('no-answer').sentence}")


def test_a_gateway_of_either_ip_version_is_named_by_its_address() -> None:
    world = World(1)
    client = connected(world)
    logout(world, client)
    assert words_of(client)[0] == BY_PEER


@pytest.mark.parametrize("natted", [True, False])
def test_the_status_still_says_by_what_an_ended_connection_went(natted: bool) -> None:
    world = World(1)
    client = world.client(profile(), behind=world.nat if natted else None)
    client.connect()
    assert world.decided(client)
    told = {key: client.core.snapshot[key] for key in ("transport", "tunnel_port")}
    assert tuple(told.values()) == (("nat-t", NATT_PORT) if natted else ("esp", 0))
    logout(world, client)
    assert client.down
    assert {key: client.core.snapshot[key] for key in told} == told


# --- every reason, told and kept back ----------------------------------------------------------


def logout(world: World, _: ClientEnd) -> None:
    (session,) = world.gateway.table
    world.gateway.do(world.gateway.core.logout(session.number, now=world.now))
    world.run(2.0)


def stopped(reason: str) -> Provoke:
    def stop(world: World, _: ClientEnd) -> None:
        world.gateway.do(world.gateway.core.shutdown(reason, now=world.now))
        world.run(2.0)

    return stop


def time_passes(world: World, _: ClientEnd) -> None:
    world.run(TIME + 10.0)


def lives_out(world: World, _: ClientEnd) -> None:
    """The gateway's clock reaches the end of the keys' life before that of the client."""
    core: Any = world.gateway.core

    def at_the_end(sa: IkeSa) -> list[Output]:
        sa.timers.set("life", world.now)
        return sa.tick(now=world.now)

    (number,) = core._clients
    world.gateway.do(core._carry(core._endpoint.act(number, at_the_end), world.now))
    world.run(2.0)


def says_nothing_more(world: World, client: ClientEnd) -> None:
    """What the client sends is lost; it hears well."""
    client.mute = True
    assert world.run_until(lambda: not len(world.gateway.table), within=600.0)
    world.run(2.0)


REASONS: dict[str, tuple[int, dict[str, Any], Provoke]] = {
    "peer-shutdown": (5, {}, stopped("peer-shutdown")),
    "peer-reboot": (9, {}, stopped("peer-reboot")),
    "by-administrator": (2, {}, logout),
    "max-connect-time": (7, {"max_connect_time": TIME}, time_passes),
    "idle-timeout": (8, {"idle_timeout": TIME}, time_passes),
    "lost-peer": (1, {}, says_nothing_more),
    "lifetime-expired": (3, {}, lives_out),
}


@pytest.mark.requirement("S0-22")
@pytest.mark.parametrize("alert", ALERT)
@pytest.mark.parametrize("reason", REASONS)
def test_the_gateways_switch_decides_whether_a_client_hears_why(reason: str, alert: bool) -> None:
    code, terms, provoke = REASONS[reason]
    world = World(1, Terms(alert=alert, **terms))
    client = connected(world, dpd_delay=0)
    with world.shown_if_wrong():
        provoke(world, client)
        assert client.down
        if alert:
            assert words_of(client) == (BY_PEER, f"Reason: {delete_text(code)}")
            assert client.reason == reason
        else:
            assert words_of(client) == (BY_PEER,)
            assert client.reason == "peer-deleted"
        (ended,) = world.gateway.told("session.ended")
        assert ended.fields["reason"] == reason


@pytest.mark.parametrize("alert", ALERT)
def test_a_client_without_the_firewall_wanted_is_told_so_or_only_sent_away(alert: bool) -> None:
    world = world_of(Terms(alert=alert), firewall="required")
    client = connected(world)
    with world.shown_if_wrong():
        assert client.down
        told = (f"Reason: {delete_text(11)}",) if alert else ()
        assert words_of(client) == (BY_PEER, *told)


@pytest.mark.parametrize("alert", ALERT)
def test_phase_2_that_cannot_be_agreed_on_is_told_in_the_protocols_own_way(alert: bool) -> None:
    """The notify NO-PROPOSAL-CHOSEN is part of quick mode, not a reason of a delete."""
    world = World(1, Terms(alert=alert))
    client = connected(world, phase2=("3des-md5",))
    assert client.down
    assert client.reason == "phase2-refused"
    assert words_of(client) == (BY_PEER, f"Reason: {ending('phase2-refused').sentence}")


@pytest.mark.parametrize("alert", ALERT)
def test_an_expired_certificate_is_refused_in_the_protocols_own_way(alert: bool) -> None:
    """Before phase 1 stands no delete can be proved; the gateway's own log names the reason."""
    terms = Terms(alert=alert, authentication=("rsa",), main_mode=True)
    world = World(1, terms, vault=gateway_vault(GATEWAY))
    late = replace(person_vault(NAME, GROUP), paper=person_paper(NAME, GROUP, expired=True))
    client = world.client(profile(authentication="rsa", exchange_mode="main"), vault=late)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.reason == "certificate-disputed"
        assert words_of(client) == (BY_PEER, f"Reason: {ending('certificate-disputed').sentence}")
        (refused,) = world.gateway.core.refusals
        assert refused.reason == "certificate-expired"
        assert all(
            "DWR" not in str(e.fields["payloads"]) for e in world.gateway.told("ike.sending")
        )


# --- peers that know no reasons ----------------------------------------------------------------


@pytest.mark.requirement("S0-25")
def test_a_client_that_knows_no_reasons_gets_a_plain_delete_and_shows_the_opening() -> None:
    world = World(1)
    client = connected(world)
    with world.shown_if_wrong():
        ike_sa(world.gateway).phase1.features -= {"culvert"}
        logout(world, client)
        assert words_of(client) == (BY_PEER,)
        assert payloads(client) == ["HASH", "DEL"]
        bad = {code for code in client.codes() if vocabulary()[code].severity <= 3}
        assert bad <= {"ike.weak"}


@pytest.mark.requirement("S0-25")
def test_a_gateway_that_knows_no_reasons_gets_a_plain_delete() -> None:
    world = World(1)
    client = connected(world)
    with world.shown_if_wrong():
        ike_sa(client).phase1.features -= {"culvert"}
        client.disconnect()
        world.run(5.0)
        assert payloads(world.gateway) == ["HASH", "DEL"]
        (ended,) = world.gateway.told("session.ended")
        assert (ended.fields["reason"], ended.fields["by_peer"]) == ("by-user", True)


def payloads(end: End) -> list[str]:
    """Of the last message that an end received."""
    last = end.told("ike.received")[-1]
    return [name.strip() for name in str(last.fields["payloads"]).split(",")]


# --- the three kinds ---------------------------------------------------------------------------


@pytest.mark.requirement("S0-24")
def test_a_deleted_pair_is_an_event_of_the_log_and_nothing_more() -> None:
    world = World(1)
    client = connected(world)
    with world.shown_if_wrong():
        (pair,) = ike_sa(world.gateway).pairs
        before = notices(client)
        client.wear(PairWorn(SESSION, 1))  # a second pair, and the first is about to go
        world.run(1.0)
        assert len(ike_sa(client).pairs) == 2
        (session,) = world.gateway.table
        world.gateway.wear(PairWorn(session.number, pair.number, spent=True))
        world.run(0.5)
        (heard,) = client.told("ike.delete-received")
        assert heard.fields["what"] == "IPsec SA"
        assert len(ike_sa(client).pairs) == 1
        assert notices(client) == before == ["client.up"]
        assert client.up
        assert world.passes_both_ways(client)


@pytest.mark.requirement("S0-24")
def test_who_ended_the_connection_is_told_apart() -> None:
    told: dict[str, tuple[str, ...]] = {}
    for who in ("client", "gateway"):
        world = World(1)
        client = connected(world)
        client.disconnect() if who == "client" else logout(world, client)
        world.run(5.0)
        told[who] = words_of(client)
        assert notices(client) == ["client.up", "client.down"]
    assert (told["client"][0], told["gateway"][0]) == (LOCAL, BY_PEER)
