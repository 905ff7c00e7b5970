"""What an IKE SA may ask for (outputs) and be given (inputs) besides datagrams and time.

Outputs are orders, inputs are nouns. The coordinators in ``client/`` and ``gateway/`` turn outputs
into effects and effects' answers into inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from culvert.eventlog.event import LogEvent
from culvert.ike.question import FIRST, Question
from culvert.ike.selector import Selector
from culvert.ike.settings import Settings
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.firewall import Firewall
from culvert.ike.wire.identity import Identity
from culvert.inet.address import Path
from culvert.secret import Secret

AGGRESSIVE_PSK = "aggressive-psk"
"""The switch for group keys in aggressive mode (tables/profile_names.toml)."""

# --- outputs -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Send:
    """One ISAKMP datagram, without non-ESP marker, along ``path``."""

    octets: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class SendKeepalive:
    """One NAT keepalive (a single 0xFF octet, RFC 3948 §2.3) along ``path``."""

    path: Path


@dataclass(frozen=True, slots=True)
class AskGroupKey:
    """Responder: derive SKEYID for who claims to be ``identity``; answer with `GroupKey`.

    SKEYID = prf(key, nonce_i | nonce_r) (RFC 2409 §5), so the key itself stays in the vault. For an
    identity it does not know the vault answers with a decoy, and the exchange fails later as a
    wrong key does.
    """

    identity: Identity
    hash_name: str
    nonce_i: bytes
    nonce_r: bytes


@dataclass(frozen=True, slots=True)
class AskGroup:
    """Responder: which group is a caller who proves itself later; answer with `KnownGroup`."""

    identity: Identity


@dataclass(frozen=True, slots=True)
class AskSignature:
    """Sign ``digest`` (HASH_I or HASH_R, RFC 2409 §5.1) with our private key; answer with
    `Signature`.

    ``exchange``: the cookies, one signature for each. ``authorities``: those the peer asked for,
    None if it asked for no certificate. ``unproved``: the answer goes to an address that nobody
    has proved, so it is a favour that has to be rationed.
    """

    digest: bytes = field(repr=False)
    exchange: str
    authorities: tuple[bytes, ...] | None = None
    unproved: bool = False


@dataclass(frozen=True, slots=True)
class AskCertificate:
    """Is the peer ``identity``, and is ``signature`` over ``digest`` its own? Answer with
    `CertificateVerdict`. ``chain`` is what its CERT payloads held."""

    chain: tuple[bytes, ...] = field(repr=False)
    identity: Identity
    digest: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    exchange: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Phase 1 stands: both ends proved themselves. XAUTH may follow.

    ``exchange``: the mode, "aggressive" or "main". ``initial_contact``: the peer remembers no
    earlier SA of its own. ``name``: whose certificate it has, empty without one.
    """

    suite: IkeSuite
    exchange: str
    identity: Identity
    initial_contact: bool = False
    name: str = ""

    @property
    def weak(self) -> tuple[str, ...]:
        """Switches that had to be on for it."""
        guessable = self.exchange == "aggressive" and self.suite.authentication.skeyid == "psk"
        return tuple(sorted(self.suite.legacy | ({AGGRESSIVE_PSK} if guessable else set[str]())))


@dataclass(frozen=True, slots=True)
class CheckPerson:
    """Responder: judge this XAUTH answer; answer with `Verdict`.

    ``answers``: what else was answered, by what was wanted. ``response``: RADIUS-CHAP's, an
    identifier octet and MD5(identifier | password | challenge), in place of a password.
    """

    user: str
    password: Secret
    answers: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    asked: Question = FIRST
    response: bytes = b""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Phase 1 has its key: for a key log, if somebody asked for one; else it is forgotten."""

    cookie_i: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Renew:
    """Initiator: the IKE SA's life nears its end. Call the peer again, and let the new IKE SA
    `succeed` this one."""


@dataclass(frozen=True, slots=True)
class AskPerson:
    """Initiator: the gateway wants to know who is there; answer with `PersonAnswer`.

    ``repeated`` is true when an earlier answer in this connection did not suffice: a stored
    password must not be replayed.
    """

    wants: tuple[str, ...]
    message: str = ""
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """XAUTH is over and was accepted."""

    user: str


@dataclass(frozen=True, slots=True)
class AskConfiguration:
    """Responder: the client asks for these Mode Config attributes; answer with `Configuration`.

    ``application`` is the client's APPLICATION_VERSION, ``host`` its DDNS host name, if sent.
    """

    wanted: tuple[int, ...]
    attributes: tuple[Attribute, ...]
    application: str = ""
    host: str = ""
    firewall: Firewall | None = None


@dataclass(frozen=True, slots=True)
class Configured:
    """Initiator: the gateway's Mode Config answer."""

    attributes: tuple[Attribute, ...]


