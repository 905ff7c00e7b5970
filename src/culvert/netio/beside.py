"""How many packets all adapters of this machine have sent and received, but for tunnels of ours.

What an adapter takes as one (a train of datagrams) it counts as one or as many, as its driver does.
"""

from __future__ import annotations

from pathlib import Path

DEVICES = Path("/proc/self/net/dev")
LOOPBACK = "lo"
TUNNEL = "culvert"
"""How the names of tunnel devices begin."""
_RECEIVED, _SENT = 1, 9  # columns of packets, proc_net_dev(5)


def packets_beside() -> int:
    """Of this network namespace."""
    found = 0
    for line in DEVICES.read_text("ascii", "replace").splitlines()[2:]:
        name, _, columns = line.partition(":")
        numbers = columns.split()
        if name.strip() != LOOPBACK and not name.strip().startswith(TUNNEL):
            found += int(numbers[_RECEIVED]) + int(numbers[_SENT])
    return found
