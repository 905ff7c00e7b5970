"""Two endpoints and messages that are padded oddly, forged, lost, or come twice."""

from __future__ import annotations

import pytest

from culvert.ike.channel import Channel
from culvert.ike.outputs import CheckPerson, Over
from culvert.ike.wire.header import INFORMATIONAL, Header
from culvert.ike.wire.message import parse_header
from culvert.ike.wire.notify import ALTIGA_KEEPALIVE, Delete, Notify
from culvert.ike.wire.payload import Part, join_chain
from culvert.ike.wire.proposal import PROTO_ISAKMP
from culvert.inet.address import Path
from ike.ends import GATEWAY, Ends, assert_both_carry, up


def sealed_with_padding(channel: Channel, message_id: int, padding: bytes, *parts: Part) -> bytes:
    sealing = channel._sealing
    assert sealing is not None
    body = join_chain(parts)
    fill = (padding * 16)[: -len(body) % 16 or 16]
    header = Header(channel.cookie_i, channel.cookie_r, 0, INFORMATIONAL, 0, message_id)
    return sealing.seal(header, body + fill, parts[0].kind)


@pytest.mark.parametrize("padding", [b"\x00", b"\x9f\x03\x61", b"\xff"])
def test_padding_is_any_octets(padding: bytes) -> None:
    """racoon pads with random ones and a count, strongSwan with a whole block at times."""
    ends = up()
    channel = ends.client_sa.channel
    recorded: list[bytes] = []
    ends.meddle = lambda _, octets: recorded.append(octets)
    beat = Notify(ALTIGA_KEEPALIVE, PROTO_ISAKMP, channel.cookies)
    ends.say(ends.client, INFORMATIONAL, 0x51, beat.part())
    sealing = ends.gateway_sa.channel._sealing
    assert sealing is not None
    parts, _ = sealing.open(recorded[0], parse_header(recorded[0]))
    octets = sealed_with_padding(channel, 0x51, padding, *parts)
    ends.arrive("gateway", octets, ends.gateway_sa.path)
    assert len(ends.gateway.events("live.heartbeat-received")) == 1


def test_a_forged_message_changes_nothing() -> None:
    ends = up()
    recorded: list[bytes] = []
    ends.meddle = lambda _, octets: recorded.append(octets)
    deleted = Delete(PROTO_ISAKMP, (ends.client_sa.channel.cookies,))
    ends.say(ends.client, INFORMATIONAL, 5, deleted.part())
    (genuine,) = recorded
    before = ends.gateway_sa.path
    for at in range(28, len(genuine)):
        forged = genuine[:at] + bytes([genuine[at] ^ 1]) + genuine[at + 1 :]
        ends.arrive("gateway", forged, Path((GATEWAY, 500), ("203.0.113.66", 500)))
    assert ends.gateway.endings == []
    assert ends.gateway_sa.path == before
    ends.arrive("gateway", genuine, before)
    assert ends.gateway.endings == [("peer-deleted", True)]


@pytest.mark.parametrize("lost", range(14))
def test_any_one_message_may_be_lost(lost: int) -> None:
    ends = Ends()
    seen: list[int] = []

    def lose(_: str, octets: bytes) -> bytes | None:
        seen.append(len(octets))
        return None if len(seen) == lost + 1 else octets

    ends.meddle = lose
    ends.connect()
    ends.until(10.0)
    ends.quick()
    ends.until(20.0)
    assert_both_carry(ends, 1)


def test_any_message_may_come_twice() -> None:
    ends = Ends()
    again: list[tuple[str, bytes]] = []

    def twice(to: str, octets: bytes) -> bytes:
        again.append((to, octets))
        return octets

    ends.meddle = twice
    ends.up()
    held = list(again)
    for to, octets in held:
        end = ends.client_sa if to == "client" else ends.gateway_sa
        ends.arrive(to, octets, end.path)
    ends.settle()
    assert_both_carry(ends, 1)
    assert len(ends.gateway.of(CheckPerson)) == 1
    assert ends.gateway.of(Over) == []
