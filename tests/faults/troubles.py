"""What else may go wrong with a connection, in virtual time: one case for each other diagnosis."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from culvert.effects import Judge, Judged
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import load
from culvert.ike.wire.header import OCTETS, QUICK, TRANSACTION
from culvert.ike.wire.message import parse_header
from culvert.inet.address import Address
from faults.on_the_way import MINUTES, drop, talks, up
from faults.provoked import Provoked, over, provokes, say
from faults.refused import SEED, USER, by_profile, ended
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import NATT_PORT, NON_ESP_MARKER, ClientEnd, End
from simulation.journal import Seen
from simulation.people import SimulatedJudge
from simulation.world import BEGAN, GATEWAY, GROUP, PASSWORD, Terms, World, profile

LONG = 600.0


def gone(world: World, client: ClientEnd) -> Provoked:
    """It is connected, or connecting, and will be down."""
    if not world.run_until(lambda: client.down, within=LONG):
        raise AssertionError(f"still {client.core.state}")
    world.run(MINUTES)
    return over(world, client, **{"messages the client sent": len(client.sent)})


# --- this machine ---------------------------------------------------------------------------------


@provokes("no-dns")
def no_dns() -> Provoked:
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.unresolved = "Name or service not known"
    client.connect()
    world.decided(client)
    return over(world, client, **{"questions about the name": 1})


def machine(problem: str) -> Provoked:
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.unconfigured = problem
    return ended(world, client)


@provokes("no-tun")
def no_tun() -> Provoked:
    return machine("/dev/net/tun: No such file or directory")


@provokes("no-privilege")
def no_privilege() -> Provoked:
    return machine("/dev/net/tun: Operation not permitted")


@provokes("disk-full")
def disk_full() -> Provoked:
    return machine("the undo log cannot be written: No space left on device")


@provokes("port-in-use")
def port_in_use() -> Provoked:
    return machine("UDP port 500: Address already in use")


@provokes("program-error")
def program_error() -> Provoked:
    """What the program around the core does when something in it breaks."""
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    say(client, "service.fault", what="the loop ended: ValueError: 7", action="Report it.")
    client.disconnect()
    return gone(world, client)


@provokes("no-poll-entry")
def no_poll_entry() -> Provoked:
    world = World(SEED)
    client = world.client(profile(keepalive=9999))
    client.connect()
    world.decided(client)
    return over(world, client, **{"seconds of keepalive": 9999})


# --- phase 1 --------------------------------------------------------------------------------------


@provokes("mode")
def mode() -> Provoked:
    return by_profile(exchange_mode="main")


@provokes("identity")
def identity() -> Provoked:
    return by_profile(Terms(identity="gw.example.com"), remote_id="@somebody-else")


@provokes("no-own-certificate")
def no_own_certificate() -> Provoked:
    terms = Terms(authentication=("rsa",), main_mode=True)
    world = World(SEED, terms, vault=gateway_vault(GATEWAY))
    vault = replace(person_vault(USER, GROUP), broken=True)
    kept = profile(authentication="rsa", exchange_mode="main")
    return ended(world, world.client(kept, vault=vault))


# --- the person -----------------------------------------------------------------------------------


@dataclass
class Says:
    """A vault that answers every login alike."""

    cause: str

    def judge(self, order: Judge, *, now: float) -> tuple[Judged, LogEvent]:
        word = Judged(order.ticket, accepted=False, reason="auth-rejected", cause=self.cause)
        fields = {"user": order.user, "group": order.group, "source": order.source}
        return word, LogEvent(f"auth.{self.cause}", fields)


def judged(cause: str) -> Provoked:
    world = World(SEED)
    world.gateway.judge = Says(cause)
    return ended(world, world.client(behind=world.nat))


def with_users(change: Callable[[str], str]) -> Provoked:
    """The gateway's file is another one."""
    world = World(SEED)
    gateway = world.gateway
    gateway.config = load(change(Terms().toml), "gateway.toml")
    gateway.judge = SimulatedJudge(gateway.config, (BEGAN, 0.0))
    gateway.reboot()
    return ended(world, world.client(behind=world.nat))


def _of_first_user(text: str, old: str, new: str) -> str:
    at = text.index(f'name = "{USER}"')
    return text[:at] + text[at:].replace(old, new, 1)


@provokes("not-in-group")
def not_in_group() -> Provoked:
    return with_users(lambda text: _of_first_user(text, f'groups = ["{GROUP}"]', "groups = []"))


@provokes("disabled-account")
def disabled_account() -> Provoked:
    return with_users(lambda text: _of_first_user(text, "groups =", "enabled = false\ngroups ="))


@provokes("expired-account")
def expired_account() -> Provoked:
    return judged("expired")


@provokes("too-many-logins")
def too_many_logins() -> Provoked:
    return judged("busy")


@provokes("no-user-store")
def no_user_store() -> Provoked:
    return judged("unavailable")


@provokes("nobody-answers")
def nobody_answers() -> Provoked:
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.person = None
    client.connect()
    return gone(world, client)


