"""What every codec must stand: being cut anywhere, and having any one octet changed."""

from __future__ import annotations

from collections.abc import Callable

from culvert.errors import WireError

Reader = Callable[[bytes], object]


def read(reader: Reader, octets: bytes) -> object:
    """The value, or the WireError if it is a proper one; anything else goes up."""
    try:
        return reader(octets)
    except WireError as error:
        assert 0 <= error.offset <= len(octets), error
        assert error.what
        return error


def every_cut(reader: Reader, whole: bytes) -> list[object]:
    """What each beginning of ``whole`` reads as, the shortest first, without the whole itself."""
    return [read(reader, whole[:end]) for end in range(len(whole))]


def every_change(reader: Reader, whole: bytes) -> list[object]:
    """What ``whole`` reads as with each octet replaced by its extremes and neighbours."""
    return [
        read(reader, whole[:at] + bytes([new]) + whole[at + 1 :])
        for at, octet in enumerate(whole)
        for new in {0, 1, 0x7F, 0x80, 0xFF, octet ^ 1, octet ^ 0x80} - {octet}
    ]
