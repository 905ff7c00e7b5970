"""Inner MTU: every figure of the table, and that none is one octet too small or too large."""

from __future__ import annotations

import pytest

from culvert.crypto.packet import HEADER_OCTETS, packet_suite
from culvert.datapath.mtu import (
    OUTER_IPV4,
    OUTER_IPV6,
    Carriage,
    fitting,
    inner_mtu,
    largest_inside,
)
from culvert.esp.sa import OutboundSa
from culvert.inet import ipv4
from culvert.rng import SeededRandom
from datapath.orders import SUITES, half

LINKS = (1500, 1492, 1280)
PATHS = (1500, 1492, 1400, 1280)
CARRIAGES = (Carriage.BARE, Carriage.UDP, Carriage.TCP)
# Per link: bare ESP, in UDP, in TCP.
TABLE = {
    ("aes-cbc", "hmac-sha1-96"): (1438, 1422, 1406, 1422, 1422, 1390, 1214, 1214, 1182),
    ("aes-cbc", "hmac-sha2-256-128"): (1438, 1422, 1390, 1422, 1422, 1390, 1214, 1198, 1182),
    ("3des-cbc", "hmac-md5-96"): (1446, 1438, 1414, 1438, 1430, 1406, 1230, 1222, 1190),
    ("aes-gcm-16", ""): (1446, 1438, 1410, 1438, 1430, 1402, 1226, 1218, 1190),
}
WITHOUT_ENCRYPTION = (1458, 1450, 1422, 1450, 1442, 1414, 1238, 1230, 1202)


@pytest.mark.parametrize("names", TABLE, ids=str)
def test_the_table_of_inner_mtus_is_met(names: tuple[str, str]) -> None:
    suite = packet_suite(*names)
    made = tuple(
        inner_mtu(suite, path_mtu=link, carriage=carriage)
        for link in LINKS
        for carriage in CARRIAGES
    )
    assert made == TABLE[names]


def test_md5_costs_as_much_as_sha1() -> None:
    one, other = (packet_suite("aes-cbc", f"hmac-{name}-96") for name in ("md5", "sha1"))
    assert inner_mtu(one) == inner_mtu(other)


def test_the_formula_holds_without_encryption_too() -> None:
    made = tuple(
        fitting(link - OUTER_IPV4 - carriage - HEADER_OCTETS, 12, 4)
        for link in LINKS
        for carriage in CARRIAGES
    )
    assert made == WITHOUT_ENCRYPTION


@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("link", PATHS)
@pytest.mark.parametrize("outer", [OUTER_IPV4, OUTER_IPV6])
def test_a_packet_of_the_inner_mtu_just_fits(
    suite: tuple[str, int, str], link: int, outer: int
) -> None:
    row = packet_suite(suite[0], suite[2])
    keys = half(0x1000, "test", *suite)
    sa = OutboundSa(
        0x1000,
        row,
        cipher_key=keys.cipher_key,
        salt=keys.salt,
        integrity_key=keys.integrity_key,
        rng=SeededRandom(1),
    )
    mtu = inner_mtu(row, path_mtu=link, outer_header=outer)
    fits, grown = sa.seal_batch(
        [ipv4.build(17, bytes(4), bytes(4), bytes(n)) for n in (mtu - 20, mtu - 19)]
    )
    assert outer + 8 + len(fits) <= link < outer + 8 + len(grown)


@pytest.mark.requirement("S0-10", part="every cipher")
@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("carriage", CARRIAGES)
def test_what_is_sealed_of_the_inner_mtu_fits_every_path_by_every_way(
    suite: tuple[str, int, str], path: int, carriage: Carriage
) -> None:
    mtu = inner_mtu(packet_suite(suite[0], suite[2]), path_mtu=path, carriage=carriage)
    assert OUTER_IPV4 + carriage + sealed(suite, mtu) <= path
    assert mtu >= path - 130  # what ESP adds at most


@pytest.mark.requirement("S0-13", part="1300 fits with every cipher")
@pytest.mark.parametrize("suite", SUITES, ids=str)
@pytest.mark.parametrize("carriage", CARRIAGES)
def test_1300_is_enough(suite: tuple[str, int, str], carriage: Carriage) -> None:
    assert OUTER_IPV4 + carriage + sealed(suite, 1300) <= 1500


@pytest.mark.parametrize(
    ("chosen", "passes"),
    [
        ((), 1422),
        ((0, 0), 1422),
        ((1300, 0), 1300),
        ((1300, 1200), 1200),
        ((1500, 0), 1422),
        ((8800, 0), 8800),
        ((8800, 1400), 1400),
    ],
    ids=str,
)
def test_less_may_be_chosen_than_fits_and_more_only_of_a_way_wider_than_ethernet(
    chosen: tuple[int, ...], passes: int
) -> None:
    assert largest_inside(1422, *chosen) == passes


def sealed(suite: tuple[str, int, str], octets: int) -> int:
    """How long a packet of so many octets is as ESP."""
    keys = half(0x1000, "test", *suite)
    sa = OutboundSa(
        0x1000,
        packet_suite(suite[0], suite[2]),
        cipher_key=keys.cipher_key,
        salt=keys.salt,
        integrity_key=keys.integrity_key,
        rng=SeededRandom(1),
    )
    (made,) = sa.seal_batch([ipv4.build(17, bytes(4), bytes(4), bytes(octets - 20))])
    return len(made)
