"""Whether the servers behind the gateway know public names, where all names go to them (S1-77)."""

from __future__ import annotations

from math import inf

from culvert.client.leased import Leased
from culvert.client.name_service import name_service
from culvert.effects import Effect, Inquire, Replied
from culvert.errors import WireError
from culvert.inet import dns
from culvert.inet.dns import DnsMessage

PATIENCE = 5.0
TRIES = 2
NO_ANSWER = "no answer"


class Probed(Leased):
    """Asks once the connection is up; the answer decides nothing but a warning."""

    _names_asked = 0
    _names_left = 0
    _names_number = -1
    _names_deadline = inf

    def _up(self, now: float) -> list[Effect]:
        made = super()._up(now)
        names = name_service(self.profile, self._so_far.given)
        wanted = names.servers and not names.split and self.profile.dns_test_name
        self._names_left = TRIES if wanted else 0
        self._names_deadline = now if wanted else inf
        return made + self._names_due(now)

    def _names_due(self, now: float) -> list[Effect]:
        """Ask, or ask again, or say that nobody answers."""
        if self.state != "up":
            self._names_deadline = inf
        if self._names_deadline > now:
            return []
        if not self._names_left:
            return self._not_public(NO_ANSWER)
        self._names_left -= 1
        self._names_deadline = now + PATIENCE
        self._inquiry += 1
        self._names_asked = self._inquiry
        self._names_number = int.from_bytes(self._rng.octets(2), "big")
        octets = dns.question(self._names_number, self.profile.dns_test_name)
        source = (self._so_far.given.address, 0)
        return [
            Inquire(self._names_asked, octets, (self._names_server, dns.PORT), source, PATIENCE)
        ]

    @property
    def _names_server(self) -> str:
        return name_service(self.profile, self._so_far.given).servers[0]

    def _replied(self, replied: Replied, now: float) -> list[Effect]:
        if replied.number != self._names_asked:
            return super()._replied(replied, now)
        if self._names_deadline == inf:
            return []
        try:
            answer = DnsMessage.parse(replied.octets)
        except WireError:
            return []
        if not answer.response or answer.number != self._names_number:
            return []
        if not answer.code and answer.answers:
            self._names_deadline = inf
            return []
        return self._not_public(f"it says error {answer.code}" if answer.code else "no address")

    def _not_public(self, problem: str) -> list[Effect]:
        self._names_deadline = inf
        name, server = self.profile.dns_test_name, self._names_server
        return [self._event("client.dns-not-public", server=server, name=name, problem=problem)]
