"""What a coordinator may ask of the world. Drivers carry these out; nothing else has effects.

Every effect is a frozen value, so that the processes of a split gateway can exchange them.
Answers come back through the coordinator's ``step`` as the events at the end of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import Keyed
from culvert.ike.question import FIRST, Question
from culvert.ike.wire.identity import Identity
from culvert.inet.address import Address
from culvert.secret import Secret

# --- network -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendIke:
    """One ISAKMP datagram from our UDP port ``local_port``.

    ``marker``: put the non-ESP marker (four zero octets, RFC 3948 §2.2) in front.
    """

    octets: bytes
    to: Address
    local_port: int
    marker: bool = False


@dataclass(frozen=True, slots=True)
class SendRaw:
    """Octets as they are (NAT keepalive)."""

    octets: bytes
    to: Address
    local_port: int


# --- data path ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SaHalf:
    """One direction: SPI and keys. Names of ciphers and integrity stand in `InstallSa`."""

    spi: int
    cipher_key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    integrity_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class InstallSa:
    """A pair of SAs for ``session``; ``local``/``remote`` are prefixes as text, seen from here.

    ``cipher`` and ``integrity`` are names of tables/algorithms.toml (integrity empty for AEAD).
    ``replaces``: the pair it takes over from (outbound moves with `ActivateSa`). ``transport``:
    transport mode between the two hosts that ``local`` and ``remote`` are. Either SA may carry
    ``hard_octets`` and no more; `PairWorn` is told at ``soft_octets`` (0: no such limit).
    ``compression``: what IPComp compresses with (empty: nothing does); ``cpi_in`` and ``cpi_out``
    are what its packets then say. ``inner_mtu``: the longest packet that is to pass (0: what fits
    Ethernet).
    """

    session: int
    pair: int
    cipher: str
    integrity: str
    inbound: SaHalf
    outbound: SaHalf
    local: tuple[str, ...]
    remote: tuple[str, ...]
    peer: Address
    local_port: int
    udp_encapsulated: bool
    replaces: int = 0
    transport: bool = False
    soft_octets: int = 0
    hard_octets: int = 0
    compression: str = ""
    cpi_in: int = 0
    cpi_out: int = 0
    inner_mtu: int = 0


@dataclass(frozen=True, slots=True)
class ActivateSa:
    session: int
    pair: int


@dataclass(frozen=True, slots=True)
class RemoveSa:
    session: int
    pair: int


@dataclass(frozen=True, slots=True)
class MovePeer:
    """The session's packets go to ``peer`` from now on."""

    session: int
    peer: Address
    local_port: int


# --- people ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judge:
    """Vault: may this person in? Answered by `Judged` with the same ticket.

    ``answers``, ``response``: what else there is to judge by (`culvert.ike.outputs.CheckPerson`),
    and ``asked``, the question they answer. ``owner``: the same in all rounds of one login.
    """

    ticket: int
    group: str
    user: str
    password: Secret
    source: str
    answers: Mapping[str, Secret] = field(default_factory=dict[str, Secret])
    asked: Question = FIRST
    response: bytes = b""
    owner: int = 0


@dataclass(frozen=True, slots=True)
class Sign:
    """Vault: sign ``digest`` (HASH_I or HASH_R, RFC 2409 §5.1) with the private key ``key``.

    ``key`` empty: the one configured. ``exchange`` names the exchange by its cookies ("i/r" in
    hex); each gets one signature. Answered by `Signed`.
    """

    ticket: int
    key: str
    digest: bytes = field(repr=False)
    exchange: str


@dataclass(frozen=True, slots=True)
class JudgeCertificate:
    """Vault: is the peer ``identity``, and is ``signature`` over ``digest`` its own?

    ``chain``: the contents of its CERT payloads as received, in any order (X.509 certificates of
    encoding 4, PKCS#7 of encoding 1, CRLs of encoding 7; what they are is found out).
    Answered by `CertificateJudged`.
    """

    ticket: int
    chain: tuple[bytes, ...] = field(repr=False)
    identity: Identity
    digest: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    exchange: str
    source: str


@dataclass(frozen=True, slots=True)
class AskHuman:
    """Client front end: ask for these, with the gateway's message. Answered by `HumanAnswered`."""

    ticket: int
    wants: tuple[str, ...]
    message: str
    repeated: bool


# --- the client's machine ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TunnelSettings:
    """What the machine must look like while a connection is up.

    ``address`` may be empty: packets keep the addresses they have. ``own``: the machine's address
    in the network below, for packets to the gateway itself. ``closed``: nothing passes beside the
    tunnel. ``excluded`` stays outside it, with ``local_lan`` the networks this machine is in, but
    nothing of ``kept``. ``leased``: our outer address, from which DHCP asks the gateway through the
    tunnel. ``forward``: packets of networks behind this machine are to pass.
    """

    connection: str
    address: str
    prefix_length: int
    mtu: int
    routes: tuple[str, ...]
    excluded: tuple[str, ...]
    dns_servers: tuple[str, ...]
    search_domains: tuple[str, ...]
    split_domains: tuple[str, ...]
    gateway: str
    own: str = ""
    closed: bool = False
    local_lan: bool = False
    forward: bool = False
    kept: tuple[str, ...] = ()
    leased: str = ""