@provokes("login-undecided")
def login_undecided() -> Provoked:
    world = World(SEED)
    world.gateway.undecided = True
    client = world.client(behind=world.nat)
    client.connect()
    return gone(world, client)


# --- what they may have ---------------------------------------------------------------------------


def crowded(terms: Terms, occupant: str) -> Provoked:
    world = World(SEED, terms)
    up(world, world.client(person=(occupant, PASSWORD)))
    return ended(world, world.client(person=(USER, PASSWORD), behind=world.nat))


@provokes("session-limit")
def session_limit() -> Provoked:
    return crowded(Terms(session_limit=1), "occupant")


@provokes("duplicate-limit")
def duplicate_limit() -> Provoked:
    return crowded(Terms(max_logins=1), USER)


@provokes("outside-hours")
def outside_hours() -> Provoked:
    return by_profile(Terms(hours="mon-fri 08:00-18:00"))


@provokes("firewall-demanded")
def firewall_demanded() -> Provoked:
    return with_users(
        lambda text: text.replace("max_logins = 0", 'max_logins = 0\nfirewall = "required"', 1)
    )


# --- phase 2 and settings -------------------------------------------------------------------------


def silent_about(exchange: int, after: str) -> Provoked:
    """The network loses every message of one exchange from the moment ``after`` on."""
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.connect()
    world.run_until(lambda: bool(client.told(after)), within=LONG)
    drop(client, lambda seen: _is(seen, exchange))
    return gone(world, client)


def _is(seen: Seen, exchange: int) -> bool:
    whole = seen.message
    return len(whole) >= OCTETS and parse_header(whole).exchange == exchange


@provokes("no-settings")
def no_settings() -> Provoked:
    return silent_about(TRANSACTION, "xauth.accepted")


@provokes("phase-2-silent")
def phase_2_silent() -> Provoked:
    return silent_about(QUICK, "xauth.accepted")


def closed_by_gateway(reason: str, after: str) -> Provoked:
    """It ends the connection for this reason, and says so."""
    world = World(SEED)
    client = world.client(behind=world.nat)
    client.connect()
    world.run_until(lambda: bool(world.gateway.told(after)), within=LONG)
    gateway = world.gateway
    (number,) = gateway.core._clients
    gateway.do(gateway.core._close(number, reason, world.now))
    return gone(world, client)


@provokes("phase-2-ended")
def phase_2_ended() -> Provoked:
    return closed_by_gateway("phase2-refused", "config.sent")


@provokes("client-not-allowed")
def client_not_allowed() -> Provoked:
    return closed_by_gateway("client-not-allowed", "config.sent")


@provokes("certificate-refused-later")
def certificate_refused_later() -> Provoked:
    return closed_by_gateway("certificate-refused", "session.started")


@provokes("certificate-ran-out")
def certificate_ran_out() -> Provoked:
    return closed_by_gateway("certificate-expired", "session.started")


@provokes("gateway-reboots")
def gateway_reboots() -> Provoked:
    return closed_by_gateway("peer-reboot", "session.started")


@provokes("no-reason-given")
def no_reason_given() -> Provoked:
    return closed_by_gateway("peer-deleted", "session.started")


# --- data -----------------------------------------------------------------------------------------


@dataclass
class Tampering:
    """Stands before an end and changes an octet of every packet of the tunnel."""

    end: End
    name: str

    def datagram(self, octets: bytes, source: Address, to: Address) -> None:
        esp = to[1] == NATT_PORT and len(octets) > 1 and not octets.startswith(NON_ESP_MARKER)
        changed = octets[:-1] + bytes((octets[-1] ^ 1,)) if esp else octets
        self.end.datagram(changed, source, to)


@provokes("packets-altered")
def packets_altered() -> Provoked:
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    if client.link is None:
        raise AssertionError("the client is joined to no network")
    client.link.host = Tampering(client, client.name)
    talks(world, client, 5.0)
    world.run(MINUTES)
    dropped = sum(int(str(one.fields["count"])) for one in client.told("data.not-authentic"))
    return over(world, client, **{"packets dropped as not authentic": dropped})


# --- life -----------------------------------------------------------------------------------------


@provokes("renewal-silent")
def renewal_silent() -> Provoked:
    """Quick mode only: every question whether the gateway is there is answered."""
    world = World(SEED, Terms(phase2_lifetime=300))
    client = up(world, world.client(behind=world.nat))
    drop(client, lambda seen: _is(seen, QUICK))
    return gone(world, client)


@provokes("replaced")
def replaced() -> Provoked:
    """The client's machine lost power and connects anew."""
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    talks(world, client, 2.0)
    client.reboot()
    up(world, client)
    talks(world, client, 2.0)
    return over(world, client, **{"logins": len(client.told("xauth.accepted"))})


@provokes("by-user")
def by_user() -> Provoked:
    world = World(SEED)
    client = up(world, world.client(behind=world.nat))
    talks(world, client, 2.0)
    client.disconnect()
    return gone(world, client)
