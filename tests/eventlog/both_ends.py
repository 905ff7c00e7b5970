"""A real client core and a real gateway core behind an address translator, in virtual time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import inf
from typing import Any

from culvert.client.connection import Connection
from culvert.effects import (
    Answer,
    AskHuman,
    ConfigureMachine,
    Effect,
    HumanAnswered,
    Judge,
    Judged,
    MachineConfigured,
    Record,
    Resolve,
    Resolved,
    SendIke,
)
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.eventlog.story import Explanation, tell
from culvert.gateway.config import load
from culvert.gateway.ipsec import IpsecGateway
from culvert.inet.address import Path
from culvert.profile.profile import Profile
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.session.table import SessionTable
from culvert.vault.group_keys import GroupKeys
from eventlog.samples import BEGAN

CLIENT, PAT, GATEWAY = "10.10.10.2", "171.69.89.78", "172.16.172.50"
MAPPED = {500: 1024, 4500: 61001}
"""The ports of the client as the address translator shows them."""
UNMAPPED = {mapped: port for port, mapped in MAPPED.items()}

WAY = 0.025
"""Seconds from one end to the other."""
TYPING = 17.0
"""Seconds a person takes to answer."""

CONFIG = """
[gateway]
legacy = ["aggressive-psk", "weak-group-key", "modp1024", "sha1"]
[[pool]]
name = "clients"
addresses = ["40.1.1.1-40.1.1.1"]
[[group]]
name = "sales"
key = "group-key"
split_include = ["192.168.2.0/24"]
[[user]]
name = "ann"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$\
c29tZXNhbHRzb21lc2FsdA$QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"
groups = ["sales"]
"""


@dataclass
class BothEnds:
    """``judge`` says what the vault would, with the event it would record.

    ``gateway_inside``: its own address, if it too is behind an address translator.
    """

    group: str = "sales"
    group_key: str = "group-key"
    phase1: tuple[str, ...] = ("aes256-sha2_256-modp2048",)
    silent: bool = False
    gateway_inside: str = GATEWAY
    options: str = ""
    """Lines of the configuration's [gateway] beside the usual ones."""
    wishes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Keys of the profile beside the usual ones."""
    judge: Callable[[Judge], tuple[Judged, str]] = field(
        default=lambda asked: (Judged(asked.ticket, accepted=True, user=asked.user), "accepted")
    )

    def __post_init__(self) -> None:
        self.now = 1000.0
        profile = Profile(
            name="office",
            host="vpn.example.org",
            group=self.group,
            group_key=Secret(self.group_key),
            phase1=self.phase1,
            legacy=("aggressive-psk", "modp1024", "sha1"),
            remote_networks=("192.168.2.0/24",),
        )
        profile = replace(profile, **self.wishes)
        written = CONFIG.replace("[gateway]", f"[gateway]\n{self.options}")
        config = load(written, "gateway.toml")
        began = (BEGAN, self.now)
        rng = SeededRandom(7)
        self.client = Connection(profile, SeededRandom(1), began=began)
        self.gateway = IpsecGateway(
            config,
            SessionTable(limit=10),
            GroupKeys(config.group_keys, rng),
            rng,
            began=began,
        )
        self.at_client, self.at_gateway = EventLog(), EventLog()
        self._due: deque[tuple[float, Callable[[], None]]] = deque()

    def connect(self, seconds: float = 60.0) -> None:
        """Connect, and let time pass."""
        self._client_does(self.client.connect(now=self.now))
        until = self.now + seconds
        while self._next() <= until:
            self._step()
        self.now = until

    def disconnect(self) -> None:
        """The client's user ends it."""
        self._client_does(self.client.disconnect(now=self.now))

    def client_story(self) -> Explanation:
        return tell(self.at_client.rings.story("office"))

    def gateway_story(self) -> Explanation:
        """Of whatever moved last there."""
        rings = self.at_gateway.rings
        return tell(rings.story(rings.keys()[-1]))

    def _next(self) -> float:
        coming = min((at for at, _ in self._due), default=inf)
        return min(coming, self.client.deadline, self.gateway.deadline)

    def _step(self) -> None:
        self.now = max(self.now, self._next())
        ready = sorted((one for one in self._due if one[0] <= self.now), key=lambda one: one[0])
        if ready:
            self._due.remove(ready[0])
            ready[0][1]()
        elif self.client.deadline <= self.now:
            self._client_does(self.client.tick(now=self.now))
        else:
            self._gateway_does(self.gateway.tick(now=self.now))

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        self._due.append((self.now + seconds, call))

    def _client_does(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Record(event=event):
                    self._record(self.at_client, event)
                case SendIke() if not self.silent:
                    outer = (PAT, MAPPED[effect.local_port])
                    arrived = Path(
                        (self.gateway_inside, effect.to[1]), outer, encapsulated=effect.marker
                    )
                    self._later(WAY, lambda o=effect.octets, p=arrived: self._at_gateway(o, p))
                case Resolve():
                    self._answer_client(0.01, Resolved(effect.ticket, (GATEWAY,)))
                case AskHuman(ticket=ticket, wants=wants):
                    said = {want: Secret("ann" if want == "user" else "pw") for want in wants}
                    self._answer_client(TYPING, HumanAnswered(ticket, said))
                case ConfigureMachine():
                    done = MachineConfigured(effect.ticket, interface="culvert0")
                    self._answer_client(0.2, done)
                case _:
                    pass  # the data path and the end of sessions are not part of this

    def _gateway_does(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Record(event=event):
                    self._record(self.at_gateway, event)
                case SendIke():
                    inner = (CLIENT, UNMAPPED[effect.to[1]])
                    arrived = Path(inner, (GATEWAY, effect.local_port), encapsulated=effect.marker)
                    self._later(WAY, lambda o=effect.octets, p=arrived: self._at_client(o, p))
                case Judge():
                    verdict, word = self.judge(effect)
                    fields = {"user": effect.user, "group": effect.group, "source": effect.source}
                    self._record(self.at_gateway, LogEvent(f"auth.{word}", fields))
                    self._later(0.05, lambda v=verdict: self._gateway_hears(v))
                case _:
                    pass

    def _at_gateway(self, octets: bytes, path: Path) -> None:
        self._gateway_does(self.gateway.receive(octets, path, now=self.now))

    def _at_client(self, octets: bytes, path: Path) -> None:
        self._client_does(self.client.receive(octets, path, now=self.now))

    def _gateway_hears(self, answer: Answer) -> None:
        self._gateway_does(self.gateway.step(answer, now=self.now))

    def _answer_client(self, seconds: float, answer: Answer) -> None:
        self._later(seconds, lambda: self._client_does(self.client.step(answer, now=self.now)))

    def _record(self, log: EventLog, event: LogEvent) -> Entry:
        at = BEGAN + timedelta(seconds=self.now - 1000.0)
        return log.record(event, at=at, now=self.now)
