"""Packed files (gzip) in pieces: what they unpack to is never held, however much it is."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import RawIOBase
from typing import TYPE_CHECKING

from culvert.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

GZIP = b"\x1f\x8b"
INFLATE = 1 << 16
"""Octets inflated at a time: a file that unpacks to a thousand times its size is read in pieces."""

GZIP_FORM = 31
"""What zlib calls a gzip head and its largest window."""


def is_packed(first: bytes) -> bool:
    """Do the first octets of a file say so?"""
    return first.startswith(GZIP)


def unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces of a file, unpacked if it was packed.

    Raises ConfigError if it is damaged before anything came out of it; what follows later damage
    is lost, as of a file that is still being written.
    """
    first = b""
    for chunk in chunks:
        first += chunk
        if len(first) >= len(GZIP):
            break
    if not is_packed(first):
        yield first
        yield from chunks
        return
    unpack = zlib.decompressobj(GZIP_FORM)
    waiting = first
    begun = whole = False
    while waiting:
        try:
            out = unpack.decompress(waiting, INFLATE)
        except zlib.error:
            break
        begun = begun or bool(out)
        if out:
            yield out
        waiting = unpack.unconsumed_tail
        if unpack.eof:
            whole = True
            waiting, unpack = unpack.unused_data, zlib.decompressobj(GZIP_FORM)
            if not is_packed(waiting):
                return
        if not waiting:
            waiting = next(chunks, b"")
    if not begun and not whole:
        raise ConfigError(
            "the packed file (gzip) is damaged at its beginning and nothing of it can be read; "
            "copy it once more from where it was made, or pack it anew"
        )


class Unpacked(RawIOBase):
    """A packed file to read from like a plain one."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces = unpacked(chunks)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """As much as is there; less than asked for at the end alone."""
        room = memoryview(buffer).cast("B")
        taken = 0
        while taken < len(room):
            if not self._left:
                self._left = next(self._pieces, b"")
                if not self._left:
                    break
            part = self._left[: len(room) - taken]
            room[taken : taken + len(part)] = part
            self._left = self._left[len(part) :]
            taken += len(part)
        return taken
