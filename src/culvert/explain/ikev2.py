"""The head of an IKEv2 message (RFC 7296 §3.1): enough to name it, since only IKEv1 is decoded."""

from __future__ import annotations

from struct import Struct

MAJOR = 2
RESPONSE = 0x20
HEAD = Struct("!8s8sBBBBII")
EXCHANGES = {34: "IKE_SA_INIT", 35: "IKE_AUTH", 36: "CREATE_CHILD_SA", 37: "INFORMATIONAL"}
"""RFC 7296 §3.1; what came later is shown by its number."""


def ikev2(octets: bytes) -> str | None:
    """What the message is, or None if it is none of IKEv2."""
    if len(octets) < HEAD.size:
        return None
    _, _, _, version, exchange, flags, number, length = HEAD.unpack_from(octets)
    if version >> 4 != MAJOR or length < HEAD.size:
        return None
    name = EXCHANGES.get(exchange, f"exchange {exchange}")
    way = "response" if flags & RESPONSE else "request"
    return f"IKEv2 {name} {way} {number}, {length} octets; only IKEv1 is decoded"
