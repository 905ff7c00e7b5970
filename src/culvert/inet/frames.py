"""Datagrams in a stream of octets, each behind its length (RFC 8229 §3).

    | length (2) | datagram … | length (2) | datagram … |

The length counts its own two octets.
"""

from __future__ import annotations

LENGTH = 2
LARGEST = 65_535
"""Octets of a frame, its length among them."""


def framed(datagram: bytes) -> bytes:
    """One frame; nothing for what has no place in one."""
    size = LENGTH + len(datagram)
    return size.to_bytes(LENGTH, "big") + datagram if LENGTH < size <= LARGEST else b""


class Frames:
    """What comes by one stream, cut into datagrams again. Of a frame that is not whole yet, what
    has come of it waits here: less than `LARGEST` octets.

    ``over``: why nothing by this stream can be understood any more; empty while all is well.
    """

    def __init__(self) -> None:
        self.over = ""
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Octets that wait."""
        return len(self._held)

    def take(self, octets: bytes) -> list[bytes]:
        """The datagrams that are whole now."""
        if self.over:
            return []
        found: list[bytes] = []
        held, at = self._held, 0
        held += octets
        while len(held) - at >= LENGTH:
            size = int.from_bytes(held[at : at + LENGTH], "big")
            if size <= LENGTH:
                self.over, at = f"a frame of {size} octets", len(held)
            elif len(held) - at < size:
                break
            else:
                found.append(bytes(held[at + LENGTH : at + size]))
                at += size
        del held[:at]
        return found
