"""Gateways that answer quick mode with what makes no sense, rightly hashed and encrypted."""

from __future__ import annotations

from collections.abc import Callable

from culvert.ike.wire.notify import RESPONDER_LIFETIME, Notify
from culvert.ike.wire.payload import KE, NOTIFY, SA, Chain, Part
from culvert.ike.wire.proposal import PROTO_ESP
from simulation.ends import ClientEnd
from simulation.meddler import ike_sa
from simulation.world import World

Break = Callable[[Chain], Chain]


def changed(kind: int, change: Callable[[bytes], bytes]) -> Break:
    """One payload says something else."""

    def broken(parts: Chain) -> Chain:
        return tuple([Part(p.kind, change(p.body)) if p.kind == kind else p for p in parts])

    return broken


def with_more(part: Part) -> Break:
    return lambda parts: (*parts, part)


CUT_SHORT = changed(SA, lambda body: body[:-3])
FOREIGN = changed(SA, lambda body: (2).to_bytes(4, "big") + body[4:])
NO_PROPOSAL = changed(SA, lambda body: body[:8])
NARROW_KEY = changed(KE, lambda body: body[:-1])
NO_KEY = changed(KE, lambda body: bytes(len(body)))
NOTIFY_CUT_SHORT = with_more(Part(NOTIFY, b"\x00\x00\x00\x01"))
LIFE_CUT_SHORT = with_more(Notify(RESPONDER_LIFETIME, PROTO_ESP, bytes(4), b"\x80").part())


def answers(world: World, client: ClientEnd, how: Break) -> None:
    """Connect; from the login on the gateway answers quick mode so."""
    client.connect()
    if not world.run_until(lambda: bool(world.gateway.told("xauth.accepted")), within=60.0):
        raise AssertionError("nobody has logged in")
    spoil(world, how)


def spoil(world: World, how: Break) -> None:
    """From now on."""
    channel = ike_sa(world.gateway).channel
    rightly = channel.send_quick_answer

    def wrongly(message_id: int, parts: Chain, nonce_i: bytes) -> bytes:
        return rightly(message_id, how(parts), nonce_i)

    channel.send_quick_answer = wrongly  # type: ignore[method-assign]
