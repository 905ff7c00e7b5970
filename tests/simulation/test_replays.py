"""Replays: what was sent once and comes again changes nothing, from wherever it comes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from culvert.ike.farewells import TIMES
from culvert.ike.retransmit import REPEAT_AFTER
from culvert.inet.address import Address
from simulation.ends import ClientEnd, End
from simulation.journal import Seen
from simulation.target import STRANGER
from simulation.world import GATEWAY, World

SEED = 1


def connected(world: World) -> ClientEnd:
    client = world.client(behind=world.nat)
    client.connect()
    assert world.decided(client)
    assert world.passes_both_ways(client)
    return client


def received(world: World, end: End) -> list[tuple[bytes, Address]]:
    """Everything that reached this end so far, with the port it came to."""
    return [
        (seen.octets, (GATEWAY, seen.to[1]))
        for seen in world.network.seen
        if any(name == end.name for _, name in seen.arrivals)
    ]


def condition(world: World) -> dict[str, Any]:
    """What a replay must not change."""
    gateway: Any = world.gateway.core
    endpoint = gateway._endpoint
    return {
        "SAs": len(endpoint) - endpoint.half_open,
        "SPIs": sorted(endpoint.spis._used),
        "sessions": [
            (s.number, s.user, s.assigned, s.public, s.state) for s in world.gateway.table
        ],
        "leases": [list(pool.leases()) for pool in gateway._sessions.pools.values()],
        "closed": len(world.gateway.table.closed),
        "inside": len(world.gateway.inside),
        "peers": [s.peer for s in vars(world.gateway.plane)["_sessions"].values()],
        "phases": [sa.phase for sa in endpoint._sas.values() if not sa.half_open],
    }


def test_every_message_of_a_session_again_changes_nothing() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        source = next(iter(world.gateway.table)).public
        before = condition(world)
        messages = received(world, world.gateway)
        assert len(messages) >= 7
        for _ in range(3):
            for octets, to in messages:
                for sender in (source, STRANGER, (source[0], 9)):
                    world.gateway.datagram(octets, sender, to)
                    world.run(0.01)
        assert condition(world) == before
        assert world.passes_both_ways(client, within=1.0)
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


def test_every_message_of_a_session_again_changes_nothing_at_the_client() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        assert client.link is not None
        inside, told = len(client.inside), client.codes().count("quick.established")
        messages = [
            (seen.octets, seen.source, seen.to[1])
            for seen in world.network.seen
            if any(name == client.name for _, name in seen.arrivals)
        ]
        for _ in range(3):
            for octets, source, _ in messages:
                port = 4500 if source[1] == 4500 else 500
                for sender in (source, STRANGER):
                    client.datagram(octets, sender, (client.link.address, port))
                    world.run(0.01)
        assert len(client.inside) == inside
        assert client.codes().count("quick.established") == told
        assert client.up
        assert world.passes_both_ways(client, within=1.0)


def test_a_repeat_gets_the_answer_it_got_and_not_more_often_than_is_useful() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        connected(world)
        source = next(iter(world.gateway.table)).public
        seconds = 10.0
        answers: Counter[bytes] = Counter()
        for octets, to in received(world, world.gateway):
            before = len(world.gateway.sent)
            for _ in range(int(seconds / 0.05)):
                world.gateway.datagram(octets, source, to)
                world.run(0.05)
            told = Counter(message for _, message, _ in world.gateway.sent[before:])
            own = {m: n for m, n in told.items() if any(m == s.octets for s in earlier(world))}
            assert len(own) <= 1, "one stored answer"
            assert sum(own.values()) <= 1 + seconds / REPEAT_AFTER
            answers.update(own)
        assert len(answers) >= 2


def earlier(world: World) -> list[Seen]:
    """What the gateway had sent while the session was set up."""
    return [s for s in world.network.seen if s.name == world.gateway.name and s.at < 1.0]


def test_a_session_that_is_over_stays_over_whatever_is_played_back() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        source = next(iter(world.gateway.table)).public
        messages = received(world, world.gateway)
        client.disconnect()
        world.run(5.0)
        before, sent = condition(world), len(world.gateway.sent)
        for _ in range(20):
            for octets, to in messages:
                for sender in (source, STRANGER):
                    world.gateway.datagram(octets, sender, to)
                    world.run(0.1)
        assert condition(world) == before
        answers = Counter(message for _, message, _ in world.gateway.sent[sent:])
        # The first message is as good as new and is answered, anew each half-open time.
        assert len(answers) <= 1 + TIMES
        world.run(60.0)
        assert world.left_over() == []


def test_a_gateway_without_memory_takes_nothing_of_an_old_session() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        connected(world)
        source = next(iter(world.gateway.table)).public
        messages = received(world, world.gateway)
        world.gateway.reboot()
        for octets, to in messages:
            world.gateway.datagram(octets, source, to)
            world.run(0.1)
        assert len(world.gateway.table) == 0
        assert world.gateway.plane.refused["unknown-spi"] >= 1
        assert "ike.phase1-established" not in world.gateway.codes()[-40:]


def test_a_replay_of_the_goodbye_does_not_end_the_next_session() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = connected(world)
        source = next(iter(world.gateway.table)).public
        client.disconnect()
        world.run(1.0)
        messages = received(world, world.gateway)
        client.connect()
        assert world.decided(client)
        for octets, to in messages:
            world.gateway.datagram(octets, source, to)
            world.run(0.01)
        assert world.passes_both_ways(client, within=1.0)
        assert len(world.gateway.table) == 1
