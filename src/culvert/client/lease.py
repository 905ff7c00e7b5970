"""A lease by DHCP through an IPsec SA (RFC 3456; SonicWALL's way to provision a client).

asking ── OFFER ──> wanting ── ACK ──> leased ── half of it over ──> renewing ── ACK ──> leased
   │ silence           │ NAK, silence    └────────── all of it over ──> lost <──┘ NAK
   └─────> lost <──────┘

Sans-IO: `send` is the message to send now, `heard` takes what came, `release` what to say at the
end; questions are repeated with twice the patience each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address
from math import inf

from culvert.client.configuration import Given
from culvert.errors import WireError
from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage
from culvert.rng import Random

FIRST_PATIENCE, LONGEST_PATIENCE = 1.0, 16.0
QUESTIONS = 6
"""Half a minute: then there is no DHCP server behind this gateway."""
USUAL_LEASE, SHORTEST_LEASE = 3600, 60
RENEWALS = 60.0
"""Seconds between two questions of a renewal that nobody answers (RFC 2131 §4.4.5)."""
SILENCE = "nobody answers"
REFUSED = "the server refuses the address (NAK)"
RUN_OUT = "the lease ran out, and nobody renewed it"
"""Why there is no lease, or none any more."""

LOCAL = 0x40
"""First octet of a made-up hardware address, as other clients of such gateways make it."""


def hardware_of(gateway: str, user: str) -> bytes:
    """The same for the same person at the same gateway, so that the lease is the same too."""
    return bytes((LOCAL,)) + sha256(f"{gateway}\n{user}".encode()).digest()[:5]


@dataclass(slots=True)
class _Question:
    message: DhcpMessage
    left: int
    patience: float


class Lease:
    """``relay``: our outer address, which the server answers to."""

    def __init__(self, hardware: bytes, relay: str, rng: Random, *, now: float) -> None:
        self.hardware = hardware
        self.given = Given()
        """What the gateway's server handed out; no address: nothing yet."""
        self.problem = ""
        """Why it is lost; empty: it is not."""
        self.deadline = now
        self._relay = IPv4Address(relay)
        self._number = int.from_bytes(rng.octets(4), "big")
        self._server = b""
        self._until = inf
        self._asked: _Question | None = None
        self._ask(dhcp.DISCOVER, {dhcp.PARAMETERS: dhcp.LIKED})

    @property
    def lost(self) -> bool:
        return bool(self.problem)

    def send(self, now: float) -> bytes:
        """What is to be sent at the deadline; empty: it is over."""
        if self._asked is None:
            self._renew()
        asked = self._asked
        if asked is None or not asked.left or now >= self._until:
            self.problem, self.deadline = RUN_OUT if self.given.address else SILENCE, inf
            return b""
        asked.left -= 1
        self.deadline = now + asked.patience
        longer = min(2 * asked.patience, LONGEST_PATIENCE)
        asked.patience = RENEWALS if self.given.address else longer
        return asked.message.write()

    def heard(self, octets: bytes, now: float) -> bool:
        """Whether a lease begins, or goes on, with this message. Passed over are those of others,
        and what comes after it was lost."""
        try:
            message = DhcpMessage.parse(octets)
        except WireError:
            return False
        mine = (dhcp.REPLY, self._number, self.hardware)
        heard = (message.operation, message.number, message.hardware)
        if heard != mine or self._asked is None or self.lost:
            return False
        asked = self._asked.message.kind
        if (asked, message.kind) == (dhcp.DISCOVER, dhcp.OFFER):
            self._server = message.options.get(dhcp.SERVER, b"")
            wants = {dhcp.WANTED_ADDRESS: message.yours.packed, dhcp.PARAMETERS: dhcp.LIKED}
            self._ask(dhcp.ASK, {**wants, dhcp.SERVER: self._server})
            self.deadline = now
        elif (asked, message.kind) == (dhcp.ASK, dhcp.NAK):
            self.problem, self.deadline = REFUSED, inf
        elif (asked, message.kind) == (dhcp.ASK, dhcp.ACK) and int(message.yours):
            self._begin(message, now)
            return True
        return False

    def release(self) -> bytes:
        """The address back to the server (RFC 2131 §4.4.6), which answers nothing; empty: there is
        none to give back."""
        if not self.given.address or self.lost:
            return b""
        named = {dhcp.SERVER: self._server} if self._server else {}
        return self._message(dhcp.RELEASE, named, IPv4Address(self.given.address)).write()

    def _begin(self, message: DhcpMessage, now: float) -> None:
        lasts = max(message.whole(dhcp.LEASE_TIME, USUAL_LEASE), SHORTEST_LEASE)
        self._asked = None
        self._until, self.deadline = now + lasts, now + lasts / 2
        self.given = Given(
            address=str(message.yours),
            dns=message.addresses(dhcp.DNS),
            nbns=message.addresses(dhcp.WINS),
            domain=message.text(dhcp.DOMAIN),
        )

    def _renew(self) -> None:
        self._ask(dhcp.ASK, {dhcp.PARAMETERS: dhcp.LIKED}, IPv4Address(self.given.address))

    def _ask(
        self, kind: int, options: dict[int, bytes], client: IPv4Address = dhcp.NOWHERE
    ) -> None:
        left = QUESTIONS if not int(client) else 1 << 16
        self._asked = _Question(self._message(kind, options, client), left, FIRST_PATIENCE)

    def _message(self, kind: int, options: dict[int, bytes], client: IPv4Address) -> DhcpMessage:
        return DhcpMessage(
            dhcp.REQUEST,
            kind,
            self._number,
            self.hardware,
            client=client,
            relay=self._relay,
            options={**options, dhcp.CLIENT: bytes((1,)) + self.hardware},
        )
