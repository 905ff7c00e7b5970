"""A world: one gateway with a private network, clients, and the network between them.

10.10.10.x ── NAT 171.69.89.78 ──┐
                                 ├── network ── gateway 172.16.172.50 ── 192.168.2.0/24
198.51.100.x ────────────────────┘
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from math import inf
from typing import Any

from culvert.gateway.config import GatewayConfig, load
from culvert.inet import ipv4
from culvert.profile.profile import Profile
from culvert.profile.proposal import WEAKNESSES
from culvert.rng import SeededRandom
from culvert.secret import Secret
from simulation.certificates import Vault
from simulation.ends import IKE_PORT, NATT_PORT, ClientEnd, End, GatewayEnd
from simulation.journal import diagram
from simulation.nat import Depends, Nat
from simulation.network import PERFECT, Faults, Link, Network
from simulation.people import SCHEME
from simulation.timeline import Timeline

GATEWAY = "172.16.172.50"
LAN = "192.168.2.0/24"
SERVER = "192.168.2.10"
PAT = "171.69.89.78"
BEGAN = datetime(2002, 10, 20, 20, 0, tzinfo=UTC)  # a Sunday evening

GROUP, GROUP_KEY = "ciscovpn", "a-long-group-key-of-the-lab"
PASSWORD = "the right password"  # of everybody
USERS = (*[f"vpnclient{number}" for number in range(1, 13)], "occupant")
STRANGER = ("nobody-knows-me", PASSWORD)

EVERY_SWITCH = tuple(sorted({*WEAKNESSES, "fast-hash"}))
QUICK_PHASE1 = "aes128-sha1-modp1024"  # the cheapest to compute: most worlds are not about suites
QUICK_PHASE2 = "aes128-sha1"

BETWEEN_PROBES = 0.5
MOST_LINES = 300  # of a diagram that a failure shows

PROBING = 40.0  # seconds: with 20 % loss each way the chance that no probe gets through is nil


@dataclass(frozen=True, slots=True)
class Terms:
    """What a gateway of the simulation is told."""

    phase1: tuple[str, ...] = (QUICK_PHASE1,)
    phase2: tuple[str, ...] = (QUICK_PHASE2,)
    addresses: int = 20
    session_limit: int = 100
    max_logins: int = 0
    hours: str = ""
    tries: int = 0
    half_open_limit: int = 1000
    half_open_per_source: int = 64
    unproved_rate: int = 512_000
    unproved_burst: int = 512_000
    phase1_lifetime: int = 86_400
    phase2_lifetime: int = 28_800
    phase2_volume: int = 0
    alert: bool = True
    idle_timeout: int = 0
    max_connect_time: int = 0
    identity: str = ""
    authentication: tuple[str, ...] = ("xauth-psk",)
    aggressive_certificates: bool = False
    vpn3000_vendor_id: bool = False
    keepalive_interval: int = 20
    certificate_group: str = ""
    main_mode: bool = False
    legacy: tuple[str, ...] = EVERY_SWITCH
    split_include: tuple[str, ...] = (LAN,)
    backup_servers: tuple[str, ...] = ()
    preset: str = "none"
    nat_traversal: str = ""  # of the group alone
    dns: tuple[str, ...] = ()
    nbns: tuple[str, ...] = ()
    ike_fragmentation: bool = True
    over_udp: bool = False

    @property
    def toml(self) -> str:
        hours = f'hours = ["{self.hours}"]' if self.hours else ""
        natt = f'nat_traversal = "{self.nat_traversal}"' if self.nat_traversal else ""
        people = "".join(
            f'[[user]]\nname = "{name}"\npassword_hash = "{_hash()}"\ngroups = ["{GROUP}"]\n'
            for name in USERS
        )
        return f"""\
