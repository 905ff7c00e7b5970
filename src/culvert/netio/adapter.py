"""The network adapters of this machine and their MTU, by rtnetlink."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from culvert.netio.netlink import Kernel, Message, kernel

IFF_UP = 1
IFF_LOOPBACK = 8
ETHERNET = 1500

LEAST = 68
"""Octets. The least that every IPv4 host takes whole (RFC 791 §3.1)."""
LEAST_IPV6 = 1280
"""Octets. Below it the kernel ends IPv6 on an adapter (RFC 8200 §5)."""
_MOST = 65_535

_IPV6 = Path("/proc/sys/net/ipv6/conf")


@dataclass(frozen=True, slots=True)
class Adapter:
    """``most``: the largest MTU that the device takes. ``factory``: what its driver begins with."""

    name: str
    index: int
    mtu: int
    most: int
    up: bool
    loopback: bool
    ipv6: bool
    factory: int = ETHERNET


def adapters() -> tuple[Adapter, ...]:
    """All of this network namespace, in the kernel's order. Raises `PlatformError`."""
    with kernel("list of network adapters") as k:
        return _listed(k)


def set_mtu(adapter: Adapter, mtu: int) -> int:
    """Set it, at once; what the adapter has then. Raises `PlatformError`."""
    with kernel(f"MTU {mtu} of {adapter.name}") as k:
        k.link("set", index=adapter.index, mtu=mtu)
        return next(one.mtu for one in _listed(k) if one.index == adapter.index)


def _listed(k: Kernel) -> tuple[Adapter, ...]:
    return tuple([_adapter(message) for message in k.link("dump")])


def _adapter(message: Message) -> Adapter:
    name = str(message.get_attr("IFLA_IFNAME"))
    mtu, most = (_number(message.get_attr(f"IFLA_{key}")) for key in ("MTU", "MAX_MTU"))
    flags = message["flags"]
    return Adapter(
        name,
        message["index"],
        mtu,
        most or _MOST,
        up=bool(flags & IFF_UP),
        loopback=bool(flags & IFF_LOOPBACK),
        ipv6=_has_ipv6(name),
    )


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _has_ipv6(name: str) -> bool:
    try:
        return (_IPV6 / name / "disable_ipv6").read_text("ascii").strip() == "0"
    except OSError:
        return False  # no IPv6 in this kernel, or already ended on this adapter
