"""A lease through the tunnel: asked for, repeated, renewed, refused and lost."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address
from itertools import pairwise
from math import inf

from culvert.client.lease import QUESTIONS, Lease, hardware_of
from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage
from culvert.rng import SeededRandom

MAC = hardware_of("192.0.2.1", "ann")
OWN, LEASED = "10.10.10.2", "40.1.1.65"


def begun() -> Lease:
    return Lease(MAC, OWN, SeededRandom(1), now=0.0)


def asked(lease: Lease, now: float) -> DhcpMessage:
    return DhcpMessage.parse(lease.send(now))


def reply(to: DhcpMessage, kind: int, address: str = LEASED, seconds: int = 600) -> DhcpMessage:
    options = {
        dhcp.SERVER: bytes((192, 0, 2, 1)),
        dhcp.LEASE_TIME: seconds.to_bytes(4, "big"),
        dhcp.DNS: bytes((192, 0, 2, 53, 192, 0, 2, 54, 9)),
        dhcp.DOMAIN: b"corp.test\x00",
    }
    given = IPv4Address(address)
    return DhcpMessage(dhcp.REPLY, kind, to.number, to.hardware, yours=given, options=options)


def leased(seconds: int = 600) -> Lease:
    lease = begun()
    assert not lease.heard(reply(asked(lease, 0.0), dhcp.OFFER).write(), 0.1)
    assert lease.deadline == 0.1, "the offer is taken at once"
    wanted = asked(lease, 0.1)
    assert (wanted.kind, wanted.options[dhcp.WANTED_ADDRESS]) == (
        dhcp.ASK,
        IPv4Address(LEASED).packed,
    )
    assert lease.heard(reply(wanted, dhcp.ACK, seconds=seconds).write(), 0.2)
    return lease


def test_the_offer_is_asked_for_and_what_comes_with_it_is_given() -> None:
    given = leased().given
    assert (given.address, given.domain) == (LEASED, "corp.test")
    assert given.dns == ("192.0.2.53", "192.0.2.54")


def test_the_hardware_is_the_same_for_the_same_person_there_only() -> None:
    assert hardware_of("192.0.2.1", "ann") == MAC
    assert (MAC[0], len(MAC)) == (0x40, 6)
    assert len({MAC, hardware_of("192.0.2.1", "bob"), hardware_of("192.0.2.2", "ann")}) == 3


def test_silence_is_met_with_ever_rarer_questions_and_then_given_up() -> None:
    lease, at = begun(), []
    while lease.deadline < inf:
        at.append(lease.deadline)
        lease.send(lease.deadline)
    assert lease.lost
    assert len(at) == QUESTIONS + 1
    waits = [after - before for before, after in pairwise(at)]
    assert waits == sorted(waits)


def test_what_was_refused_is_not_lent_by_a_later_word() -> None:
    lease = begun()
    assert not lease.heard(reply(asked(lease, 0.0), dhcp.OFFER).write(), 0.1)
    wanted = asked(lease, 0.1)
    assert not lease.heard(reply(wanted, dhcp.NAK).write(), 0.2)
    assert not lease.heard(reply(wanted, dhcp.ACK).write(), 0.3)
    assert (lease.lost, lease.deadline, lease.given.address) == (True, inf, "")


def test_others_answers_and_answers_to_nothing_are_passed_over() -> None:
    lease = begun()
    question = asked(lease, 0.0)
    offer = reply(question, dhcp.OFFER)
    for wrong in (
        replace(offer, number=offer.number ^ 1),
        replace(offer, hardware=b"other."),
        replace(offer, operation=dhcp.REQUEST),
        replace(offer, kind=dhcp.ACK),
    ):
        assert not lease.heard(wrong.write(), 0.1)
    assert not lease.heard(b"noise", 0.1)
    assert lease.deadline == 1.0, "the first question still stands"


def test_it_is_renewed_at_half_time_and_lost_at_its_end() -> None:
    lease = leased(seconds=600)
    assert lease.deadline == 300.2
    renewal = asked(lease, 300.2)
    assert (renewal.kind, str(renewal.client)) == (dhcp.ASK, LEASED)
    assert lease.heard(reply(renewal, dhcp.ACK).write(), 300.3)
    assert lease.deadline == 600.3
    while not lease.lost:
        lease.send(lease.deadline)
    assert lease.deadline == inf


def test_a_refused_renewal_ends_it() -> None:
    lease = leased()
    renewal = asked(lease, 300.2)
    assert not lease.heard(reply(renewal, dhcp.NAK).write(), 300.3)
    assert lease.lost
