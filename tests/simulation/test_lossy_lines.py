"""A line that loses three packets of ten in each direction, and delays the rest by up to 200 ms:
keys are renewed over it again and again, and nobody has to log in anew."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from simulation.ends import ClientEnd
from simulation.network import Faults
from simulation.world import SERVER, Terms, World, packet, profile

LOSSY = Faults(loss=0.3, jitter=0.2)
LIFE = 600
TERMS = Terms(phase1_lifetime=2 * LIFE, phase2_lifetime=LIFE)
TRIES = 10
"""Logins over such a line; one of them succeeds, or something is never repeated."""
HOURS = 2 * 3600.0

PLAYED = 12
MANY = 300


def connected(world: World, *, reconnect: int) -> ClientEnd:
    kept = profile(phase1_lifetime=2 * LIFE, phase2_lifetime=LIFE, reconnect=reconnect)
    client = world.client(kept, behind=world.nat, faults=LOSSY)
    for _ in range(TRIES):
        client.connect()
        assert world.decided(client)
        if client.up:
            return client
    raise AssertionError(client.reason)


def talks(world: World, client: ClientEnd, *, every: float) -> None:
    """Both ends send something now and then."""
    until, number = world.now + HOURS, 0
    while world.now < until:
        number += 1
        if client.machine is not None:
            client.carry(packet(client.address, SERVER, number))
            world.gateway.carry(packet(SERVER, client.address, number))
        world.run(every)


def keeps_its_session(seed: int, *, every: float, reconnect: int) -> Counter[str]:
    """What it went through meanwhile."""
    world = World(seed, TERMS)
    with world.shown_if_wrong():
        client = connected(world, reconnect=reconnect)
        logins = client.codes().count("xauth.accepted")
        talks(world, client, every=every)
        assert client.up, client.reason
        assert client.codes().count("quick.rekeying") >= HOURS / LIFE
        assert client.codes().count("ike.renewed") >= HOURS / LIFE / 4
        assert client.told("client.reconnecting") == []
        assert client.codes().count("client.up") == 1
        assert logins == 1 or client.told("client.down")
        assert len(world.gateway.told("session.ended")) <= len(client.told("client.down"))
        assert world.passes_both_ways(client)
    return Counter(client.codes())


@pytest.mark.parametrize("seed", range(PLAYED))
def test_no_session_is_lost_in_renewals_of_one_who_would_come_back(seed: int) -> None:
    keeps_its_session(seed, every=5.0, reconnect=3600)


@pytest.mark.parametrize("seed", range(PLAYED))
def test_no_session_is_lost_in_renewals_of_one_who_would_not(seed: int) -> None:
    keeps_its_session(seed, every=5.0, reconnect=0)


@pytest.mark.parametrize("seed", range(PLAYED))
def test_no_session_is_lost_in_silence(seed: int) -> None:
    """Only questions whether the other end is alive, and keys that grow old."""
    keeps_its_session(seed, every=HOURS, reconnect=3600)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("reconnect", [0, 3600])
def test_no_session_of_many_is_lost(
    reconnect: int, record_property: Callable[[str, object], None]
) -> None:
    told: Counter[str] = Counter()
    for seed in range(PLAYED, PLAYED + MANY):
        told += keeps_its_session(seed, every=20.0, reconnect=reconnect)
    renewed = f"{told['quick.rekeying']} of phase 2 and {told['ike.renewed']} of phase 1"
    record_property(
        "figures",
        f"{MANY} sessions of {HOURS / 3600:.0f} hours, 30 % loss and 200 ms jitter: renewals"
        f" {renewed}, {told['ike.retransmit']} messages said again, 0 sessions lost",
    )
