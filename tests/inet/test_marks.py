"""DSCP and ECN at the end of a tunnel: RFC 6040, figure 4, written out."""

from __future__ import annotations

import pytest

from culvert.inet import ipv4, ipv6, marks
from culvert.inet.checksum import checksum

NOT, ECT0, ECT1, CE, DROP = 0, 2, 1, 3, None

FIGURE_4 = {  # inner: what comes of it with an outer Not-ECT, ECT(0), ECT(1), CE
    NOT: (NOT, NOT, NOT, DROP),
    ECT0: (ECT0, ECT0, ECT1, CE),
    ECT1: (ECT1, ECT1, ECT1, CE),
    CE: (CE, CE, CE, CE),
}
TABLE = [
    (inner, outer, result)
    for inner, row in FIGURE_4.items()
    for outer, result in zip((NOT, ECT0, ECT1, CE), row, strict=True)
]


def packet(six: bool, mark: int) -> bytes:
    if six:
        made = bytearray(ipv6.build(17, bytes(16), bytes(15) + b"\1", b"payload!"))
        made[0], made[1] = 0x60 | mark >> 4, (mark & 15) << 4 | 0x0A
        return bytes(made)
    return ipv4.build(17, bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), b"payload!", mark=mark)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("dscp", [0, 46, 63])
@pytest.mark.parametrize(("inner", "outer", "result"), TABLE)
def test_what_comes_of_two_marks_is_figure_4(
    six: bool, dscp: int, inner: int, outer: int, result: int | None
) -> None:
    sent = packet(six, dscp << 2 | inner)
    got = marks.decapsulated(sent, 0xA8 | outer)  # the outer DSCP is the network's own business
    wanted = None if result is None else packet(six, dscp << 2 | result)
    assert got == wanted
    if got is not None and not six:
        assert checksum(got[:20]) in (0, 0xFFFF)


@pytest.mark.parametrize("six", [False, True])
def test_an_error_in_the_header_is_not_healed(six: bool) -> None:
    broken = bytearray(packet(six, ECT0))
    broken[10] ^= 0x40
    got = marks.decapsulated(bytes(broken), CE)
    assert got is not None
    assert marks.of(got) == CE
    if not six:
        assert checksum(got[:20]) not in (0, 0xFFFF)


@pytest.mark.parametrize("six", [False, True])
@pytest.mark.parametrize("mark", [0, 1, 0xB8, 0xFF])
def test_the_mark_of_a_packet_is_read(six: bool, mark: int) -> None:
    assert marks.of(packet(six, mark)) == mark


def test_what_is_copied_is_chosen_for_both_parts() -> None:
    assert [marks.chosen(dscp=d, ecn=e) for d in (True, False) for e in (True, False)] == [
        0xFF,
        0xFC,
        0x03,
        0,
    ]