[gateway]
preset = "{self.preset}"
lan = ["{LAN}"]
identity = "{self.identity}"
authentication = {list(self.authentication)}
vpn3000_vendor_id = {str(self.vpn3000_vendor_id).lower()}
keepalive_interval = {self.keepalive_interval}
aggressive_certificates = {str(self.aggressive_certificates).lower()}
certificate_group = "{self.certificate_group}"
main_mode_group = "{GROUP if self.main_mode else ""}"
phase1 = {list(self.phase1)}
phase2 = {list(self.phase2)}
legacy = {list(self.legacy)}
session_limit = {self.session_limit}
ike_fragmentation = {str(self.ike_fragmentation).lower()}
half_open_limit = {self.half_open_limit}
half_open_per_source = {self.half_open_per_source}
unproved_rate = {self.unproved_rate}
unproved_burst = {self.unproved_burst}
phase1_lifetime = {self.phase1_lifetime}
phase2_lifetime = {self.phase2_lifetime}
phase2_volume = {self.phase2_volume}
ipsec_over_udp = {str(self.over_udp).lower()}
alert_when_disconnecting = {str(self.alert).lower()}
[lockout]
tries = {self.tries}
[users]
backend = "fast-hash"
[[pool]]
name = "clients"
addresses = ["40.1.1.1-40.1.1.{self.addresses}"]
[[group]]
name = "{GROUP}"
key = "{GROUP_KEY}"
max_logins = {self.max_logins}
idle_timeout = {self.idle_timeout}
max_connect_time = {self.max_connect_time}
split_include = {list(self.split_include)}
backup_servers = {list(self.backup_servers)}
dns = {list(self.dns)}
nbns = {list(self.nbns)}
{hours}
{natt}
{people}"""


@cache
def _hash() -> str:
    return SCHEME.hash(Secret(PASSWORD))


@cache
def configuration(terms: Terms) -> GatewayConfig:
    return load(terms.toml, "gateway.toml")


def profile(name: str = "office", **changes: Any) -> Profile:
    """A profile that fits `Terms`; its person is asked for name and password."""
    values: dict[str, Any] = {
        "host": "vpn.example.com",
        "group": GROUP,
        "group_key": Secret(GROUP_KEY),
        "phase1": (QUICK_PHASE1,),
        "phase2": (QUICK_PHASE2,),
        "legacy": tuple(sorted(WEAKNESSES)),
        "remote_networks": (LAN,),
        "reconnect": 0,  # tests of what ends a connection; tests of coming back say so
        **changes,
    }
    return Profile(name, **values)


class World:
    """Everything that happens follows from ``seed`` (and the calls that a test makes).

    ``bare_esp``: the gateway's machine can carry ESP without UDP. ``vault``: what it has of
    certificates.
    """

    gateway_kind: type[GatewayEnd] = GatewayEnd

    def __init__(
        self,
        seed: int,
        terms: Terms | None = None,
        *,
        bare_esp: bool = True,
        vault: Vault | None = None,
    ) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.timeline = Timeline()
        self.network = Network(self.timeline, random.Random(seed + 1))
        self.clients: list[ClientEnd] = []
        self.nat = self.new_nat(PAT)
        self._bare_esp = bare_esp
        self.gateway = self.new_gateway("G", GATEWAY, terms or Terms(), vault=vault)

    def new_gateway(
        self, name: str, address: str, terms: Terms, *, vault: Vault | None = None
    ) -> GatewayEnd:
        """One more, with people and addresses of its own."""
        made = self.gateway_kind(
            name,
            self.network,
            configuration(terms),
            SeededRandom(self.seed),
            began=BEGAN,
            bare_esp=self._bare_esp,
            vault=vault,
        )
        made.link = self.network.join(Link(made, address))
        return made

    def new_nat(
        self,
        address: str,
        *,
        mapping: Depends = Depends.ENDPOINT,
        filtering: Depends = Depends.ADDRESS_AND_PORT,
        preserves: bool = True,
    ) -> Nat:
        return Nat(
            address,
            random.Random(self.seed + 2),
            mapping=mapping,
            filtering=filtering,
            preserves=preserves,
        )

    def client(
        self,
        kept: Profile | None = None,
        *,
        person: tuple[str, str] | None = None,
        behind: Nat | None = None,
        faults: Faults = PERFECT,
        bare_esp: bool = True,
        host: str = GATEWAY,
        vault: Vault | None = None,
    ) -> ClientEnd:
        """One more client, not connected yet; it stands in the public network unless ``behind``
        a NAT, and calls ``host``. Without a ``person`` its user is the next of `USERS`, with the
        right password."""
        number = len(self.clients) + 1
        made = ClientEnd(
            f"C{number}",
            self.network,
            kept or profile(),
            SeededRandom(self.seed * 1000 + number),
            person=person or (USERS[number - 1], PASSWORD),
            gateway=host,
            began=BEGAN,
            bare_esp=bare_esp,
            vault=vault,
        )
        address = f"10.10.10.{number + 1}" if behind else f"198.51.100.{number + 1}"
        made.link = self.network.join(Link(made, address, faults, behind))
        self.clients.append(made)
        return made

    def put_gateway_behind(self, nat: Nat) -> None:
        """With its two ports forwarded; clients then call the NAT's address."""
        if self.gateway.link is None:
            raise AssertionError("the gateway is joined to no network")
        self.network.move(self.gateway.link, "10.99.0.1", nat)
        for port in (IKE_PORT, NATT_PORT):
            nat.forward(("10.99.0.1", port))

    # --- time --------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        return self.timeline.now

    def run(self, seconds: float) -> None:
        self.timeline.run(until=self.now + seconds)

    def run_until(self, holds: Callable[[], bool], *, within: float) -> bool:
        """Whether ``holds`` came true within so many seconds; runs no further than that."""
        return self.timeline.run(until=self.now + within, stop=holds)

    def decided(self, client: ClientEnd, *, within: float = 300.0) -> bool:
        """Run until the client's attempt is up or over."""
        return self.run_until(lambda: client.up or client.down, within=within)

    # --- packets -----------------------------------------------------------------------------

    def passes_both_ways(self, client: ClientEnd, *, within: float = PROBING) -> bool:
        """Whether a packet gets through the tunnel in each direction: only then are the keys the
        same. Sends again and again, because the network may lose some."""
        address = client.address
        number = self.chance.getrandbits(32)
        there = packet(address, SERVER, number)
        back = packet(SERVER, address, number)

        def through() -> bool:
            return there in self.gateway.inside and back in client.inside

        until = self.now + within
        while not through() and self.now < until:
            client.carry(there)
            self.gateway.carry(back)
            self.run_until(through, within=BETWEEN_PROBES)
        return through()

    # --- afterwards --------------------------------------------------------------------------

    def left_over(self) -> list[str]:
        """What still exists although everybody is gone; empty if everything was cleaned up."""
        found = [f"gateway: {what}" for what in _left_at_gateway(self.gateway)]
        for client in self.clients:
            found += [f"{client.name}: {what}" for what in _left_at_client(client)]
        return found

    @property
    def drawn(self) -> str:
        """The sequence diagram up to now."""
        return diagram(self.network.journal)

    @contextmanager
    def shown_if_wrong(self) -> Iterator[None]:
        """A failure inside tells its seed and draws what happened."""
        try:
            yield
        except AssertionError as error:
            error.add_note(f"seed {self.seed}\n{_shortened(self.drawn)}")
            raise