@dataclass(frozen=True, slots=True)
class SaKeys:
    """One direction of an IPsec SA."""

    spi: int
    cipher_key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    integrity_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Install:
    """A pair of IPsec SAs is ready.

    ``local`` and ``remote`` are what each side carries, seen from here. ``number`` is this pair's
    name within its IKE SA. The inbound half may receive at once; the outbound half carries from
    `Activate` on (RFC 2409 §5.5: the responder knows only with message 3 that keys agree). Either
    SA may carry ``hard_octets``, a successor is wanted from ``soft_octets`` on (0: no such limit).
    ``cpi_in`` and ``cpi_out``: what compressed packets say, if the suite has compression.
    """

    number: int
    suite: EspSuite
    inbound: SaKeys
    outbound: SaKeys
    local: Selector
    remote: Selector
    path: Path
    udp_encapsulated: bool
    life_seconds: int
    life_kilobytes: int
    replaces: int = 0
    transport: bool = False
    soft_octets: int = 0
    hard_octets: int = 0
    cpi_in: int = 0
    cpi_out: int = 0


@dataclass(frozen=True, slots=True)
class Activate:
    """Packets may leave through pair ``number`` now."""

    number: int


@dataclass(frozen=True, slots=True)
class Remove:
    """Pair ``number`` is over."""

    number: int
    inbound_spi: int
    outbound_spi: int


@dataclass(frozen=True, slots=True)
class Moved:
    """An authentic message came from elsewhere: send everything there from now on."""

    path: Path


@dataclass(frozen=True, slots=True)
class Announced:
    """The peer says that it is where this came from now, and which name servers it has."""

    dns: tuple[str, ...]
    nbns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Over:
    """This IKE SA has ended, exactly once. ``reason`` is a row of tables/endings.toml.

    A delete with reason brings its number (``code``) and, from our own kind, the row's id
    (``told``), which is only a claim of the peer's.
    """

    reason: str
    by_peer: bool = False
    detail: str = ""
    code: int = 0
    told: str = ""


Output = (
    Send
    | SendKeepalive
    | AskGroupKey
    | AskGroup
    | AskSignature
    | AskCertificate
    | Authenticated
    | CheckPerson
    | Keyed
    | Renew
    | AskPerson
    | LoggedIn
    | AskConfiguration
    | Configured
    | Install
    | Activate
    | Remove
    | Moved
    | Announced
    | Over
    | LogEvent
)

# --- inputs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GroupKey:
    """SKEYID for `AskGroupKey`. ``group`` is empty for a decoy.

    ``settings``: what holds for this group from here on, where that is more than for all.
    """

    skeyid: bytes = field(repr=False)
    group: str
    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class KnownGroup:
    """For an `AskGroup`; ``group`` is empty for one that there is not."""

    group: str
    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """For an `AskSignature`, with our certificate and those between it and its authority.

    Without octets there is a ``problem``, a sentence, and a ``reason`` of tables/endings.toml.
    """

    octets: bytes = field(default=b"", repr=False)
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    reason: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CertificateVerdict:
    """For an `AskCertificate`. When refused, ``reason`` is a row of tables/endings.toml and
    ``detail`` says what is wrong and what to change.

    ``name``: whose certificate it is. ``group`` and ``settings`` as in `GroupKey`.
    """

    accepted: bool
    reason: str = ""
    detail: str = ""
    name: str = ""
    group: str = ""
    settings: Settings | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """About a `CheckPerson`. ``ask``: one more round."""

    accepted: bool
    user: str = ""
    reason: str = ""
    ask: Question | None = None


@dataclass(frozen=True, slots=True)
class PersonAnswer:
    """For an `AskPerson`: values by what was wanted ('user', 'password', …); None gives up."""

    values: dict[str, Secret] | None


@dataclass(frozen=True, slots=True)
class Configuration:
    """For an `AskConfiguration`: attributes to hand out, and what quick mode may then agree on.

    ``refused`` names a row of tables/endings.toml when there is nothing to hand out.
    """

    attributes: tuple[Attribute, ...] = ()
    peer_may_use: tuple[Selector, ...] = ()
    reachable: tuple[Selector, ...] = ()
    refused: str = ""


Input = (
    GroupKey | KnownGroup | Signature | CertificateVerdict | Verdict | PersonAnswer | Configuration
)
