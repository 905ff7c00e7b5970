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

    @property
    def blank(self) -> bool:
        """Whether nothing but zero octets is left."""
        return not any(self._view[self._pos : self._end])

    def take(self, count: int, what: str) -> memoryview:
        start = self._pos
        stop = start + count
        if not start <= stop <= self._end:
            raise self._short(count, what)
        self._pos = stop
        return self._view[start:stop]

    # The two most frequent by far, hundreds of times for every connection: no slices for them.

    def u8(self, what: str) -> int:
        at = self._pos
        if at >= self._end:
            raise self._short(1, what)
        self._pos = at + 1
        return self._view[at]

    def u16(self, what: str) -> int:
        at = self._pos
        if at + 2 > self._end:
            raise self._short(2, what)
        self._pos = at + 2
        return self._view[at] << 8 | self._view[at + 1]

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

    def _short(self, count: int, what: str) -> WireError:
        return WireError(f"{what}: {count} octets wanted, {self.left} left", offset=self.offset)
