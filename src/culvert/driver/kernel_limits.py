"""What the kernel's own IPsec cannot carry, so that user space does (docs/decisions/0160)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from culvert.ike.natt import EARLY_SWITCH
from culvert.ike.suite import EspSuite
from culvert.netio.xfrm import why_not

_LIMITS = {
    "tcp": "IPsec over TCP is not in the kernel's",
    "udp": "IPsec over Cisco's UDP is not in the kernel's",
    "early": "NAT-T drafts 00 and 01 are not in the kernel's IPsec",
    "transport": "transport mode is not done by the kernel's IPsec",
    "itself": "a tunnel to the far end itself is not kept apart by the kernel's IPsec",
    "closed": "a closed machine (fail_closed) is not kept closed by the kernel's IPsec",
    "cut": "other fragmentation or marks than usual are not done by the kernel's IPsec",
    "workers": "several workers cannot share the kernel's IPsec",
    "compression": "compression (IPComp) is not done by the kernel's IPsec",
}


def beyond(
    suites: Iterable[EspSuite],
    legacy: Iterable[str] = (),
    /,
    *,
    tcp: bool = False,
    udp: bool = False,
    transport: bool = False,
    itself: bool = False,
    closed: bool = False,
    cut: bool = False,
    workers: bool = False,
) -> str:
    """The first reason why user space serves; empty for none. Each flag: whether that is wanted."""
    offered = tuple(suites)
    wanted = {
        "tcp": tcp,
        "udp": udp,
        "early": EARLY_SWITCH in legacy,
        "transport": transport,
        "itself": itself,
        "closed": closed,
        "cut": cut,
        "workers": workers,
        "compression": any(suite.compression for suite in offered),
    }
    for limit, wants in wanted.items():
        if wants:
            return _LIMITS[limit]
    return next((why for suite in offered if (why := _lacking(suite))), "")


def _lacking(suite: EspSuite) -> str:
    integrity = suite.integrity.name if suite.integrity else ""
    return _asked(suite.cipher.cipher, integrity, suite.cipher.key_octets)


@cache
def _asked(cipher: str, integrity: str, key: int) -> str:
    return why_not(cipher, integrity, key)