def _shortened(drawn: str) -> str:
    """The beginning and the end of a long diagram."""
    lines = drawn.splitlines()
    if len(lines) > MOST_LINES:
        left_out = len(lines) - MOST_LINES
        lines[MOST_LINES // 3 : -2 * MOST_LINES // 3] = [f"… {left_out} lines left out …"]
    return "\n".join(lines)


def packet(source: str, destination: str, number: int) -> bytes:
    payload = b"\x0f\xa0\x00\x35\x00\x0c\x00\x00" + number.to_bytes(4, "big")
    return ipv4.build(17, octets(source), octets(destination), payload)


def octets(host: str) -> bytes:
    return bytes(int(part) for part in host.split("."))


def _left_at_gateway(end: GatewayEnd) -> Iterable[str]:
    core: Any = end.core  # tests look inside, so that nothing can be forgotten
    yield from _left_in_endpoint(core._endpoint)
    sessions = core._sessions
    kept = (sessions._owners, sessions._callers, sessions._checks, sessions._quiet)
    kept += (sessions._at_source, sessions._with_address)
    if core._clients or core._tickets or any(kept):
        yield f"{core._clients} {core._tickets} {kept}"
    if len(core._certificates.orders) or core._certificates._identities:
        yield f"{len(core._certificates.orders)} questions about certificates"
    for pool in sessions.pools.values():
        if pool.leased:
            yield f"leases {list(pool.leases())}"
    if len(end.table):
        yield f"sessions {list(end.table)}"
    yield from _left_in_plane(end)
    if end.core.deadline < inf:
        yield f"a timer at {end.core.deadline}"


def _left_at_client(end: ClientEnd) -> Iterable[str]:
    core: Any = end.core
    yield from _left_in_endpoint(core._endpoint)
    if len(core._certificates):
        yield f"{len(core._certificates)} questions about certificates"
    if end.machine is not None:
        yield "the machine is still set up"
    yield from _left_in_plane(end)
    if end.core.deadline < inf:
        yield f"a timer at {end.core.deadline}"


def _left_in_endpoint(endpoint: Any) -> Iterable[str]:
    if len(endpoint):
        yield f"{len(endpoint)} IKE SAs"
    if len(endpoint.spis):
        yield f"{len(endpoint.spis)} SPIs"
    tables = (
        "_by_cookies",
        "_by_question",
        "_half_open",
        "_per_source",
        "_per_port",
        "_questions",
        "_armed",
    )
    for table in tables:
        if getattr(endpoint, table):
            yield f"{table} {getattr(endpoint, table)}"


def _left_in_plane(end: End) -> Iterable[str]:
    plane: Any = end.plane
    if plane._sessions or plane._sad:
        yield f"SAs {list(plane._sad)} of sessions {list(plane._sessions)}"
