"""Peers that have the group key, or even a login, and say anything at all, rightly sealed.

A group key is known to a whole group: what is inside a genuine seal is no better than what is not.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.negotiator import MOST_PAIRS
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import ConfigMessage
from culvert.ike.wire.header import AGGRESSIVE, INFORMATIONAL, QUICK, TRANSACTION
from culvert.ike.wire.identity import IPV4_ADDR_SUBNET, Identity
from culvert.ike.wire.notify import Delete, Notify
from culvert.ike.wire.payload import (
    ATTRIBUTES,
    DELETE,
    HASH,
    ID,
    KE,
    NAT_D,
    NAT_OA,
    NONCE,
    NOTIFY,
    SA,
    VENDOR_ID,
    Part,
)
from culvert.ike.wire.proposal import Proposal, SecurityAssociation, Transform
from culvert.ike.wire.reason import DELETE_WITH_REASON
from simulation.ends import NON_ESP_MARKER, ClientEnd
from simulation.meddler import ike_sa, sealed
from simulation.plugin import examples
from simulation.world import GATEWAY, World

SEED = 1
KINDS = (SA, KE, ID, HASH, NONCE, NOTIFY, DELETE, VENDOR_ID, ATTRIBUTES, NAT_D, NAT_OA)

octets = st.binary(max_size=40)
small = st.integers(0, 20)
u8, u16, u32 = st.integers(0, 255), st.integers(0, 65_535), st.integers(0, 2**32 - 1)

attributes = st.one_of(
    st.builds(Attribute.of, st.one_of(small, u16.map(lambda n: n & 0x7FFF)), u32),
    st.builds(
        Attribute.octets,
        st.one_of(small, st.integers(16_500, 16_530), st.integers(28_670, 28_690)),
        octets,
    ),
)
transforms = st.builds(
    Transform, u8, st.one_of(small, u8), st.lists(attributes, max_size=8).map(tuple)
)
proposals = st.builds(
    Proposal,
    small,
    st.integers(0, 5),
    st.one_of(st.binary(min_size=4, max_size=4), octets),
    st.lists(transforms, min_size=1, max_size=4).map(tuple),
)
identities = st.one_of(
    st.builds(Identity, u8, octets, st.one_of(small, u8), u16),
    st.builds(Identity, st.sampled_from((1, 4, 5, 6, 7, 8)), octets, u8, u16),
    st.builds(lambda d: Identity(4, d), st.binary(min_size=8, max_size=8)),
    st.builds(lambda d: Identity(1, d), st.binary(min_size=4, max_size=4)),
)
LEASED = st.just(Identity.of_address("40.1.1.1"))
EVERYTHING = st.just(Identity(IPV4_ADDR_SUBNET, bytes(8)))
notifies = st.builds(
    Notify,
    st.one_of(u16, st.sampled_from((14, 18, 24, 24_576, 24_578, 36_136, 36_137, 40_500))),
    st.integers(0, 5),
    st.one_of(st.binary(min_size=16, max_size=16), octets),
    octets,
)
deletes = st.builds(
    Delete,
    st.integers(0, 5),
    st.one_of(
        st.lists(st.binary(min_size=4, max_size=4), max_size=5).map(tuple),
        st.lists(st.binary(min_size=16, max_size=16), max_size=2).map(tuple),
    ),
)
configs = st.builds(
    ConfigMessage, st.integers(0, 6), u16, st.lists(attributes, max_size=8).map(tuple)
)
parts = st.one_of(
    st.builds(Part, st.one_of(st.sampled_from(KINDS), u8.filter(bool)), octets),
    st.lists(proposals, min_size=1, max_size=3).map(
        lambda listed: Part(SA, SecurityAssociation(tuple(listed)).to_bytes())
    ),
    identities.map(Identity.part),
    notifies.map(Notify.part),
    deletes.map(Delete.part),
    configs.map(ConfigMessage.part),
    st.builds(Part, st.just(NONCE), st.binary(min_size=8, max_size=64)),
    st.builds(Part, st.just(KE), st.binary(min_size=128, max_size=128)),
    st.builds(Part, st.just(DELETE_WITH_REASON), st.binary(max_size=60)),
)
quick = st.tuples(
    st.lists(proposals, min_size=1, max_size=3).map(
        lambda listed: Part(SA, SecurityAssociation(tuple(listed)).to_bytes())
    ),
    st.builds(Part, st.just(NONCE), st.binary(min_size=8, max_size=64)),
    st.one_of(LEASED, EVERYTHING, identities).map(Identity.part),
    st.one_of(EVERYTHING, LEASED, identities).map(Identity.part),
)
messages = st.one_of(
    st.tuples(
        st.sampled_from((INFORMATIONAL, TRANSACTION, QUICK, AGGRESSIVE)),
        st.lists(parts, min_size=1, max_size=6).map(tuple),
        st.booleans(),
    ),
    st.tuples(st.just(QUICK), quick, st.just(True)),
    st.tuples(
        st.just(TRANSACTION),
        st.tuples(configs.map(ConfigMessage.part)),
        st.booleans(),
    ),
    st.tuples(st.just(INFORMATIONAL), st.tuples(notifies.map(Notify.part)), st.just(True)),
    st.tuples(st.just(INFORMATIONAL), st.tuples(deletes.map(Delete.part)), st.just(True)),
)
Said = list[tuple[int, tuple[Part, ...], bool]]

UNTIL = ("ike.phase1-established", "xauth.answered", "config.requested", "client.up")


def brought_to(step: str) -> tuple[World, ClientEnd]:
    """A client and a gateway at this point of their conversation."""
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.connect()
    assert world.run_until(lambda: step in client.codes(), within=5.0)
    world.run(0.05)
    return world, client


@pytest.mark.parametrize("step", UNTIL)
def test_a_gateway_survives_whatever_a_client_seals(step: str) -> None:
    @given(st.lists(messages, min_size=1, max_size=6))
    @examples(30)
    def holds(said: Said) -> None:
        world, client = brought_to(step)
        gateway, source = world.gateway, ike_sa(world.gateway).path.remote
        known = known_id(client)
        sealed_messages = [
            sealed(client, exchange, chain, message_id=0 if fresh else known)
            for exchange, chain, fresh in said
        ]
        for message in sealed_messages:
            gateway.datagram(NON_ESP_MARKER + message, source, (GATEWAY, 4500))
            world.run(0.1)
        client.unplug()
        world.run(400.0)
        assert [left for left in world.left_over() if left.startswith("gateway")] == []

    holds()


@pytest.mark.parametrize("step", UNTIL)
def test_a_client_survives_whatever_a_gateway_seals(step: str) -> None:
    @given(st.lists(messages, min_size=1, max_size=6))
    @examples(30)
    def holds(said: Said) -> None:
        world, client = brought_to(step)
        assert client.link is not None
        if not len(endpoint_of(world.gateway)):
            return
        known = known_id(client)
        sealed_messages = [
            sealed(world.gateway, exchange, chain, message_id=0 if fresh else known)
            for exchange, chain, fresh in said
        ]
        for message in sealed_messages:
            client.datagram(NON_ESP_MARKER + message, (GATEWAY, 4500), (client.link.address, 4500))
            world.run(0.1)
        world.gateway.unplug()
        assert world.run_until(lambda: client.down, within=400.0)
        world.run(10.0)
        assert [left for left in world.left_over() if left.startswith("C1")] == []

    holds()


def endpoint_of(end: Any) -> Any:
    return end.core._endpoint


def known_id(client: ClientEnd) -> int:
    """The message id of an exchange of this client, finished or not."""
    seen = [e.fields["message_id"] for e in client.told("ike.received")]
    return int(str(seen[-1])) or 1


def test_one_client_cannot_have_pairs_without_end() -> None:
    """Quick mode after quick mode for the same networks, and never a delete."""
    world, client = brought_to("client.up")
    core: Any = client.core
    (pair,) = ike_sa(client).pairs
    for _ in range(3 * MOST_PAIRS):
        asked = core._endpoint.act(
            core._sa, lambda sa: sa.start_quick(pair.local, pair.remote, now=world.now)
        )
        client.do(core._carry(asked, world.now))
        world.run(0.3)
    assert len(ike_sa(world.gateway).pairs) == MOST_PAIRS
    assert len(endpoint_of(world.gateway).spis) == MOST_PAIRS
    assert world.gateway.core.refused_datagrams["unexpected"] >= 2 * MOST_PAIRS
    assert client.up
    assert world.passes_both_ways(client, within=1.0)
    client.unplug()
    world.run(400.0)
    assert [left for left in world.left_over() if left.startswith("gateway")] == []