@dataclass(frozen=True, slots=True)
class ConfigureMachine:
    """Make it so, every change in the undo log first. Answered by `MachineConfigured`."""

    ticket: int
    settings: TunnelSettings


@dataclass(frozen=True, slots=True)
class RestoreMachine:
    connection: str


@dataclass(frozen=True, slots=True)
class Resolve:
    """Look up a host name. Answered by `Resolved`."""

    ticket: int
    host: str


@dataclass(frozen=True, slots=True)
class OpenStream:
    """Open a TCP stream to the gateway. Answered by `StreamOpened`."""

    ticket: int
    to: Address


@dataclass(frozen=True, slots=True)
class AskEcho:
    """An ICMP echo request to ``target`` from ``source``, an address of this machine, by whatever
    route leads there: into the tunnel. Answered by `EchoAnswered`, or within ``patience`` seconds
    not at all.
    """

    sequence: int
    target: str
    source: str
    patience: float


@dataclass(frozen=True, slots=True)
class Inquire:
    """One datagram by UDP ``to`` a host, from an address and port of this machine, by whatever
    route leads there. Answered by `Replied`, or within ``patience`` seconds not at all.
    """

    number: int
    octets: bytes
    to: Address
    source: Address
    patience: float


# --- telling -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """Put this into the event log."""

    event: LogEvent


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The coordinator has forgotten this session; drivers drop what they keep for it."""

    session: int
    reason: str
    by_peer: bool = False


Effect = (
    SendIke
    | SendRaw
    | InstallSa
    | ActivateSa
    | RemoveSa
    | MovePeer
    | Judge
    | Sign
    | JudgeCertificate
    | AskHuman
    | ConfigureMachine
    | RestoreMachine
    | Resolve
    | OpenStream
    | AskEcho
    | Inquire
    | Record
    | Keyed
    | SessionEnded
)

# --- what comes back ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """The vault's word. ``reason`` is a row of tables/endings.toml when refused.

    ``cause`` is the exact one, for the operator's eyes only. ``ask``: one more round, before the
    word is spoken.
    """

    ticket: int
    accepted: bool
    user: str = ""
    reason: str = ""
    cause: str = ""
    ask: Question | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """``signature`` is empty when there is a ``problem``, a plain sentence."""

    ticket: int
    signature: bytes = field(repr=False)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class CertificateJudged:
    """The vault's word about a peer's certificate.

    When refused, ``reason`` is a row of tables/endings.toml, ``cause`` one of
    tables/certificates.toml and ``problem`` its sentence with what to change. ``name`` is the
    common name, ``groups`` are the organisational units (Cisco gateways take OU for the group).
    ``warnings`` are sentences for the log: what is weak, what was not checked.
    """

    ticket: int
    accepted: bool
    subject: str = ""
    name: str = ""
    groups: tuple[str, ...] = ()
    reason: str = ""
    cause: str = ""
    problem: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HumanAnswered:
    """``values`` is None when the person gave up."""

    ticket: int
    values: Mapping[str, Secret] | None


@dataclass(frozen=True, slots=True)
class MachineConfigured:
    ticket: int
    interface: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Resolved:
    """``path_mtu``: octets of the longest packet that gets to the first IPv4 address whole.
    ``network``: where this machine is, in a word that is the same there another time; ``way``: what
    got through there last."""

    ticket: int
    addresses: tuple[str, ...]
    problem: str = ""
    path_mtu: int = 1500
    network: str = ""
    way: str = ""


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """``address``: whom to call over it, in place of the gateway; None when there is a problem."""

    ticket: int
    address: Address | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class EchoAnswered:
    """``target`` has answered the echo request of this number."""

    sequence: int
    target: str


@dataclass(frozen=True, slots=True)
class Replied:
    """What came back to the inquiry of this number. Nobody vouches for it."""

    number: int
    octets: bytes


@dataclass(frozen=True, slots=True)
class PeerMoved:
    """The data path saw an authentic packet of this session come from elsewhere."""

    session: int
    peer: Address
    local_port: int


@dataclass(frozen=True, slots=True)
class PairWorn:
    """A pair has carried nearly as much as its keys may: it wants a successor now.

    ``spent``: it has carried all it may. It must go.
    """

    session: int
    pair: int
    spent: bool = False


@dataclass(frozen=True, slots=True)
class Traffic:
    """Counters of a session as the data path has them (see session.counters)."""

    session: int
    octets_in: int
    octets_out: int
    packets_in: int
    packets_out: int
    dropped_in: int = 0
    dropped_out: int = 0


@dataclass(frozen=True, slots=True)
class NetworksWanted:
    """The person wants these networks behind the gateway from now on, in place of the former."""

    remote_networks: tuple[str, ...]


Answer = (
    Judged
    | Signed
    | CertificateJudged
    | HumanAnswered
    | MachineConfigured
    | Resolved
    | StreamOpened
    | EchoAnswered
    | Replied
    | PeerMoved
    | PairWorn
    | Traffic
    | NetworksWanted
)
