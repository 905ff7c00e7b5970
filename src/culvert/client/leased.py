"""A connection whose address comes by DHCP through the tunnel (S1-70, SonicWALL's way).

phase 1 ── pair for UDP 67 with the gateway ── this machine sends UDP 67 that way ── lease
        ── pairs for the leased address ── this machine set up ── up ── renewals of the lease
        ── the end from here: the address is given back first, while there is a way for that
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_network
from math import inf

from culvert.client.configuration import Given
from culvert.client.lease import Lease, hardware_of
from culvert.client.pairs import tunnel_settings
from culvert.client.tunnel import Tunnel
from culvert.effects import Effect, Inquire, MachineConfigured, Replied
from culvert.ike.selector import Selector
from culvert.ike.wire.attribute import Attribute
from culvert.inet.dhcp import SERVER_PORT

BY_DHCP = "dhcp"
LEASE = "lease"
UDP = 17
PARTING = 0.3
"""Seconds for the last message, which nobody answers, to get out before its SAs are deleted."""


class Leased(Tunnel):
    """Between the tunnel and what watches over it."""

    _lease: Lease | None = None
    _inquiry = 0
    _parts_at = inf

    @property
    def _lease_deadline(self) -> float:
        return min(self._parts_at, self._lease.deadline if self._lease is not None else inf)

    @property
    def _by_lease(self) -> bool:
        """Whether a lease is wanted and not there yet."""
        return self.profile.provisioning == BY_DHCP and not self._so_far.given.address

    def _answer(self, attributes: Iterable[Attribute]) -> Given:
        return self._lease.given if self._lease is not None else super()._answer(attributes)

    def _configured(self, answer: Given, now: float) -> list[Effect]:
        if self.profile.provisioning != BY_DHCP or answer.address:
            return super()._configured(answer, now)
        sa = self._endpoint.get(self._sa)
        self._lease = None
        self._so_far.leased = sa.path.local[0] if sa is not None else ""
        return self._quick(*self._ends, now)

    @property
    def _ends(self) -> tuple[Selector, Selector]:
        own, gateway = self._so_far.leased, self._so_far.address
        ends = [Selector(ip_network(each), UDP, SERVER_PORT) for each in (own, gateway)]
        return ends[0], ends[1]

    def _configure(self, now: float) -> list[Effect]:
        """With the first pair, that for DHCP, only DHCP has its way; a machine that comes back has
        that way still, and stays as closed as it is."""
        if not self._by_lease:
            return super()._configure(now)
        so_far = self._so_far
        if self._lease is not None or so_far.esp is None or self._waits_for == LEASE:
            return []
        if self._set_up is not None and self._set_up.leased == so_far.leased:
            return self._begin_lease(now)
        before = self._set_up or replace(
            tunnel_settings(self.profile, so_far, so_far.esp, self._carriage), address="", routes=()
        )
        self._set_up = replace(before, leased=so_far.leased)
        return [self._order(LEASE, self._set_up)]

    def _machine(self, done: MachineConfigured, now: float) -> list[Effect]:
        if self._waits_for != LEASE or done.problem:
            return super()._machine(done, now)
        self._waits_for = ""
        self._interface = done.interface
        return self._begin_lease(now)

    def _begin_lease(self, now: float) -> list[Effect]:
        who = self._person.user or self.profile.local_id or self.profile.group
        hardware = hardware_of(self._so_far.address, who)
        self._lease = Lease(hardware, self._so_far.leased, self._rng, now=now)
        return self._lease_due(now)

    def _lease_due(self, now: float) -> list[Effect]:
        """Ask, or ask again, or ask for longer."""
        if self._parts_at <= now:
            self._parts_at = inf
            return self._leave(self._leaving, now)
        lease = self._lease
        if lease is None or lease.deadline > now:
            return []
        octets = lease.send(now)
        if lease.lost:
            return self._without_lease(lease.problem, now)
        sa = self._endpoint.get(self._sa)
        there = sa is not None and any((p.local, p.remote) == self._ends for p in sa.pairs)
        made = [] if there else self._quick(*self._ends, now)
        return [*made, self._inquire(octets, lease.deadline - now)]

    def _inquire(self, octets: bytes, patience: float) -> Effect:
        self._inquiry += 1
        to, source = (self._so_far.address, SERVER_PORT), (self._so_far.leased, SERVER_PORT)
        return Inquire(self._inquiry, octets, to, source, patience)

    def _without_lease(self, problem: str, now: float) -> list[Effect]:
        """Nobody answered, or the server wants the address back."""
        self._lease = None
        told = self._event("client.lease-failed", gateway=self._so_far.address, problem=problem)
        return [told, *self._leave("no-address", now)]

    def _give_back(self, reason: str, now: float) -> list[Effect]:
        """Before the connection is left for ``reason``: the address, and a moment for that."""
        lease, self._lease = self._lease, None
        octets = lease.release() if lease is not None else b""
        if lease is None or not octets or self._endpoint.get(self._sa) is None:
            return []
        self._leaving, self._parts_at = reason, now + PARTING
        told = self._event("client.lease-returned", address=lease.given.address)
        return [told, self._inquire(octets, PARTING)]

    def _replied(self, replied: Replied, now: float) -> list[Effect]:
        lease = self._lease
        if lease is None:
            return []
        before = lease.given.address
        begun = lease.heard(replied.octets, now)
        if begun and before not in ("", lease.given.address):
            return self._without_lease(f"the server now lends {lease.given.address}", now)
        if lease.lost:
            return self._without_lease(lease.problem, now)
        if not begun or before:
            return []
        given = lease.given
        told = self._event("client.leased", address=given.address, dns=given.dns)
        return [told, *self._configured(given, now)]
