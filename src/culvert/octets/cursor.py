"""Cursor: the one bounded reader of octets from outside."""

from __future__ import annotations

from culvert.errors import WireError


class Cursor:
    """Reads forward through ``data``; anything beyond the end is a `WireError` with its offset."""

    __slots__ = ("_base", "_end", "_pos", "_view")

    def __init__(self, data: bytes | memoryview, *, base: int = 0) -> None:
        self._view = memoryview(data)
        self._pos = 0
        self._end = len(self._view)
        self._base = base

    @property
    def offset(self) -> int:
        """Offset of the next octet in the outermost datagram."""
        return self._base + self._pos

    @property
    def left(self) -> int:
        return self._end - self._pos

    def take(self, count: int, what: str) -> memoryview:
        if count < 0 or count > self.left:
            raise WireError(f"{what}: {count} octets wanted, {self.left} left", offset=self.offset)
        start = self._pos
        self._pos += count
        return self._view[start : self._pos]

    def u8(self, what: str) -> int:
        return self.take(1, what)[0]

    def u16(self, what: str) -> int:
        return int.from_bytes(self.take(2, what), "big")

    def u32(self, what: str) -> int:
        return int.from_bytes(self.take(4, what), "big")

    def octets(self, count: int, what: str) -> bytes:
        return bytes(self.take(count, what))

    def rest(self) -> bytes:
        return bytes(self.take(self.left, "rest"))

    def part(self, count: int, what: str) -> Cursor:
        """A cursor over the next ``count`` octets, which this one leaves behind."""
        base = self.offset
        return Cursor(self.take(count, what), base=base)
