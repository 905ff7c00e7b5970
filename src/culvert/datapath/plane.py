"""Plane: what every engine of the data path offers, and the values that pass its border.

Drivers hand over batches as they read them and carry away what comes back; the pure-Python engine,
a compiled one and the kernel's own IPsec stand behind the same border. States needs of floors above
as protocols: `culvert.effects.InstallSa` is a `SaPair` as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from culvert.inet.address import Address

NATT_PORT = 4500  # RFC 3947 §4

BARE = 0
"""In place of a UDP port: plain ESP, IP protocol 50. Its peers are ``(host, 0)``."""


class SaHalf(Protocol):
    """One direction of a pair: SPI and keys."""

    @property
    def spi(self) -> int: ...
    @property
    def cipher_key(self) -> bytes: ...
    @property
    def salt(self) -> bytes: ...
    @property
    def integrity_key(self) -> bytes: ...


class SaPair(Protocol):
    """A pair of SAs to install; ``local`` and ``remote`` are prefixes as text, seen from here."""

    @property
    def session(self) -> int: ...
    @property
    def pair(self) -> int: ...
    @property
    def cipher(self) -> str: ...
    @property
    def integrity(self) -> str: ...
    @property
    def inbound(self) -> SaHalf: ...
    @property
    def outbound(self) -> SaHalf: ...
    @property
    def local(self) -> tuple[str, ...]: ...
    @property
    def remote(self) -> tuple[str, ...]: ...
    @property
    def peer(self) -> Address: ...
    @property
    def local_port(self) -> int: ...
    @property
    def udp_encapsulated(self) -> bool:
        """Whether ``local_port`` is a UDP port; `BARE` else."""
        ...

    @property
    def transport(self) -> bool:
        """Transport mode; ``local`` and ``remote`` are one IPv4 host each."""
        ...

    @property
    def compression(self) -> str:
        """What IPComp compresses with, a name of `culvert.esp.ipcomp`; empty: nothing does."""
        ...

    @property
    def cpi_in(self) -> int: ...
    @property
    def cpi_out(self) -> int: ...
    @property
    def soft_octets(self) -> int:
        """What either SA may carry before it must be renewed; 0: no such limit."""
        ...

    @property
    def hard_octets(self) -> int:
        """What either SA may carry at all; 0: no such limit."""
        ...

    @property
    def inner_mtu(self) -> int:
        """The longest packet that is to pass, where the way is known; 0: what fits Ethernet."""
        ...


class Drop(StrEnum):
    """Why a packet went no further, besides the refusals of `culvert.esp.sa.Refusal`."""

    SHORT = "short"  # neither ESP nor IKE nor a keepalive
    UNKNOWN_SPI = "unknown-spi"
    NOT_IP = "not-ip"  # the inner packet is no whole IPv4 or IPv6 packet
    NOT_LEASED = "not-leased"  # inner source outside what the session may use
    OUT_OF_SCOPE = "out-of-scope"  # inner destination outside what was agreed
    NO_SA = "no-sa"  # no active pair carries this source and destination
    TOO_BIG = "too-big"  # larger than the tunnel carries and not to be fragmented: answered by ICMP
    LOOP = "loop"  # a datagram of the tunnel itself, routed into the tunnel
    CONGESTED = "congested"  # a router marked it, and its sender would not hear (RFC 6040 §4.2)
    EXHAUSTED = (
        "exhausted"  # the sequence numbers of the SA, or its lifetime in octets, are used up
    )


class Moved(NamedTuple):
    """An authentic packet of ``session``, newer than all before, came from another address."""

    session: int
    peer: Address
    local_port: int


class Worn(NamedTuple):
    """A half of this pair is nearly used up: rekey now. ``spent``: it is used up, it must go."""

    session: int
    pair: int
    spent: bool = False


class Burst(NamedTuple):
    """Datagrams for one peer from one of our UDP ports, or `BARE`, in order.

    ``mark``: DSCP and ECN of all of them (`culvert.inet.marks`).
    """

    datagrams: list[bytes]
    peer: Address
    local_port: int
    mark: int = 0


@dataclass(slots=True)
class Inbound:
    """A batch from the network, sorted.

    ``ike``: ISAKMP datagrams, marker stripped. ``inside``: packets for the TUN. ``unknown``: how
    many datagrams with an SPI nobody knows came from where. ``worn``: as that of `Outbound`.
    """

    ike: list[tuple[bytes, Address]] = field(default_factory=list[tuple[bytes, Address]])
    inside: list[bytes] = field(default_factory=list[bytes])
    moved: list[Moved] = field(default_factory=list[Moved])
    unknown: dict[Address, int] = field(default_factory=dict[Address, int])
    worn: list[Worn] = field(default_factory=list[Worn])


@dataclass(slots=True)
class Outbound:
    """A batch from the TUN, sealed. ``returned``: ICMP answers to write back to the TUN.

    ``worn`` names each pair once in the batch in which it became worn, and once when it is spent.
    """

    bursts: list[Burst] = field(default_factory=list[Burst])
    returned: list[bytes] = field(default_factory=list[bytes])
    worn: list[Worn] = field(default_factory=list[Worn])


@dataclass(frozen=True, slots=True)
class Counters:
    """What one session carried so far; octets are those of inner packets.

    ``last_inbound``: when the last authentic packet came (-inf: none yet).
    """

    octets_in: int = 0
    octets_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    last_inbound: float = float("-inf")
    dropped_in: Mapping[str, int] = field(default_factory=dict[str, int])
    dropped_out: Mapping[str, int] = field(default_factory=dict[str, int])


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the keys of a pair are used up, for an engine that goes on with them.

    ``sequence``: the last number sealed. ``seen``: the replay window, 1024 bits, the lowest one of
    which is the number ``highest``. Octets as lifetimes count them.
    """

    sequence: int
    highest: int
    seen: bytes
    octets_out: int
    octets_in: int


