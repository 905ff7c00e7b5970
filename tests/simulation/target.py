"""A gateway to throw datagrams at, and what can be seen of its reaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from culvert.ike.exchanged import NONCE_OCTETS
from culvert.ike.proposal import offer_ike
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.header import AGGRESSIVE, NO_COOKIE, Header
from culvert.ike.wire.identity import KEY_ID, Identity
from culvert.ike.wire.message import clear_message
from culvert.ike.wire.payload import KE, NONCE, SA, Chain, Part
from culvert.inet.address import Address
from simulation.ends import IKE_PORT, NATT_PORT, NON_ESP_MARKER
from simulation.world import GATEWAY, GROUP, QUICK_PHASE1, Terms, World

STRANGER: Address = ("192.0.2.66", 31337)


@dataclass(frozen=True, slots=True)
class Reaction:
    """``sent``: what the gateway sent at once. ``refused``: what it counted. ``opened``: how many
    more IKE SAs it has."""

    sent: tuple[bytes, ...]
    refused: Counter[str]
    opened: int


class Target:
    """A gateway in a world of its own."""

    def __init__(self, terms: Terms | None = None, seed: int = 1) -> None:
        self.world = World(seed, terms)
        self.gateway = self.world.gateway

    @property
    def sas(self) -> int:
        core: Any = self.gateway.core
        return len(core._endpoint)

    def throw(self, octets: bytes, source: Address = STRANGER, *, port: int = IKE_PORT) -> Reaction:
        """One datagram, taken at once."""
        before = Counter(self.gateway.core.refused_datagrams)
        sas, sent = self.sas, len(self.gateway.sent)
        self.gateway.datagram(octets, source, (GATEWAY, port))
        return Reaction(
            tuple(message for _, message, _ in self.gateway.sent[sent:]),
            Counter(self.gateway.core.refused_datagrams) - before,
            self.sas - sas,
        )

    def throw_both_ways(self, octets: bytes, source: Address = STRANGER) -> list[Reaction]:
        """On port 500, and behind the non-ESP marker on 4500."""
        return [
            self.throw(octets, source),
            self.throw(NON_ESP_MARKER + octets, source, port=NATT_PORT),
        ]


def first_message(
    cookie: bytes = b"stranger",
    *,
    suites: tuple[str, ...] = (QUICK_PHASE1,),
    identity: Identity | None = None,
    nonce: bytes = bytes(NONCE_OCTETS),
    public: bytes | None = None,
    more: Chain = (),
) -> bytes:
    """A sound first message of aggressive mode by anybody."""
    offered = [IkeSuite.named(name) for name in suites]
    width = offered[0].group.octets
    parts = (
        Part(SA, offer_ike(offered, 86_400).to_bytes()),
        Part(KE, public if public is not None else b"\x05" * width),
        Part(NONCE, nonce),
        (identity or Identity(KEY_ID, GROUP.encode())).part(),
        *more,
    )
    return clear_message(Header(cookie, NO_COOKIE, SA, AGGRESSIVE, 0, 0), parts)
