"""Whole messages at whole ends: what a fuzzed peer says at any step of a simulated conversation.

    octets      step (1), then messages
    message     exchange (1), flags (1), payload count (1), payloads
    payload     kind (1), length (2, big-endian), body; what is cut short ends there

A stranger's message is sent as it is; an insider's is hashed and encrypted with the right keys, so
that the fuzzer works behind the seal and not at it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from culvert.errors import WireError
from culvert.ike.wire.header import (
    AGGRESSIVE,
    IDENTITY_PROTECTION,
    INFORMATIONAL,
    OCTETS,
    QUICK,
    TRANSACTION,
)
from culvert.ike.wire.payload import Part
from culvert.octets.cursor import Cursor
from simulation.ends import NON_ESP_MARKER, ClientEnd
from simulation.meddler import ike_sa, sealed
from simulation.world import GATEWAY, World

STEPS = (
    "ike.sending",
    "ike.phase1-established",
    "xauth.answered",
    "config.requested",
    "client.up",
)
"""What the client has told when the fuzzed peer begins to speak."""

EXCHANGES = (INFORMATIONAL, TRANSACTION, QUICK, AGGRESSIVE, IDENTITY_PROTECTION)
KNOWN_ID = 1  # flag: the message id of an exchange that is under way, or was
MOST_MESSAGES = 12
MARKED = 4500

Message = tuple[int, tuple[Part, ...], bool]


def brought_to(step: int) -> tuple[World, ClientEnd]:
    """A client and a gateway at this point of their conversation."""
    world = World(1)
    client = world.client(behind=world.nat)
    client.connect()
    code = STEPS[step % len(STEPS)]
    world.run_until(lambda: code in client.codes(), within=5.0)
    if code != "ike.sending":
        world.run(0.05)
    return world, client


def messages(cursor: Cursor) -> Iterator[Message]:
    """The messages of a fuzzed script."""
    try:
        for _ in range(MOST_MESSAGES):
            exchange = EXCHANGES[cursor.u8("fuzz") % len(EXCHANGES)]
            flags = cursor.u8("fuzz")
            yield exchange, tuple(_parts(cursor, cursor.u8("fuzz") % 16)), bool(flags & KNOWN_ID)
    except WireError:
        return


def _parts(cursor: Cursor, count: int) -> Iterator[Part]:
    for _ in range(count):
        kind, length = cursor.u8("fuzz") or 1, cursor.u16("fuzz")
        yield Part(kind, bytes(cursor.take(min(length, cursor.left), "fuzz")))


def at_gateway(octets: bytes) -> None:
    """A client that has the keys says anything; then it is silent, and the gateway cleans up."""
    cursor = Cursor(octets)
    world, client = brought_to(cursor.u8("fuzz") if octets else 0)
    if client.core.state == "connecting":
        return
    gateway, source = world.gateway, ike_sa(world.gateway).path.remote
    for message in _sealed_by(client, messages(cursor), _known_id(client)):
        gateway.datagram(NON_ESP_MARKER + message, source, (GATEWAY, MARKED))
        world.run(0.05)
    client.unplug()
    world.run(400.0)
    left = [what for what in world.left_over() if what.startswith("gateway")]
    assert not left, left


def at_client(octets: bytes) -> None:
    """A gateway that has the keys says anything; then it is silent, and the client ends."""
    cursor = Cursor(octets)
    world, client = brought_to(cursor.u8("fuzz") if octets else 0)
    if client.link is None or client.core.state == "connecting":
        return
    for message in _sealed_by(world.gateway, messages(cursor), _known_id(client)):
        client.datagram(NON_ESP_MARKER + message, (GATEWAY, MARKED), (client.link.address, MARKED))
        world.run(0.05)
    _ends_alone(world, client)


def client(octets: bytes) -> None:
    """Somebody who can write the gateway's address answers a client's call, on both ports."""
    cursor = Cursor(octets)
    world, calling = brought_to(cursor.u8("fuzz") if octets else 0)
    if calling.link is None:
        return
    cookies = _cookies(calling)
    pieces = octets[1:].split(b"\xfe\xff\xfe\xff")[:MOST_MESSAGES]
    for piece in pieces:
        # Whatever the fuzzer wrote there: a message for another IKE SA is dropped unread.
        message = cookies[: len(piece)] + piece[len(cookies) :] if len(piece) >= OCTETS else piece
        calling.datagram(message, (GATEWAY, 500), (calling.link.address, 500))
        calling.datagram(
            NON_ESP_MARKER + message, (GATEWAY, MARKED), (calling.link.address, MARKED)
        )
        world.run(0.05)
    _ends_alone(world, calling)


def _ends_alone(world: World, client: ClientEnd) -> None:
    world.gateway.unplug()
    assert world.run_until(lambda: client.down, within=400.0), client.core.state
    world.run(10.0)
    left = [what for what in world.left_over() if what.startswith(client.name)]
    assert not left, left


def _sealed_by(end: Any, said: Iterator[Message], known: int) -> list[bytes]:
    if not len(end.core._endpoint):
        return []
    return [
        sealed(end, exchange, parts, message_id=known if follows else 0)
        for exchange, parts, follows in said
    ]


def _known_id(client: ClientEnd) -> int:
    seen = [event.fields["message_id"] for event in client.told("ike.received")]
    return int(str(seen[-1])) or 1 if seen else 1


def _cookies(client: ClientEnd) -> bytes:
    """Ours, and the gateway's if it has answered."""
    core: Any = client.core
    return ike_sa(client).channel.cookies.rstrip(b"\0") if len(core._endpoint) else b""
