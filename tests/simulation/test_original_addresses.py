"""NAT-OA (RFC 3947 §5.2), the addresses before translation, told in transport mode behind a NAT;
and checksums that are right whatever the NAT made of the addresses (RFC 3948 §3.1.2)."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.ike.negotiator import Negotiator
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import NAT_OA, NAT_OA_DRAFT, Chain, of_kind
from culvert.inet import ipv4
from culvert.inet.checksum import checksum
from simulation.test_hosts import joined
from simulation.udp import UDP
from simulation.world import GATEWAY, PAT

INSIDE = "10.10.10.2"
Heard = list[tuple[bool, list[str]]]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """Of every message of quick mode with a proposal: whether we asked, and its NAT-OAs."""
    found: Heard = []
    answer, install = Negotiator._answer, Negotiator._second

    def note(asked: bool, parts: Chain) -> None:
        told = of_kind(parts, NAT_OA) or of_kind(parts, NAT_OA_DRAFT)
        found.append((asked, [str(Identity.parse(part).network()) for part in told]))

    def first(self: Any, octets: bytes, header: Any, parts: Chain, now: float) -> None:
        note(False, parts)
        answer(self, octets, header, parts, now)

    def second(self: Any, quick: Any, octets: bytes, header: Any, now: float) -> bool:
        note(True, self._owner.channel.read_sealed(octets, header).parts)
        return install(self, quick, octets, header, now)

    monkeypatch.setattr(Negotiator, "_answer", first)
    monkeypatch.setattr(Negotiator, "_second", second)
    return found


def test_both_ends_tell_both_addresses_as_they_see_them(heard: Heard) -> None:
    world, client = joined(transport=True, behind=True)
    with world.shown_if_wrong():
        assert client.up, client.reason
        asked, answered = heard
        assert asked == (False, [f"{INSIDE}/32", f"{GATEWAY}/32"])
        assert answered == (True, [f"{PAT}/32", f"{GATEWAY}/32"])


@pytest.mark.parametrize(("transport", "behind"), [(True, False), (False, True), (False, False)])
def test_nobody_tells_them_without_need(heard: Heard, transport: bool, behind: bool) -> None:
    _, client = joined(transport=transport, behind=behind)
    assert client.up, client.reason
    assert heard
    assert all(told == [] for _, told in heard)


def summed(source: str, to: str, data: bytes) -> bytes:
    """A UDP packet with the checksum that is right between these two."""
    ends = bytes(map(int, source.split("."))), bytes(map(int, to.split(".")))
    head = b"\x0f\xa0\x0f\xa1" + (8 + len(data)).to_bytes(2, "big")
    pseudo = b"".join(ends) + bytes((0, UDP)) + head[4:]
    sum_ = checksum(pseudo + head + b"\0\0" + data)
    return ipv4.build(UDP, *ends, head + sum_.to_bytes(2, "big") + data)


def test_checksums_are_right_at_both_ends_though_addresses_differ() -> None:
    world, client = joined(transport=True, behind=True)
    with world.shown_if_wrong():
        client.carry(summed(INSIDE, GATEWAY, b"there"))
        world.gateway.carry(summed(GATEWAY, PAT, b"back"))
        world.run(1.0)
        assert world.gateway.inside == [summed(PAT, GATEWAY, b"there")]
        assert client.inside == [summed(GATEWAY, INSIDE, b"back")]
