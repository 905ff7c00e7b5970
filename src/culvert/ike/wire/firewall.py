"""The firewall of a Unity client: attribute FW_TYPE, attributes within an attribute.

vendor (1), product (2) and capability (3) are short ones, as vpnc and Shrew send them. The text of
a pushed policy goes into (4), which is our own choice: no description of Cisco's form is public.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from culvert.errors import ProtocolError
from culvert.ike.wire.attribute import Attribute, join, parse_attributes
from culvert.octets.cursor import Cursor

VENDOR, PRODUCT, CAPABILITY, POLICY = 1, 2, 3, 4

VENDORS = {
    1: "Cisco",
    2: "Zone Labs",
    3: "NetworkICE",
    4: "Sygate",
    5: "Cisco Security Agent",
}
ARE_YOU_THERE, CENTRAL_POLICY, POLICY_FROM_SERVER = 1, 2, 4
CAPABILITIES = {
    ARE_YOU_THERE: "Are you There?",
    CENTRAL_POLICY: "Centralized Protection Policy",
    POLICY_FROM_SERVER: "Policy from Server",
}
LONGEST_POLICY = 4096


@dataclass(frozen=True, slots=True)
class Firewall:
    """What a client says it has, or what a gateway wants it to have."""

    vendor: int = 1
    product: int = 1
    capability: int = CENTRAL_POLICY
    policy: str = ""

    @classmethod
    def parse(cls, value: bytes) -> Self | None:
        """None for a value that names no firewall (an empty one is a question only)."""
        try:
            found = {a.kind: a for a in parse_attributes(Cursor(value))}
        except ProtocolError:
            return None
        if VENDOR not in found or PRODUCT not in found:
            return None
        said = found.get(CAPABILITY)
        text = found[POLICY].value if POLICY in found else b""
        return cls(
            found[VENDOR].number,
            found[PRODUCT].number,
            said.number if said else ARE_YOU_THERE,
            text[:LONGEST_POLICY].decode("utf-8", "replace"),
        )

    def value(self) -> bytes:
        made = [
            Attribute.of(VENDOR, self.vendor),
            Attribute.of(PRODUCT, self.product),
            Attribute.of(CAPABILITY, self.capability),
        ]
        if self.policy:
            made.append(Attribute.octets(POLICY, self.policy.encode()))
        return join(made)

    def meets(self, wanted: Firewall) -> bool:
        """Whether it is the one that is wanted, and can do what is wanted of it. One that takes a
        policy is there, too."""
        same = (self.vendor, self.product) == (wanted.vendor, wanted.product)
        needed = wanted.capability & ~ARE_YOU_THERE
        return same and self.capability & needed == needed

    def __str__(self) -> str:
        vendor = VENDORS.get(self.vendor, f"vendor {self.vendor}")
        product = "Cisco Integrated Client" if (self.vendor, self.product) == (1, 1) else ""
        can = [name for bit, name in CAPABILITIES.items() if self.capability & bit]
        named = product or f"{vendor} product {self.product}"
        return f"{named}, capability {' and '.join(can) or self.capability}"
