"""Forgeries by somebody who sees the cookies but has no key: hints at most, never the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.ike.peer import DOUBT
from culvert.ike.wire.header import AGGRESSIVE, INFORMATIONAL, NO_COOKIE, Header
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import (
    AUTHENTICATION_FAILED,
    INITIAL_CONTACT,
    NO_PROPOSAL_CHOSEN,
    R_U_THERE,
    UNSUPPORTED_EXCHANGE_TYPE,
    Delete,
    Notify,
)
from culvert.ike.wire.payload import HASH, Chain, Part, first_kind
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_ISAKMP
from simulation.meddler import Meddler
from simulation.network import Faults
from simulation.target import STRANGER
from simulation.world import World

SEED = 1


def clear_notes(octets: bytes) -> Iterator[bytes]:
    """Everything one could say in clear with the cookies of a message that passes by."""
    header = parse_header(octets)
    cookies = octets[:16]
    said: list[Chain] = [
        (Notify(kind, protocol, spi, data).part(),)
        for kind in (
            NO_PROPOSAL_CHOSEN,
            AUTHENTICATION_FAILED,
            UNSUPPORTED_EXCHANGE_TYPE,
            INITIAL_CONTACT,
            R_U_THERE,
        )
        for protocol in (PROTO_ISAKMP, PROTO_ESP)
        for spi in (b"", cookies)
        for data in (b"", bytes(4))
    ]
    said += [
        (Delete(PROTO_ISAKMP, (cookies,)).part(),),
        (Delete(PROTO_ESP, (bytes(4),)).part(),),
        (Part(HASH, bytes(20)), Delete(PROTO_ISAKMP, (cookies,)).part()),
    ]
    for parts in said:
        head = Header(header.cookie_i, header.cookie_r, first_kind(parts), INFORMATIONAL, 0, 0)
        yield clear_message(head, parts)
        for message_id in (1, 0xFFFFFFFF):
            made = bytearray(clear_message(head, parts))
            made[20:24] = message_id.to_bytes(4, "big")
            yield bytes(made)


@pytest.mark.parametrize("source", [None, STRANGER], ids=["peer's address", "own address"])
@pytest.mark.parametrize("where", ["gateway", "client"])
def test_notes_in_clear_tear_nothing_down(where: str, source: tuple[str, int] | None) -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        end = client if where == "client" else world.gateway
        meddler = Meddler(end, clear_notes, source)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        world.run(70.0)
        assert world.passes_both_ways(client, within=1.0)
        assert meddler.thrown > 300
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


def forged_answers(octets: bytes) -> Iterator[bytes]:
    """Answers to message 1 by somebody without the key, made from the genuine one."""
    header = parse_header(octets)
    if header.exchange != AGGRESSIVE or header.cookie_r == NO_COOKIE or header.encrypted:
        return
    parts = clear_body(octets, header)
    for kind in (HASH, 4, 10):
        changed = tuple(
            [Part(p.kind, b"\x11" * len(p.body)) if p.kind == kind else p for p in parts]
        )
        yield clear_message(header, changed)
        other = Header(header.cookie_i, b"attacker", header.next_payload, AGGRESSIVE, 0, 0)
        yield clear_message(other, changed)


def test_a_forged_answer_does_not_keep_the_genuine_one_from_being_taken() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        meddler = Meddler(client, forged_answers)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert meddler.thrown >= 6
        assert world.passes_both_ways(client, within=1.0)


@pytest.mark.parametrize("later", [0.1, 0.5, 0.9 * DOUBT])
def test_the_genuine_answer_counts_if_it_comes_within_the_second(later: float) -> None:
    """The forger is nearer than the gateway."""
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat, faults=Faults(delay=later / 2))
        assert client.link is not None
        client.connect()
        world.run_until(lambda: bool(world.gateway.sent), within=later)
        _, genuine, _ = world.gateway.sent[0]
        for octets in forged_answers(genuine):
            client.datagram(octets, (STRANGER[0], 500), (client.link.address, 500))
        assert world.decided(client)
        assert client.up, client.reason


def test_a_forged_answer_alone_ends_the_attempt_with_its_cause() -> None:
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        assert client.link is not None
        client.connect()
        world.run_until(lambda: bool(world.gateway.sent), within=1.0)
        world.gateway.unplug()
        client.link.drops = lambda _: True
        _, genuine, _ = world.gateway.sent[0]
        octets = next(forged_answers(genuine))
        client.datagram(octets, (STRANGER[0], 500), (client.link.address, 500))
        asked = world.now
        assert world.decided(client)
        assert client.reason == "group-mismatch"
        assert world.now <= asked + DOUBT


def test_who_forges_a_complaint_about_the_key_only_names_a_cause() -> None:
    """AUTHENTICATION-FAILED in clear, while the gateway waits for a proof that then comes."""
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        client.connect()
        world.run_until(lambda: bool(world.gateway.sent), within=1.0)
        header = parse_header(world.gateway.sent[0][1])
        notify = (Notify(AUTHENTICATION_FAILED, PROTO_ISAKMP).part(),)
        head = Header(header.cookie_i, header.cookie_r, first_kind(notify), INFORMATIONAL, 0, 0)
        world.gateway.datagram(clear_message(head, notify), STRANGER, ("172.16.172.50", 500))
        assert len(world.gateway.core.refusals) == 1, "listed as soon as it is said"
        assert world.decided(client)
        assert client.up
        assert not world.gateway.core.refusals, "and taken back when the key was proved"


def test_a_refusal_that_brings_no_cookie_of_the_refusers_is_heard() -> None:
    """As libreswan refuses a first message: it keeps nothing, so it draws no cookie."""
    world = World(SEED)
    with world.shown_if_wrong():
        client = world.client(behind=world.nat)
        assert client.link is not None
        client.connect()
        world.run_until(lambda: bool(world.gateway.sent), within=1.0)
        world.gateway.unplug()
        client.link.drops = lambda _: True
        asked = world.now
        header = parse_header(world.gateway.sent[0][1])
        notify = (Notify(NO_PROPOSAL_CHOSEN, PROTO_ISAKMP).part(),)
        head = Header(header.cookie_i, NO_COOKIE, first_kind(notify), INFORMATIONAL, 0, 0)
        refusal = clear_message(head, notify)
        client.datagram(refusal, ("172.16.172.50", 500), (client.link.address, 500))
        assert world.decided(client)
        assert client.reason == "proposal-refused"
        assert world.now <= asked + DOUBT
