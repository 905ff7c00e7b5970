"""As much of DNS as it takes to pass a question on, and to ask one (RFC 1035 §4)."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.errors import WireError
from culvert.octets.cursor import Cursor

PORT = 53
LONGEST_UDP = 4096
"""Octets of a datagram with EDNS as programs ask for it; longer answers come by TCP."""
LONGEST_NAME, LONGEST_LABEL = 255, 63
RESPONSE, RECURSION_WANTED, TRUNCATED = 0x8000, 0x0100, 0x0200
SERVER_FAILED = 2
ADDRESS, INTERNET = 1, 1


@dataclass(frozen=True, slots=True)
class DnsMessage:
    """The head of a message, and its first question. ``name`` has no dot at its end."""

    number: int
    flags: int
    answers: int
    name: str
    kind: int

    @property
    def response(self) -> bool:
        return bool(self.flags & RESPONSE)

    @property
    def code(self) -> int:
        """RCODE; 0: all is well."""
        return self.flags & 0x0F

    @classmethod
    def parse(cls, octets: bytes) -> DnsMessage:
        """Raises WireError, also for a message that asks nothing."""
        cursor = Cursor(octets)
        number, flags = cursor.u16("DNS number"), cursor.u16("DNS flags")
        questions, answers = cursor.u16("questions"), cursor.u16("answers")
        cursor.u32("numbers of other records")
        if not questions:
            raise WireError("a DNS message without a question", offset=cursor.offset)
        labels: list[str] = []
        total = 0
        while length := cursor.u8("length of a label"):
            total += length + 1
            if length > LONGEST_LABEL or total > LONGEST_NAME:
                raise WireError("a question's name is none", offset=cursor.offset)
            labels.append(cursor.octets(length, "label").decode("latin-1"))
        return cls(number, flags, answers, ".".join(labels), cursor.u16("type of the question"))


def question(number: int, name: str, kind: int = ADDRESS) -> bytes:
    """Ask for it, and for the asking of others."""
    labels = [label.encode("ascii") for label in name.rstrip(".").split(".") if label]
    head = (number, RECURSION_WANTED, 1, 0, 0, 0)
    return b"".join(
        (
            *(each.to_bytes(2, "big") for each in head),
            *(bytes((len(label),)) + label for label in labels),
            b"\x00",
            kind.to_bytes(2, "big"),
            INTERNET.to_bytes(2, "big"),
        )
    )


def within(name: str, domains: tuple[str, ...]) -> bool:
    """Whether a name is one of these domains or below one of them."""
    low = name.lower().rstrip(".")
    return any(
        low == domain or low.endswith("." + domain)
        for domain in (each.lower().strip(".") for each in domains)
    )
