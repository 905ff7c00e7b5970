"""Joint: what every part of a connection has: profile, IKE SAs, the open question, words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

from culvert import __version__
from culvert.client.absent import Absent
from culvert.client.doubt import Doubt
from culvert.client.hosts import Hosts
from culvert.client.idle import Idle
from culvert.client.person import Person
from culvert.client.polling import Polling
from culvert.client.progress import CLIENT_TYPE, Progress
from culvert.client.returning import Returning
from culvert.client.settings import NATT_PORT, settings_of
from culvert.client.ways import Ways
from culvert.crypto.hash import hmac
from culvert.datapath.mtu import Carriage, carriage_of
from culvert.effects import (
    Effect,
    Record,
    TunnelSettings,
)
from culvert.eventlog.event import Field, LogEvent
from culvert.ike.carriage import streamed
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.outputs import (
    AskPerson,
    Authenticated,
    Configured,
    LoggedIn,
    Moved,
    Output,
    Over,
    Send,
)
from culvert.ike.settings import Settings
from culvert.inet.address import Path
from culvert.orders.certificates import CertificateOrders, Shown
from culvert.profile.profile import Profile
from culvert.profile.watching import ALWAYS
from culvert.rng import Random

Derive = Callable[[str, bytes, bytes], bytes]

_OF_A_RENEWAL = (Authenticated, LoggedIn, Configured, Moved, Over)
_OF_A_PROBE = (Authenticated, AskPerson, LoggedIn, Configured, Moved, Over)


class Joint(ABC):
    """``began``: wall time and monotonic second of one moment, from which wall times follow.
    ``derive``: SKEYID of a hash's name, the group key and both nonces (RFC 2409 §5).
    ``person``: who connects, if that is not for ``profile`` to say."""

    def __init__(
        self,
        profile: Profile,
        rng: Random,
        *,
        began: tuple[datetime, float],
        bare_esp: bool = False,
        certificate: Shown | None = None,
        authorities: tuple[bytes, ...] = (),
        derive: Derive = hmac,
        person: Person | None = None,
    ) -> None:
        self.profile = profile
        self._derive = derive
        self._rng = rng
        self.state = "idle"
        self._wall, self._began = began
        self._endpoint = Endpoint(
            settings_of(
                profile,
                f"culvert {__version__}:{CLIENT_TYPE}",
                bare_esp=bare_esp,
                certificate=certificate,
                authorities=authorities,
            ),
            rng,
            natt_port=NATT_PORT,
            settings_for=self._settings_for,
        )
        self._certificates = CertificateOrders(certificate)
        self._sa = 0
        self._person = person or Person(profile)
        self._ticket: int = 0
        self._waits_for = ""  # what the open ticket is about
        self._so_far = Progress()
        self._leaving = ""
        self._no_stream = False  # TCP was tried for this call, in vain
        self._hosts = Hosts(profile.hosts)
        self._ways = Ways(profile, bare_esp=bare_esp)
        always = profile.keepalive == ALWAYS
        self._returning = Returning(float(profile.reconnect), rng, always=always)
        self._idle = Idle(0.0 if always else float(profile.keepalive))
        self._polling = Polling(
            interval=float(profile.polling_interval), retries=profile.polling_retries
        )
        self._doubt = Doubt()
        self._probe = 0  # a call beside the connection that still stands
        self._held: list[Output] = []  # what it says before it is known whether it is needed
        self._renewal = 0  # the IKE SA that is to succeed this connection's
        self._asking = 0  # the IKE SA whose question the person has before them
        self._patient_until = inf  # when an unanswered attempt to come back is given up
        self._interface = ""
        self._set_up: TunnelSettings | None = None
        self._had = ""  # the inner address last given, which the gateway may keep for us still
        self._absent = Absent()

    def _settings_for(self, path: Path) -> Settings:
        way, usual = self._ways.current, replace(self._endpoint.settings, address=self._had)
        if not streamed(path):
            return usual if way is None else way.settings(usual)
        return replace(usual, natt=(), over_udp=False, streamed=True)

    def _awaited(self, ticket: int) -> bool:
        return ticket == self._ticket and bool(self._waits_for)

    def _told(self, event: LogEvent) -> Effect:
        return Record(event.with_fields(connection=self.profile.name))

    def _event(self, code: str, **fields: Field) -> Effect:
        return self._told(LogEvent(code, fields))

    def _wall_time(self, at: float) -> str:
        return (self._wall + timedelta(seconds=at - self._began)).isoformat() if at < inf else ""

    def _carry(self, numbered: Iterable[Numbered], now: float) -> list[Effect]:
        made: list[Effect] = []
        for number, output in numbered:
            if number == self._probe and isinstance(output, _OF_A_PROBE):
                made += self._probed(output, now)
            elif number == self._renewal and isinstance(output, _OF_A_RENEWAL):
                made += self._renewed(output, now)
            elif number in self._ours or isinstance(output, LogEvent | Send):
                made += self._one(number, output, now)
        return made

    @property
    def _ours(self) -> tuple[int, int, int]:
        """The IKE SAs of this connection: its own, and those beside it (0: none)."""
        return self._sa, self._probe, self._renewal

    def _close(self, number: int, reason: str, now: float) -> list[Effect]:
        """End an IKE SA without words."""
        return self._carry(self._endpoint.act(number, lambda sa: sa.close(reason, now=now)), now)

    def _enter(self, step: str) -> None:
        """The next step; all of them are one to who waits for the connection to come back."""
        self.state = "reconnecting" if self._returning.under_way else step

    @property
    def _encapsulated(self) -> bool:
        sa = self._endpoint.get(self._sa)
        return sa is not None and sa.encapsulated

    @property
    def _carriage(self) -> Carriage:
        if self._so_far.stream is not None:
            return Carriage.TCP
        if not self._encapsulated:
            return Carriage.UDP if self._so_far.udp_port else Carriage.BARE
        sa = self._endpoint.get(self._sa)
        return carriage_of(sa.path.local[1]) if sa is not None else Carriage.UDP

    @property
    def _unity(self) -> bool:
        sa = self._endpoint.get(self._sa)
        ours = self._endpoint.settings.unity
        return ours and sa is not None and "unity" in sa.features

    @abstractmethod
    def _one(self, number: int, output: Output, now: float) -> list[Effect]:
        """What an IKE SA of this connection said."""

    @abstractmethod
    def _probed(self, output: Output, now: float) -> list[Effect]:
        """What became of the call beside the connection."""

    @abstractmethod
    def _renewed(self, output: Output, now: float) -> list[Effect]:
        """How far the renewal of phase 1 is."""

    @abstractmethod
    def _leave(self, reason: str, now: float) -> list[Effect]:
        """End it from here, for ``reason`` (tables/endings.toml)."""

    @abstractmethod
    def _call(self, now: float) -> list[Effect]:
        """Call the gateway whose address is known."""
