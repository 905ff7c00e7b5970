"""The UDP sockets of a gateway, opened or inherited, with their lanes (`culvert.inet.lane`)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from culvert.errors import PlatformError
from culvert.gateway.config import GatewayConfig, RestartSettings
from culvert.gateway.succession import Inheritance
from culvert.inet.address import Address
from culvert.netio.lanes import with_lanes, with_workers
from culvert.netio.udp import UdpSocket

MOST_WITH_LANES = 12
"""Addresses to listen at with lanes: all sockets must fit one message between two processes (253
descriptors), when a gateway restarts. With more addresses each has one queue for all sessions."""

NATT_TAKEN = (
    "NAT traversal needs this port, and clients expect no other: move what has it (an older "
    "set-up of IPsec over UDP, another VPN program) to another port, or stop it."
)


def open_sockets(
    restart: RestartSettings, before: Inheritance | None = None
) -> tuple[list[UdpSocket], list[UdpSocket]]:
    """IKE and NAT-T sockets at every address to listen on; all or, with PlatformError, none."""
    ike: list[UdpSocket] = []
    natt: list[UdpSocket] = []
    try:
        ike += (_socket(before, "ike", (host, restart.ike_port)) for host in restart.listen)
        for host in restart.listen:
            natt += _laned(before, "natt", (host, restart.natt_port), restart)
    except PlatformError:
        for one in (*ike, *natt):
            one.close()
        raise
    return ike, natt


@dataclass(slots=True)
class Ports:
    """The sockets of one worker, without those of ESP only."""

    ike: list[UdpSocket] = field(default_factory=list[UdpSocket])
    natt: list[UdpSocket] = field(default_factory=list[UdpSocket])

    def close(self) -> None:
        for one in (*self.ike, *self.natt):
            one.close()


def open_shared(restart: RestartSettings) -> list[Ports]:
    """As `open_sockets`, for each worker."""
    made = [Ports() for _ in range(restart.workers)]
    try:
        for host in restart.listen:
            ike = _socket(None, "ike", (host, restart.ike_port))
            made[0].ike.append(ike)
            others = with_workers(ike, restart.workers, lanes=False)[1:]
            for one, found in zip(made[1:], others, strict=True):
                one.ike += found
            natt = _socket(None, "natt", (host, restart.natt_port))
            made[0].natt.append(natt)
            first, *others = with_workers(natt, restart.workers, lanes=True)
            made[0].natt += first[1:]
            for one, found in zip(made[1:], others, strict=True):
                one.natt += found
    except PlatformError:
        for one in made:
            one.close()
        raise
    return made


def open_beside(config: GatewayConfig, before: Inheritance | None = None) -> list[UdpSocket]:
    """The sockets of ESP in UDP by Cisco's own way, if a group has it."""
    if not any(group.over_udp for group in config.live.groups):
        return []
    restart, found = config.restart, list[UdpSocket]()
    for host in restart.listen:
        found += _laned(before, "beside", (host, restart.udp_port), restart)
    return found


def kind_of(kind: str, lane: int) -> str:
    """What a socket is called when it is handed on."""
    return f"{kind}.{lane}" if lane else kind


def by_port(opened: Iterable[UdpSocket]) -> tuple[tuple[int, ...], ...]:
    """Descriptors; with each socket those of its lanes."""
    groups: list[list[int]] = []
    for one in opened:
        if not one.lane:
            groups.append([])
        groups[-1].append(one.fileno())
    return tuple(tuple(group) for group in groups)


def listening(opened: Sequence[UdpSocket]) -> list[UdpSocket]:
    """One of each port."""
    return [one for one in opened if not one.lane]


def _laned(
    before: Inheritance | None, kind: str, local: Address, restart: RestartSettings
) -> list[UdpSocket]:
    first = _socket(before, kind, local)
    if len(restart.listen) > MOST_WITH_LANES:
        return [first]
    return with_lanes(
        first, lambda lane: before.take(kind_of(kind, lane), local) if before else None
    )


def _socket(before: Inheritance | None, kind: str, local: Address) -> UdpSocket:
    """The one that the process before had, or a new one."""
    given = before.take(kind, local) if before else None
    if given is not None:
        return UdpSocket(given, encapsulated=kind != "ike")
    try:
        return UdpSocket.bind(*local, encapsulated=kind != "ike")
    except PlatformError as error:
        raise PlatformError(
            error.what, action=NATT_TAKEN if kind == "natt" else error.action
        ) from error