@dataclass(frozen=True, slots=True)
class Received:
    """What a `Direct` read and could not finish itself. ``info``: which of our addresses a peer
    called, as the kernel's control message tells it (see `culvert.netio.udp.UdpSocket.heard`).

    ``carried``: whether packets went to the TUN. ``moved``, ``worn``: as those of `Inbound`.
    ``called``: whose peer now calls another address of ours.
    """

    carried: bool = False
    ike: Sequence[tuple[bytes, Address, bytes]] = ()
    moved: Sequence[tuple[Moved, bytes]] = ()
    called: Sequence[tuple[int, Address, bytes]] = ()
    unknown: Mapping[Address, int] = field(default_factory=dict[Address, int])
    worn: Sequence[Worn] = ()


@dataclass(frozen=True, slots=True)
class Transmitted:
    """What a `Direct` carried out of the TUN. ``read``: whether there was anything.

    ``blocked``: this socket is full; call again once it is writable, and leave the TUN until then
    (-1: none is).
    """

    read: bool = False
    blocked: int = -1
    returned: Sequence[bytes] = ()
    worn: Sequence[Worn] = ()


NOTHING_CAME, ALL_CARRIED = Received(), Received(carried=True)
NOTHING_READ, ALL_SENT = Transmitted(), Transmitted(read=True)
"""What most batches come to; made once, for a packet on an idle line waits for all that is made."""


class Direct(Protocol):
    """An engine that moves packets between descriptors by itself, a batch per call."""

    def attach(
        self,
        tun: int,
        sockets: Mapping[int, int],
        *,
        virtio: bool,
        joins_udp: bool,
        trains: bool,
        lane: int = 0,
    ) -> None:
        """Use this TUN (-1: none), and to send the socket of each IP version (4, 6), or the
        raw socket of `BARE` ESP. For each ``lane`` (`culvert.inet.lane`) its own, from 0 on.

        ``virtio``: the TUN has virtio headers. ``joins_udp``: it takes UDP super-packets.
        ``trains``: the sockets take UDP_SEGMENT.
        """
        ...

    def beside(self, port: int, sockets: Mapping[int, int]) -> None:
        """What leaves from ``port``, which carries ESP only, leaves by these (by IP version)."""
        ...

    def called(self, session: int, info: bytes) -> None:
        """Datagrams of the session leave from the address its peer called."""
        ...

    def receive(self, udp: int, now: float, local_port: int = NATT_PORT, lane: int = 0) -> Received:
        """From a socket to the TUN what has arrived, and no longer than one batch."""
        ...

    def transmit(self, lane: int = 0) -> Transmitted:
        """From the TUN to the sockets, likewise."""
        ...


class Plane(Protocol):
    """One engine. Not for use from two threads at a time."""

    @property
    def name(self) -> str:
        """Which engine this is, for `status`."""
        ...

    @property
    def virtio(self) -> bool:
        """Whether packets to and from the TUN carry a virtio header (and may be super-packets)."""
        ...

    @property
    def direct(self) -> Direct | None:
        """Itself, if it can read and write descriptors too."""
        ...

    @property
    def refused(self) -> Mapping[str, int]:
        """Drops that belong to no session, by reason."""
        ...

    def install(self, pair: SaPair) -> None:
        """The inbound half opens from now on; the outbound half waits for `activate`.

        Raises MisuseError for a suite nobody knows, keys of wrong length, an SPI in use.
        """
        ...

    def activate(self, session: int, pair: int) -> None:
        """Packets leave through ``pair`` now, before any older pair with the same selectors."""
        ...

    def remove(self, session: int, pair: int) -> None:
        """Both halves are over. A pair that is not there is not an error."""
        ...

    def move(self, session: int, peer: Address, local_port: int) -> None:
        """The session's datagrams go to ``peer`` from now on."""
        ...

    def forget(self, session: int) -> None:
        """Remove what is left of the session, counters included."""
        ...

    def from_network(
        self,
        batch: Sequence[tuple[bytes, Address]],
        now: float,
        local_port: int = NATT_PORT,
        marks: Sequence[int] = (),
    ) -> Inbound:
        """Datagrams that arrived on the UDP port that carries both IKE and ESP, or, with `BARE`,
        ESP without UDP. ``marks``: DSCP and ECN of each; none: they had neither."""
        ...

    def from_tunnel(self, packets: Sequence[bytes | memoryview], now: float) -> Outbound:
        """Packets that the machine routed into the TUN."""
        ...

    def traffic(self, session: int) -> Counters:
        """Counters of a session; zeros for one that has none."""
        ...

    def progress(self, session: int, pair: int) -> Progress:
        """For another engine. Whoever asks sees to it that this one seals nothing any more."""
        ...

    def go_on(self, session: int, pair: int, progress: Progress) -> None:
        """A pair just installed goes on where another engine stopped."""
        ...

    def recount(self, session: int, counters: Counters) -> None:
        """The session has carried this before."""
        ...
