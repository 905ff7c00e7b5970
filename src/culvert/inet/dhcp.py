"""DHCP as it travels through an IPsec SA (RFC 2131, RFC 2132, RFC 3456): both directions.

A client behind the SA is its own relay: giaddr is its outer address, the hardware an IPsec tunnel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

SERVER_PORT = 67  # RFC 3456 §4.2.1: both ends use it
REQUEST, REPLY = 1, 2
IPSEC_TUNNEL = 31  # hardware type, RFC 3456 §4.2.1
COOKIE = b"\x63\x82\x53\x63"
HARDWARE_ADDRESS = 6
UNREAD = 64 + 128  # server name and boot file: none here, and none believed

DISCOVER, OFFER, ASK, DECLINE, ACK, NAK, RELEASE = range(1, 8)
"""Values of option 53; ASK is the RFC's REQUEST."""

PAD, END = 0, 255
MASK, DNS, DOMAIN, WINS = 1, 6, 15, 44
WANTED_ADDRESS, LEASE_TIME, KIND, SERVER, PARAMETERS, CLIENT = 50, 51, 53, 54, 55, 61
LIKED = bytes((MASK, DNS, DOMAIN, WINS, LEASE_TIME))

NOWHERE = IPv4Address(0)
LONGEST_OPTION = 255
LONGEST = 1500
"""Octets of a message: what one Ethernet frame holds; nothing here asks for more."""


@dataclass(frozen=True, slots=True)
class DhcpMessage:
    """``relay``: the client's outer address. ``options``: values by number; an option that came in
    several parts is put together (RFC 3396)."""

    operation: int
    kind: int
    number: int
    hardware: bytes
    client: IPv4Address = NOWHERE
    yours: IPv4Address = NOWHERE
    relay: IPv4Address = NOWHERE
    options: Mapping[int, bytes] = field(default_factory=dict[int, bytes])
    hops: int = 1

    @classmethod
    def parse(cls, octets: bytes) -> DhcpMessage:
        """Raises WireError."""
        cursor = Cursor(octets)
        operation = cursor.u8("DHCP operation")
        cursor.u8("hardware type")
        length = cursor.u8("length of the hardware address")
        hops = cursor.u8("hops")
        number = cursor.u32("transaction number")
        cursor.u32("seconds and flags")
        client, yours, _, relay = (
            IPv4Address(cursor.octets(4, what)) for what in ("ciaddr", "yiaddr", "siaddr", "giaddr")
        )
        hardware = cursor.octets(16, "hardware address")[: min(length, 16)]
        cursor.take(UNREAD, "server name and boot file")
        if cursor.octets(4, "DHCP cookie") != COOKIE:
            raise WireError("not DHCP: the cookie of its options is missing", offset=cursor.offset)
        options = _options(cursor)
        kind = options.pop(KIND, b"")
        if len(kind) != 1:
            raise WireError("a DHCP message that does not say what it is", offset=cursor.offset)
        return cls(operation, kind[0], number, hardware, client, yours, relay, options, hops)

    def write(self) -> bytes:
        head = bytes((self.operation, IPSEC_TUNNEL, len(self.hardware), self.hops))
        addresses = b"".join(each.packed for each in (self.client, self.yours, NOWHERE, self.relay))
        options = {KIND: bytes((self.kind,)), **self.options}
        return b"".join(
            (
                head,
                self.number.to_bytes(4, "big"),
                bytes(4),
                addresses,
                self.hardware.ljust(16, b"\x00"),
                bytes(UNREAD),
                COOKIE,
                *_written(options),
                bytes((END,)),
            )
        )

    def addresses(self, option: int) -> tuple[str, ...]:
        """A list of addresses; an incomplete last one is none."""
        value = self.options.get(option, b"")
        whole = range(0, len(value) - len(value) % 4, 4)
        return tuple([str(IPv4Address(value[at : at + 4])) for at in whole])

    def whole(self, option: int, otherwise: int) -> int:
        value = self.options.get(option, b"")
        return int.from_bytes(value, "big") if len(value) == 4 else otherwise

    def text(self, option: int) -> str:
        return self.options.get(option, b"").rstrip(b"\x00").decode("utf-8", "replace")


def _options(cursor: Cursor) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while cursor.left:
        option = cursor.u8("DHCP option")
        if option == END:
            break
        if option != PAD:
            length = cursor.u8("length of a DHCP option")
            found[option] = found.get(option, b"") + cursor.octets(length, "DHCP option")
    return found


def _written(options: Mapping[int, bytes]) -> Iterable[bytes]:
    for option, value in options.items():
        for at in range(0, len(value) or 1, LONGEST_OPTION):
            part = value[at : at + LONGEST_OPTION]
            yield bytes((option, len(part))) + part
