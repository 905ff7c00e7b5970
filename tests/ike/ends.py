"""Two endpoints on a wire in virtual time: every question is answered at once, all is kept.

The client calls ``gateway_called``; a NAT in between shows the gateway ``client_seen`` instead of
the client's own address. ``meddle`` sees every datagram before it arrives, and may change it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_network

from culvert.eventlog.event import Field, LogEvent
from culvert.ike.endpoint import Endpoint, Numbered
from culvert.ike.keys import skeyid_from_psk
from culvert.ike.outputs import (
    Activate,
    AskConfiguration,
    AskGroupKey,
    AskPerson,
    CheckPerson,
    Configuration,
    GroupKey,
    Install,
    Output,
    Over,
    PersonAnswer,
    Remove,
    Send,
    Verdict,
)
from culvert.ike.peer import IkeSa
from culvert.ike.selector import ANY, Selector
from culvert.ike.settings import Role, Settings, Timing
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.config import INTERNAL_IP4_ADDRESS
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import Part
from culvert.inet.address import Address, Path
from culvert.rng import SeededRandom
from culvert.secret import Secret

CLIENT, GATEWAY = "10.0.0.5", "192.0.2.1"
INNER = Selector(ip_network("10.9.0.7/32"))
EVERYWHERE = Selector(ANY)
QUIET = Timing(dpd_delay=0.0)

Meddle = Callable[[str, bytes], bytes | None]


def settings(role: Role, suite: str = "aes128-sha1-modp768", esp: str = "aes128-sha1") -> Settings:
    group = Identity.of_group("staff")
    return Settings(
        role,
        group if role is Role.INITIATOR else Identity.of_address(GATEWAY),
        (IkeSuite.named(suite),),
        (EspSuite.named(esp),),
        timing=QUIET,
    )


@dataclass
class End:
    """One endpoint and everything it ever put out. ``installed`` is what a data path would hold."""

    endpoint: Endpoint
    outputs: list[tuple[float, Output]] = field(default_factory=list)
    installed: dict[int, Install] = field(default_factory=dict)
    active: set[int] = field(default_factory=set)

    def of(self, kind: type[Output]) -> list[Output]:
        return [output for _, output in self.outputs if isinstance(output, kind)]

    def events(self, code: str) -> list[dict[str, Field]]:
        return [
            dict(output.fields)
            for _, output in self.outputs
            if isinstance(output, LogEvent) and output.code == code
        ]

    def when(self, code: str) -> list[float]:
        found = ((at, o) for at, o in self.outputs if isinstance(o, LogEvent))
        return [at for at, event in found if event.code == code]

    @property
    def endings(self) -> list[tuple[str, bool]]:
        return [(over.reason, over.by_peer) for over in self.of(Over) if isinstance(over, Over)]


class Ends:
    def __init__(
        self,
        client: Settings | None = None,
        gateway: Settings | None = None,
        *,
        client_seen: str = CLIENT,
        gateway_called: str = GATEWAY,
    ) -> None:
        self.now = 0.0
        self.client = End(Endpoint(client or settings(Role.INITIATOR), SeededRandom(1)))
        self.gateway = End(Endpoint(gateway or settings(Role.RESPONDER), SeededRandom(2)))
        self.client_seen, self.gateway_called = client_seen, gateway_called
        self.person: Callable[[AskPerson], PersonAnswer | None] = _says_password
        self.judge: Callable[[CheckPerson], Verdict] = _knows_password
        self.meddle: Meddle = lambda _, octets: octets
        self._on_wire: list[tuple[str, bytes, Path]] = []
        self.number = 0

    # --- what is under test ------------------------------------------------------------------

    @property
    def client_sa(self) -> IkeSa:
        found = self.client.endpoint.get(self.number)
        assert found is not None, "the client's IKE SA is over"
        return found

    @property
    def gateway_sa(self) -> IkeSa:
        found = [self.gateway.endpoint.get(number) for number in range(1, 50)]
        (living,) = [sa for sa in found if sa is not None]
        return living

    # --- moving ------------------------------------------------------------------------------

    def call(self) -> None:
        path = Path((CLIENT, 500), (self.gateway_called, 500))
        self.number, made = self.client.endpoint.call(path, now=self.now)
        self._handle(self.client, made)
        self.settle()

    def connect(self) -> None:
        """As far as an address."""
        self.call()
        self.until(self.now + 1.0)

    def quick(self, *remotes: Selector) -> None:
        """The client asks for a pair for each of these, all at once."""
        for remote in remotes or (EVERYWHERE,):
            self.act(self.client, lambda sa, to=remote: sa.start_quick(INNER, to, now=self.now))
        self.settle()

    def up(self) -> None:
        self.connect()
        self.quick()

    def act(self, end: End, command: Callable[[IkeSa], list[Output]]) -> None:
        """Without settling, so that both ends may act at once."""
        sa = self.client_sa if end is self.client else self.gateway_sa
        self._handle(end, end.endpoint.act(sa.number, command))

    def say(self, end: End, exchange: int, message_id: int, *parts: Part) -> None:
        """An authentic message of this content."""

        def command(sa: IkeSa) -> list[Output]:
            sa.channel.send_sealed(exchange, message_id, parts)
            sa.channel.end_exchange(message_id)
            made, sa.channel.out = sa.channel.out, []
            return made

        self.act(end, command)
        self.settle()

    def until(self, when: float) -> None:
        """All that is due up to then."""
        while True:
            due = min(self.client.endpoint.deadline, self.gateway.endpoint.deadline)
            if due > when:
                break
            self.now = max(due, self.now)
            for end in (self.client, self.gateway):
                self._handle(end, end.endpoint.tick(now=self.now))
            self.settle()
        self.now = when

    def settle(self) -> None:
        """Deliver until nothing is on the wire."""
        while self._on_wire:
            to, octets, path = self._on_wire.pop(0)
            meddled = self.meddle(to, octets)
            if meddled is not None:
                self.arrive(to, meddled, path)

    def arrive(self, to: str, octets: bytes, path: Path) -> None:
        end = self.client if to == "client" else self.gateway
        self._handle(end, end.endpoint.receive(octets, path, now=self.now))

    # --- answering ---------------------------------------------------------------------------

    def _handle(self, end: End, made: list[Numbered]) -> None:
        for number, output in made:
            end.outputs.append((self.now, output))
            match output:
                case Send():
                    self._send(end, output)
                case AskGroupKey():
                    nonces = output.nonce_i, output.nonce_r
                    key = skeyid_from_psk(output.hash_name, b"group key", *nonces)
                    self._answer(end, number, GroupKey(key, "staff"))
                case AskPerson():
                    said = self.person(output)
                    if said is not None:
                        self._answer(end, number, said)
                case CheckPerson():
                    self._answer(end, number, self.judge(output))
                case AskConfiguration():
                    self._answer(end, number, configuration())
                case Install():
                    end.installed[output.number] = output
                case Activate():
                    assert output.number in end.installed, "a pair that is not installed"
                    end.active.add(output.number)
                case Remove():
                    del end.installed[output.number]
                    end.active.discard(output.number)
                case _:
                    pass

    def _answer(
        self, end: End, number: int, given: GroupKey | PersonAnswer | Verdict | Configuration
    ) -> None:
        self._handle(end, end.endpoint.step(number, given, now=self.now))

    def _send(self, end: End, sent: Send) -> None:
        path = sent.path
        if end is self.client:
            seen: Address = (self.client_seen, path.local[1])
            arrived = Path((GATEWAY, path.remote[1]), seen, path.encapsulated)
            self._on_wire.append(("gateway", sent.octets, arrived))
        else:
            called: Address = (self.gateway_called, path.local[1])
            arrived = Path((CLIENT, path.remote[1]), called, path.encapsulated)
            self._on_wire.append(("client", sent.octets, arrived))


def configuration() -> Configuration:
    address = Attribute.octets(INTERNAL_IP4_ADDRESS, INNER.network.network_address.packed)
    return Configuration((address,), (INNER,), (EVERYWHERE,))


def _says_password(asked: AskPerson) -> PersonAnswer | None:
    return PersonAnswer({"user": Secret("alice"), "password": Secret("secret")})


def _knows_password(asked: CheckPerson) -> Verdict:
    accepted = asked.password == Secret("secret")
    return Verdict(accepted, asked.user, reason="" if accepted else "wrong password")


def with_life(made: Settings, *, phase1: int = 0, phase2: int = 0) -> Settings:
    return replace(
        made,
        phase1_life=replace(made.phase1_life, seconds=phase1 or made.phase1_life.seconds),
        phase2_life=replace(made.phase2_life, seconds=phase2 or made.phase2_life.seconds),
    )


def up(client: Settings | None = None, gateway: Settings | None = None) -> Ends:
    ends = Ends(client, gateway)
    ends.up()
    assert_both_carry(ends, 1)
    return ends


def assert_both_carry(ends: Ends, pairs: int) -> None:
    """Both ends hold the same pairs, mirrored, and each may send through all of them."""
    here, there = ends.client.installed.values(), ends.gateway.installed.values()
    assert len(here) == len(there) == pairs
    assert {(p.inbound.spi, p.outbound.spi) for p in here} == {
        (p.outbound.spi, p.inbound.spi) for p in there
    }
    mirrored = {p.inbound.spi: p for p in there}
    for pair in here:
        other = mirrored[pair.outbound.spi]
        assert (pair.inbound, pair.outbound) == (other.outbound, other.inbound)
        assert (pair.local, pair.remote) == (other.remote, other.local)
        assert pair.udp_encapsulated == other.udp_encapsulated
    assert ends.client.active == set(ends.client.installed)
    assert ends.gateway.active == set(ends.gateway.installed)
