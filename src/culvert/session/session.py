"""Session: one person, network or administrator who is connected now."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from culvert.inet.address import Address


class Kind(StrEnum):
    """The three tables of the session page (S4-42, S4-43, S4-44)."""

    IPSEC_USER = "ipsec-user"
    LAN_TO_LAN = "lan-to-lan"
    MANAGEMENT = "management"


class State(StrEnum):
    CONNECTING = "connecting"
    UP = "up"
    ENDING = "ending"


@dataclass(frozen=True, slots=True)
class Counters:
    """Octets and packets inside the tunnel; ``in`` is what came from the peer."""

    octets_in: int = 0
    octets_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    dropped_in: int = 0
    dropped_out: int = 0


@dataclass(frozen=True, slots=True)
class SpiPair:
    """The two SPIs of one pair of IPsec SAs and what it carries (S4-45)."""

    inbound: int
    outbound: int
    local: str = ""
    remote: str = ""
    suite: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with it now: a row of the diagnoses, in words."""

    id: str
    sentence: str
    action: str


@dataclass(slots=True)
class Session:
    """Everything known of one session. The coordinator that opened it keeps the fields current.

    ``began`` is wall time (aware), ``since`` the monotonic second of the same moment, so that a
    clock that jumps never changes a duration. ``tunnel_port`` is our UDP port the tunnel uses,
    0 for plain ESP; ``public`` is the peer's outer address with its port as we see it.
    """

    number: int
    kind: Kind
    user: str
    began: datetime
    since: float
    group: str = ""
    state: State = State.CONNECTING
    protocol: str = "IPSec"
    transport: str = ""
    tunnel_port: int = 0
    assigned: str = ""
    public: Address = ("", 0)
    encryption: str = ""
    authentication: str = ""
    ike_suite: str = ""
    method: str = ""
    """How both ends proved themselves in phase 1, a name of tables/algorithms.toml."""
    exchange_mode: str = ""
    client_type: str = ""
    host_name: str = ""
    """What the client calls itself, for dynamic DNS."""
    client_version: str = ""
    counters: Counters = field(default_factory=Counters)
    spis: tuple[SpiPair, ...] = ()
    weak: tuple[str, ...] = ()
    problem: Problem | None = None
    ike_expires: float = 0.0
    """Monotonic second at which the IKE SA's lifetime ends; 0 = unknown."""
