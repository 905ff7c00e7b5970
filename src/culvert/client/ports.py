"""The sockets of one connection, opened here or inherited, and the data path made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from culvert.datapath.fragmentation import Policy
from culvert.datapath.plane import Plane
from culvert.datapath.xfrm.plane import Hand, KernelPlane
from culvert.driver.pump import Pump
from culvert.driver.user_engine import Choice
from culvert.errors import PlatformError
from culvert.ike.carriage import UDP_PORT
from culvert.inet.marks import chosen
from culvert.netio.raw_esp import RawEsp
from culvert.netio.udp import UdpSocket
from culvert.profile.profile import Profile
from culvert.rng import Random

IKE_PORT, NATT_PORT = 500, 4500

FIXED = (
    "Stop that program, or let the connection use another port: "
    'ike_port = "dynamic", natt_port = "dynamic" in its profile.'
)


@dataclass(frozen=True, slots=True)
class Ports:
    """``beside``: for ESP in UDP by Cisco's own way. ``esp``: plain ESP; None without it."""

    ike: Sequence[UdpSocket]
    natt: Sequence[UdpSocket]
    beside: Sequence[UdpSocket]
    esp: RawEsp | None

    @classmethod
    def open(cls, profile: Profile, *, bare_esp: bool) -> Ports:
        """Those that the profile wants. Raises PlatformError if they cannot be had."""
        ike, natt = _open_ports(profile)
        opened = cls(ike, natt, [], None)
        try:
            beside = [_bind("0.0.0.0", UDP_PORT)] if profile.ipsec_over_udp else []  # noqa: S104
            opened = cls(ike, natt, beside, None)
            return cls(ike, natt, beside, RawEsp.open() if bare_esp else None)
        except PlatformError:
            opened.close()
            raise

    def close(self) -> None:
        """Closing twice is normal."""
        for one in (*self.ike, *self.natt, *self.beside, *((self.esp,) if self.esp else ())):
            one.close()

    def pump(self, profile: Profile, engine: Choice, rng: Random, hand: Hand | None) -> Pump:
        """The data path. ``hand``: to the kernel's IPsec, if that carries the packets."""
        return Pump(
            self._plane(profile, engine, rng, hand),
            self.ike,
            self.natt,
            esp=self.esp,
            beside=(UDP_PORT, self.beside),
            ports=(IKE_PORT, NATT_PORT),
        )

    def _plane(self, profile: Profile, engine: Choice, rng: Random, hand: Hand | None) -> Plane:
        if hand is None:
            copied = chosen(dscp=profile.copy_dscp, ecn=profile.copy_ecn)
            return engine.make(rng, copied=copied, cut=Policy(profile.fragmentation))
        for one in self.natt:
            one.leave_esp_to_the_kernel()
        return KernelPlane(hand, {NATT_PORT: self.natt[0].local[1]})


def _open_ports(profile: Profile) -> tuple[list[UdpSocket], list[UdpSocket]]:
    """Sockets for IKE and for NAT-T, at the ports that the profile wants.

    IPv6 ones where this machine has IPv6. Raises PlatformError if they cannot be had.
    """
    wishes = (IKE_PORT, profile.ike_port), (NATT_PORT, profile.natt_port)
    ike, natt = ([_bind("0.0.0.0", *wish)] for wish in wishes)  # noqa: S104  # any way leads out
    try:
        six = [_bind("::", *wish) for wish in wishes]
    except PlatformError:
        return [*ike], [*natt]  # a machine without IPv6
    return [*ike, six[0]], [*natt, six[1]]


def _bind(host: str, port: int, wish: str = "prefer-fixed") -> UdpSocket:
    """``wish``: that of a profile's ``ike_port`` and ``natt_port``."""
    encapsulated = port in (NATT_PORT, UDP_PORT)
    if wish == "dynamic":
        return UdpSocket.bind(host, 0, encapsulated=encapsulated)
    try:
        return UdpSocket.bind(host, port, encapsulated=encapsulated)
    except PlatformError as error:
        if wish == "fixed":
            raise PlatformError(error.what, action=FIXED) from error
        # Another connection or another VPN program has it; gateways take any (RFC 3947 §3).
        return UdpSocket.bind(host, 0, encapsulated=encapsulated)
