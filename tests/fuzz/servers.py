"""What servers behind the tunnel reply, DHCP and DNS; and captures, which hold anybody's packets.

    replies     which (1), then for DNS the message, for DHCP pieces behind FE FF FE FF, each:
                kind of message (1), address lent (1), options

A DHCP reply has the head of one that the client waits for, so that the fuzzer works behind it.
"""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from ipaddress import IPv4Address
from math import inf

from culvert.client.lease import Lease, hardware_of
from culvert.errors import ConfigError, WireError
from culvert.explain import capture
from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage
from culvert.inet.dns import DnsMessage, question, within
from culvert.rng import SeededRandom

OURS = "192.0.2.7"
BETWEEN = b"\xfe\xff\xfe\xff"
MOST_REPLIES = 12
STEPS = 40
"""Questions that a lease may ask afterwards: those of a whole attempt, and more."""


def replies(octets: bytes) -> None:
    """A reply is taken or refused; one that is taken, written again, says the same."""
    if octets[:1] < b"\x80":
        _dhcp(octets[1:])
        _leased(octets[1:].split(BETWEEN)[:MOST_REPLIES])
    else:
        _dns(octets[1:])


def _dhcp(octets: bytes) -> None:
    try:
        message = DhcpMessage.parse(octets)
    except WireError as error:
        assert 0 <= error.offset <= len(octets)
        return
    assert DhcpMessage.parse(message.write()) == message


def _leased(said: list[bytes]) -> None:
    """A client that is lent an address, or not, and comes to an end of its questions."""
    now = 0.0
    lease = Lease(hardware_of("gateway", "ann"), OURS, SeededRandom(1), now=now)
    asked = DhcpMessage.parse(lease.send(now))
    for piece in said:
        if lease.deadline <= now and (octets := lease.send(now)):
            asked = DhcpMessage.parse(octets)
        over = lease.lost
        began = lease.heard(_reply(asked, piece), now)
        assert not began or (lease.given.address and now < lease.deadline < inf)
        assert lease.lost or not over, "what was lost stays lost"
        assert not (began and over)
        now += 1.0
    for _ in range(STEPS):
        if lease.lost:
            assert lease.deadline == inf
            return
        before, now = now, max(lease.deadline, now)
        sent = lease.send(now)
        assert not sent or DhcpMessage.parse(sent).hardware == lease.hardware
        assert lease.deadline > before
    assert lease.given.address, "without a lease it ends by itself"


def _reply(asked: DhcpMessage, piece: bytes) -> bytes:
    kind, lent, options = piece[:1], piece[1:2], piece[2:]
    head = replace(
        asked,
        operation=dhcp.REPLY,
        kind=int.from_bytes(kind, "big"),
        yours=IPv4Address(0x0A000000 + int.from_bytes(lent, "big") if lent else 0),
        options={},
    )
    return head.write()[:-1] + options


def _dns(octets: bytes) -> None:
    try:
        message = DnsMessage.parse(octets)
    except WireError as error:
        assert 0 <= error.offset <= len(octets)
        return
    assert message.code < 16
    name = message.name
    if name.isascii() and all(name.split(".")):
        assert within(name, (name,))
        assert within(f"www.{name}", (name,))
        asked = DnsMessage.parse(question(message.number, name, message.kind))
        assert (asked.number, asked.name, asked.kind) == (message.number, name, message.kind)
        assert not asked.response


def captures(octets: bytes) -> None:
    """A capture file: told as far as it can be read, every line of it fit to be read."""
    try:
        for line in capture.lines(BytesIO(octets)):
            assert "\n" not in line
    except ConfigError:
        return
