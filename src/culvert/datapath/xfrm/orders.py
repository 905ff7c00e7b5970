"""What is to stand in the kernel, and what it says of it: values without any message form.

They pass between the processes of a gateway (`culvert.driver.message`). Which virtual interface
they belong to is not in them: whoever carries them out decides that, so that nobody who orders can
touch what is another's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Direction(StrEnum):
    INBOUND = "in"
    OUTBOUND = "out"
    FORWARDED = "forward"


@dataclass(frozen=True, slots=True)
class State:
    """One SA in tunnel mode. ``source`` and ``destination`` are the hosts its packets travel
    between; with ports, in UDP. ``request`` joins it to policies.

    ``soft_octets``: `Expired` is told then; ``hard_octets``: it is removed then (0: no limit), as
    after so many ``seconds``.
    ``sequence``, ``highest``, ``seen``: where another engine stopped (`culvert.datapath.plane`).
    """

    spi: int
    source: str
    destination: str
    cipher: str
    integrity: str
    cipher_key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    integrity_key: bytes = field(repr=False)
    request: int
    source_port: int = 0
    destination_port: int = 0
    soft_octets: int = 0
    hard_octets: int = 0
    seconds: int = 0
    sequence: int = 0
    highest: int = 0
    seen: bytes = b""


@dataclass(frozen=True, slots=True)
class StateName:
    """What the kernel knows an SA by."""

    spi: int
    destination: str


@dataclass(frozen=True, slots=True)
class Policy:
    """Packets from ``source`` to ``destination`` (prefixes) take, or have taken, an SA between
    ``near`` and ``far`` with this ``request``; exactly the one of ``spi``, if that is not 0."""

    direction: str
    source: str
    destination: str
    near: str
    far: str
    request: int
    spi: int = 0


@dataclass(frozen=True, slots=True)
class PolicyName:
    direction: str
    source: str
    destination: str


Order = State | StateName | Policy | PolicyName
"""A whole one is made, or replaces what has its name; a name alone is removed."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An SA as it stands. ``interface``: the number of the one it belongs to. ``seen``: as in
    `culvert.datapath.plane.Progress`."""

    spi: int
    destination: str
    interface: int
    octets: int
    packets: int
    replayed: int
    not_authentic: int
    sequence: int = 0
    highest: int = 0
    seen: bytes = b""


@dataclass(frozen=True, slots=True)
class Expired:
    """An SA has carried what it should; ``hard``: all it may, and it is gone."""

    spi: int
    destination: str
    hard: bool


@dataclass(frozen=True, slots=True)
class Remapped:
    """An authentic packet of this SA came from elsewhere: a NAT has changed its mind."""

    spi: int
    destination: str
    host: str
    port: int


News = Expired | Remapped
