"""Lanes: a session's packets wait beside those of other sessions, not behind them.

    UDP 4500   IKE │ lane 1 │ lane 2 │ … │ lane 8     each a socket with a queue of its own
    TUN            │ lane 1 │ lane 2 │ … │ lane 8     each a queue of the device

The kernel sorts arriving datagrams by the SPI's last bits, and those are ours to choose: all SAs of
a session have the same. What one session sends too much overflows its own lane; lanes are served in
turn. Lane 0 is for IKE and for everything else.
"""

from __future__ import annotations

LANES = 8
"""Of sessions; a power of two. More sessions share them, with one in eight of the others."""


def lane_of(spi: int) -> int:
    """Where the ESP that comes with this SPI of ours waits."""
    return 1 + spi % LANES
