"""ESP without ports, sorted into lanes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from culvert.inet.address import Path
from culvert.inet.lane import by_lane, lane_of

PATH = Path(("192.0.2.1", 0), ("192.0.2.2", 0))
LETTERS = st.lists(st.tuples(st.integers(256, 300), st.integers(0, 255)), max_size=20)


@given(LETTERS, st.booleans())
def test_every_datagram_is_in_its_lane_in_order_with_its_mark(
    letters: list[tuple[int, int]], marked: bool
) -> None:
    batch = [(spi.to_bytes(4, "big") + bytes([n]), PATH) for n, (spi, _) in enumerate(letters)]
    marks = [mark for _, mark in letters] if marked else []
    found = by_lane(batch, marks) if batch else []
    assert len({lane for lane, _, _ in found}) == len(found)
    for lane, some, of_them in found:
        places = [octets[4] for octets, _ in some]
        assert places == sorted(places)
        assert {lane_of(letters[place][0]) for place in places} == {lane}
        assert list(of_them) == ([marks[place] for place in places] if marked else [])
    assert sum(len(some) for _, some, _ in found) == len(batch)


def test_what_is_too_short_for_an_spi_is_in_lane_0() -> None:
    assert by_lane([(b"abc", PATH)], [7]) == [(0, [(b"abc", PATH)], [7])]
