"""A record with some octets of one line altered, added or lost."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st


def damaged(data: st.DataObject, lines: Sequence[bytes]) -> list[bytes]:
    number = data.draw(st.integers(0, len(lines) - 1))
    line = bytearray(lines[number])
    place = data.draw(st.integers(0, len(line) - 1))
    line[place : place + data.draw(st.integers(1, 4))] = data.draw(st.binary(max_size=4))
    return [*lines[:number], bytes(line), *lines[number + 1 :]]
