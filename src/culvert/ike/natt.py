"""NAT traversal: detection and what each version of it looks like (RFC 3947 and its drafts).

    NAT-D = hash(CKY-I | CKY-R | address | port)      the negotiated hash, not its HMAC

The first NAT-D of a message names its receiver, the rest its sender (RFC 3947 §3.2).
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from ipaddress import ip_address

from culvert.crypto.hash import digest
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import (
    NAT_D,
    NAT_D_DRAFT,
    NAT_D_LATE,
    NAT_OA,
    NAT_OA_DRAFT,
    Chain,
    Part,
    of_kind,
)
from culvert.inet.address import Address

IKE_PORT = 500
NATT_PORT = 4500
EARLY_SWITCH = "natt-early"

# Encapsulation modes of phase 2 (RFC 2407 §4.5, RFC 3947 §5.1, its drafts)
TUNNEL = 1
UDP_TUNNEL = 3
UDP_TUNNEL_DRAFT = 61443
TRANSPORT_OF = {TUNNEL: 2, UDP_TUNNEL: 4, UDP_TUNNEL_DRAFT: 61444}
"""The same for transport mode."""


@dataclass(frozen=True, slots=True)
class Version:
    """One way to do it: the vendor id's feature, the NAT-D payload, the phase 2 mode, and whether
    both ends go over to the NAT-T port. Without that, ESP goes beside IKE on port 500, behind eight
    zero octets in the place of a cookie."""

    feature: str
    nat_d: int
    mode: int
    floats: bool = True


RFC_3947 = Version("natt-rfc3947", NAT_D, UDP_TUNNEL)
DRAFT_03 = Version("natt-03", NAT_D_DRAFT, UDP_TUNNEL_DRAFT)
DRAFT_02_NEWLINE = Version("natt-02n", NAT_D_DRAFT, UDP_TUNNEL_DRAFT)
DRAFT_02 = Version("natt-02", NAT_D_DRAFT, UDP_TUNNEL_DRAFT)

DRAFT_01 = Version("natt-01", NAT_D_DRAFT, UDP_TUNNEL_DRAFT, floats=False)
DRAFT_00 = Version("natt-00", NAT_D_DRAFT, UDP_TUNNEL_DRAFT, floats=False)

PREFERENCE = (RFC_3947, DRAFT_03, DRAFT_02_NEWLINE, DRAFT_02)
EARLY = (DRAFT_01, DRAFT_00)
"""Only where the switch natt-early allows them: some devices take port 500 for IKE alone and alter
or drop what else goes there."""

_ONLY: Mapping[str, tuple[Version, ...]] = {
    "off": (),
    "draft-03": (DRAFT_03,),
    "draft-02": (DRAFT_02_NEWLINE, DRAFT_02),
    "early": EARLY,
}
"""Values of the key nat_traversal that leave less than all; with the others all may be used."""

_READ = {NAT_D: (NAT_D, NAT_D_LATE)}
"""Drafts 04 to 08 used another number for the same payload (it collides with GDOI's SAK). Nobody
announces those any more; what comes under that number counts."""


@dataclass(frozen=True, slots=True)
class Nat:
    """Who stands behind a NAT, as one side found out.

    ``pretended``: our own kind at the other end wants ESP in UDP without one.
    """

    local: bool = False
    remote: bool = False
    pretended: bool = False

    @property
    def found(self) -> bool:
        return self.local or self.remote


def permitted(mode: str, switches: Container[str]) -> tuple[Version, ...]:
    """What the key nat_traversal and legacy switches allow."""
    if mode in _ONLY:
        return _ONLY[mode]
    return (*PREFERENCE, *EARLY) if EARLY_SWITCH in switches else PREFERENCE


def best(features: frozenset[str], versions: tuple[Version, ...] = PREFERENCE) -> Version | None:
    """The version to use with a peer that announces these features, of those we may."""
    for version in versions:
        if version.feature in features:
            return version
    return None


def nat_d(hash_name: str, cookies: bytes, address: Address) -> bytes:
    host, port = address
    return digest(hash_name, cookies + ip_address(host).packed + port.to_bytes(2, "big"))


def detection(
    version: Version,
    hash_name: str,
    cookies: bytes,
    receiver: Address,
    sender: Address,
    *,
    disguise: bool = False,
) -> tuple[Part, ...]:
    """The two NAT-D payloads of a message.

    ``disguise`` falsifies our own, so that the peer sees a NAT and encapsulates.
    """
    own = nat_d(hash_name, cookies, sender)
    if disguise:
        own = _disguised(own)
    return (
        Part(version.nat_d, nat_d(hash_name, cookies, receiver)),
        Part(version.nat_d, own),
    )


def detect(
    parts: Chain,
    version: Version,
    hash_name: str,
    cookies: bytes,
    own: Address,
    peer: Address,
) -> Nat | None:
    """What the peer's NAT-D payloads say; None when it sent none.

    Peers that have floated to 4500 hash either that port or 500 for a side that is not translated,
    so both count as untranslated.
    """
    found = [part.body for part in of_kind(parts, *_READ.get(version.nat_d, (version.nat_d,)))]
    if len(found) < 2:
        return None
    true = _untranslated(hash_name, cookies, peer)
    pretended = frozenset(map(_disguised, true)).intersection(found[1:])
    return Nat(
        local=found[0] not in _untranslated(hash_name, cookies, own),
        remote=not (true.intersection(found[1:]) or pretended),
        pretended=bool(pretended),
    )


def original_addresses(version: Version, initiator: str, responder: str) -> tuple[Part, ...]:
    """NAT-OAi and NAT-OAr of transport mode in UDP (RFC 3947 §5.2), as seen from here."""
    kind = NAT_OA if version.nat_d == NAT_D else NAT_OA_DRAFT
    ends = (Identity.of_address(address) for address in (initiator, responder))
    return tuple([Part(kind, end.to_bytes()) for end in ends])


def guess(own: Address, peer: Address) -> Nat:
    """What the addresses alone say, with a peer that sends no NAT-D payloads.

    A port that is not IKE's was put there by a translator, and so was a public address, where the
    other end has a private one.
    """
    here, there = ip_address(own[0]), ip_address(peer[0])
    return Nat(
        local=here.is_private and there.is_global,
        remote=peer[1] not in (IKE_PORT, NATT_PORT) or (there.is_private and here.is_global),
    )


def _disguised(nat_d: bytes) -> bytes:
    return bytes([nat_d[0] ^ 0xFF]) + nat_d[1:]


def _untranslated(hash_name: str, cookies: bytes, address: Address) -> frozenset[bytes]:
    host, port = address
    ports = {port, IKE_PORT} if port == NATT_PORT else {port}
    return frozenset(nat_d(hash_name, cookies, (host, each)) for each in ports)
