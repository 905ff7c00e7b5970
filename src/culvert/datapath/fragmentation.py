"""Packets larger than the tunnel takes: cut before or behind encryption, or answered (RFC 4301 §8).

The three policies of a VPN 3000's interface. Fragments of ESP are what many NAT devices lose: their
second half has no ports, and plain ESP has none at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

from culvert.datapath.plane import Drop
from culvert.errors import WireError
from culvert.inet import ipv4, ipv6
from culvert.inet.icmp import too_big


class Policy(StrEnum):
    """As `fragmentation` of a profile and of a gateway's configuration names them."""

    AFTER_IPSEC = "after-ipsec"
    """1: the ESP packet is cut, by the interface that it leaves through."""
    BEFORE_WITH_ICMP = "before-with-icmp"
    """2: the inner packet is cut; who forbids that (DF) hears how much fits."""
    BEFORE_CLEARING_DF = "before-clearing-df"
    """3: the inner packet is cut, whatever its DF says."""


NAMES = 1 << 16


class Cutter:
    """What one engine does with packets that are too large."""

    def __init__(self, policy: Policy = Policy.BEFORE_WITH_ICMP) -> None:
        self._policy = policy
        self._named = 0

    def sized(
        self, packet: bytes, mtu: int, dropped: Counter[str], returned: list[bytes]
    ) -> Sequence[bytes]:
        """Of a packet larger than ``mtu`` what is to be sealed; none: it was answered and is gone.

        IPv6 packets are cut by their senders only (RFC 8200 §5), so the third policy answers them
        as the second does.
        """
        if self._policy is Policy.AFTER_IPSEC:
            return (packet,)
        try:
            if packet[0] >> 4 == 6:
                # No link may offer IPv6 less; the outer datagram is fragmented instead.
                mtu = max(mtu, ipv6.SMALLEST_MTU)
                if len(packet) <= mtu:
                    return (packet,)
            elif not ipv4.parse(packet).dont_fragment:
                return ipv4.fragments(packet, mtu)
            elif self._policy is Policy.BEFORE_CLEARING_DF:
                return ipv4.fragments(ipv4.without_df(packet, self._name()), mtu)
            answer = too_big(packet, mtu)
        except WireError:
            dropped[Drop.NOT_IP] += 1
            return ()
        dropped[Drop.TOO_BIG] += 1
        if answer is not None:
            returned.append(answer)
        return ()

    def _name(self) -> int:
        """What tells the pieces of one packet from others': a packet that must not be cut needs
        no identification of its own, and mostly has none (RFC 6864 §4.1)."""
        self._named = self._named % (NAMES - 1) + 1
        return self._named
