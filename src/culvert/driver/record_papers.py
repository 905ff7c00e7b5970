"""What an end showed of itself, in a record's first line: certificates, never a private key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from culvert.driver.record import RecordError, octets_of
from culvert.ike.wire.identity import Identity
from culvert.orders.certificates import Shown


@dataclass(frozen=True, slots=True)
class ShownAgain:
    """What an end showed of itself."""

    key: str
    payloads: tuple[bytes, ...]
    identity: Identity


def said(certificate: Shown) -> Mapping[str, object]:
    """As the line has it."""
    who = certificate.identity
    return {
        "payloads": [one.hex() for one in certificate.payloads],
        "identity": [who.kind, who.data.hex(), who.protocol, who.port],
    }


def shown_again(found: object) -> ShownAgain | None:
    """Raises RecordError."""
    if found is None:
        return None
    if not isinstance(found, dict):
        raise RecordError("the first line's certificate makes no sense")
    named = cast("dict[str, object]", found)
    match named.get("identity"):
        case [int(kind), str(data), int(protocol), int(port)]:
            identity = Identity(kind, bytes.fromhex(data), protocol, port)
            return ShownAgain("own", octets_of(named.get("payloads")), identity)
        case _:
            raise RecordError("the first line's certificate names nobody")
