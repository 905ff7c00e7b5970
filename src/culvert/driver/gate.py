"""Gate: how much IKE of strangers is read at the port that carries the ESP of everybody.

A flood of calls takes more time than a flood of ESP with unknown SPIs, which the engine drops by
itself; and while it is worked off, the kernel's queue of that port runs over, and packets of
sessions are lost in it. So more than a core could answer is dropped here, unread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from culvert.inet.address import Address
from culvert.policy.ration import Ration

CALLS, CALLS_AT_ONCE = 100.0, 20.0
"""First messages a second at this port. Each may cost a key exchange, some milliseconds. Most
clients begin at the other port, and come here with their second message."""
OTHERS = 4000.0
"""Messages with both cookies from addresses without a session, a second and at once: some 600
logins, for 5 % of a processor."""
NO_COOKIE = bytes(8)
HERE = "127."
"""Where streams end on this machine (`culvert.ike.carriage`): nobody forges that from outside."""


class Gate:
    """``refused``: datagrams that were dropped, by kind."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self._rations = {
            "ike-calls": Ration(burst=CALLS_AT_ONCE, rate=CALLS),
            "ike-strangers": Ration(burst=OTHERS, rate=OTHERS),
        }
        self._peers: dict[int, Address] = {}
        self._known: Counter[Address] = Counter()

    def follow(self, peers: Mapping[int, tuple[Address, int]], session: int) -> None:
        """Where this session's datagrams go now, if it is still there."""
        before = self._peers.pop(session, None)
        if before is not None:
            self._known[before] -= 1
            if not self._known[before]:
                del self._known[before]
        if session in peers:
            self._peers[session] = peer = peers[session][0]
            self._known[peer] += 1

    def admits(self, message: bytes, remote: Address, *, now: float) -> bool:
        """Whether there is time for it."""
        if remote in self._known or remote[0].startswith(HERE):
            return True
        kind = "ike-calls" if message[8:16] == NO_COOKIE else "ike-strangers"
        if self._rations[kind].take("", now=now):
            return True
        self.refused[kind] += 1
        return False
