"""What one end brings to every IKE SA: role, identity, what it offers or accepts, its timers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from culvert.ike.natt import PREFERENCE, Version
from culvert.ike.proposal import Lifetime
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.firewall import Firewall
from culvert.ike.wire.identity import Identity
from culvert.inet.lane import ALONE, Share


class Role(Enum):
    INITIATOR = "initiator"
    RESPONDER = "responder"

    @property
    def other(self) -> Role:
        return Role.RESPONDER if self is Role.INITIATOR else Role.INITIATOR


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. DPD asks after ``dpd_delay`` of silence, again every ``dpd_retry``, at most
    ``dpd_tries`` times; a delay of 0 never asks. ``dpd_grain``: questions to many peers wait for
    each other until the next multiple of this."""

    dpd_delay: float = 30.0
    dpd_retry: float = 2.5
    dpd_tries: int = 10
    dpd_grain: float = 0.0
    keepalive: float = 20.0  # RFC 3948 §4
    heartbeat: float = 0.0  # to a VPN 3000 concentrator (S4-63)
    answer_patience: float = 30.0  # an unanswered message of ours, repeats included
    person_patience: float = 120.0  # a person looks for a password
    half_open_patience: float = 30.0  # a stranger has not proved the key
    xauth_delay: float = 0.08  # iPhones abort when asked sooner (libreswan)


PHASE1_LIFE = Lifetime(seconds=86_400)
PHASE2_LIFE = Lifetime(seconds=3_600)
USUAL = Timing()


GROUP_KEYS = frozenset(("psk", "xauth-psk"))
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Answered:
    """Ways to authenticate (tables/algorithms.toml) that callers may use in each mode; a mode
    without any is refused."""

    aggressive: frozenset[str] = GROUP_KEYS
    main: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds before and, narrowed to a group, after the peer is known.

    ``natt``: the versions of NAT traversal that may be used, best first.
    ``exchange`` is the mode we call in, "aggressive" or "main"; ``answered`` what callers may
    use. ``authorities``: DER names of those whose certificates we ask for. ``force_encapsulation``:
    act as if a NAT were in between, so that ESP travels in UDP. ``firewall``: what a client says it
    has; ``push``: a gateway hands out the configuration unasked (SET instead of REPLY).
    ``first_contact``: we remember no other IKE SA with this peer. ``address``: the inner address
    that we had; we ask for it again when we renew, and of a gateway of our own kind when we begin
    anew. ``provisioned``: Mode Config tells a client what it may have; ``unity``: with Cisco's
    extension.
    ``transport``: transport mode and no other, between the two ends themselves.
    ``fragmentation``: long IKE messages are cut for a peer that can
    put them together, and put together from one that cuts. ``over_udp``: a client that has no NAT
    traversal with its gateway asks for a UDP port for ESP. ``streamed``: all goes over a
    TCP stream. ``named``: a caller says its ``identity`` even in main mode with a group key, where
    it is its address else. ``expected``: who a peer with a group key must be; without
    ``verify_identity`` another one is only warned of. ``shows``: features of tables/vendor_ids.toml
    that are told beside those we speak of anyway. ``reasons``: who knows them is told why
    we leave. ``share``: which of a gateway's workers we are.
    """

    role: Role
    identity: Identity
    phase1: tuple[IkeSuite, ...]
    phase2: tuple[EspSuite, ...]
    exchange: str = "aggressive"
    answered: Answered = Answered()
    authorities: tuple[bytes, ...] = ()
    natt: tuple[Version, ...] = PREFERENCE
    force_encapsulation: bool = False
    phase1_life: Lifetime = PHASE1_LIFE
    phase2_life: Lifetime = PHASE2_LIFE
    timing: Timing = USUAL
    application: str = "culvert"
    host_name: str = ""
    firewall: Firewall | None = None
    push: bool = False
    first_contact: bool = True
    address: str = ""
    provisioned: bool = True
    unity: bool = True
    transport: bool = False
    fragmentation: bool = True
    over_udp: bool = False
    streamed: bool = False
    named: bool = False
    expected: Identity | None = None
    verify_identity: bool = True
    shows: tuple[str, ...] = ()
    reasons: bool = True
    share: Share = ALONE

    def accepted(self, exchange: str) -> tuple[IkeSuite, ...]:
        """What a caller in this mode may choose from."""
        ways = self.answered.main if exchange == "main" else self.answered.aggressive
        return tuple([suite for suite in self.phase1 if suite.authentication.name in ways])

    @property
    def pfs_groups(self) -> frozenset[int]:
        """Groups a peer may bring to phase 2 unasked: those good enough for phase 1."""
        return frozenset(suite.group.number for suite in self.phase1)
