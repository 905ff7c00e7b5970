"""Is a peer that a pre-shared key has proved the one it should be? Certificates are judged in the
vault, with the names that they bear."""

from __future__ import annotations

from culvert.ike.wire.identity import FQDN, USER_FQDN, Identity

ENDPOINT = Identity(0, b"")
"""In place of an identity: the address that the end has on this path."""

_KINDS = {
    1: "address",
    2: "host name",
    3: "user",
    4: "subnet",
    5: "address",
    6: "subnet",
    9: "distinguished name",
    11: "key id",
}


def resolved(identity: Identity, address: str) -> Identity:
    """What `ENDPOINT` stands for; every other identity is itself."""
    return Identity.of_address(address) if identity == ENDPOINT else identity


def same(one: Identity, other: Identity) -> bool:
    """The same kind and value; names without regard to case. Port and protocol say nothing."""
    if one.kind != other.kind:
        return False
    if one.kind in (FQDN, USER_FQDN):
        return one.data.lower() == other.data.lower()
    return one.data == other.data


def with_kind(identity: Identity) -> str:
    """For messages: ``host name vpn.example.com``."""
    kind = _KINDS.get(identity.kind, f"type {identity.kind}")
    if identity.kind == 9:
        return f"{kind} {identity.data.hex()}"
    return f"{kind} {identity}"
