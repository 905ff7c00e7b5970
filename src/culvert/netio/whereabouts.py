"""Which network this machine is in: the next router's address and its hardware's, as one word.

The word is a digest: it stands in files and logs, where nobody needs to learn from it where a
person was.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

from culvert.errors import PlatformError
from culvert.netio.route import next_hops

NEIGHBOURS = Path("/proc/net/arp")
OCTETS = 6
UNKNOWN = "00:00:00:00:00:00"


def network_towards(host: str) -> str:
    """The same word each time the way to ``host`` leads over the same router; empty if none does.
    For a thread."""
    try:
        hop = next_hops((host,))[host]
    except PlatformError:
        return ""
    if hop is None:
        return ""
    router = f"{hop.via} {hardware_of(hop.via)}" if hop.via else f"direct {hop.interface}"
    return blake2b(router.encode(), digest_size=OCTETS).hexdigest()


def hardware_of(address: str, table: Path = NEIGHBOURS) -> str:
    """What the kernel knows of this neighbour; empty if nothing."""
    try:
        lines = table.read_text("ascii").splitlines()[1:]
    except OSError:
        return ""
    for line in lines:
        fields = line.split()
        if len(fields) > 3 and fields[0] == address and fields[3] != UNKNOWN:
            return fields[3]
    return ""
