"""Modular exponentiation: libcrypto and Python agree, also without libcrypto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.crypto import modexp
from culvert.crypto.modexp import Modulus
from culvert.tables.algorithms import GROUPS, Group

SMALL = 0xFFFF_FFFB  # a prime of 32 bits

MODP = [row for row in GROUPS if row.prime]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without any libcrypto we know."""
    monkeypatch.setattr(modexp, "_LIBRARIES", ("libcrypto-that-is-not-there.so",))
    modexp._library.cache_clear()
    yield
    modexp._library.cache_clear()


def test_libcrypto_does_the_work_here() -> None:
    assert Modulus(SMALL).native


@given(base=st.binary(min_size=1, max_size=4), exponent=st.binary(min_size=1, max_size=8))
def test_it_is_what_pow_says(base: bytes, exponent: bytes) -> None:
    wanted = pow(int.from_bytes(base, "big"), int.from_bytes(exponent, "big"), SMALL)
    # Montgomery form wants its base below the modulus; `dh` guarantees that.
    if int.from_bytes(base, "big") < SMALL:
        assert Modulus(SMALL).power(base, exponent) == wanted.to_bytes(4, "big")


@pytest.mark.parametrize("group", MODP, ids=lambda group: group.token)
def test_both_ways_agree_in_every_group(
    group: Group, nothing_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    prime = int(group.prime, 16)
    plain = Modulus(prime)
    assert not plain.native
    monkeypatch.undo()
    modexp._library.cache_clear()
    native = Modulus(prime)
    assert native.native
    exponent = bytes(range(1, 33))
    for base in (2, 3, prime - 2, prime // 7):
        octets = base.to_bytes(group.octets, "big")
        assert plain.power(octets, exponent) == native.power(octets, exponent)


def test_without_libcrypto_results_are_as_wide(nothing_installed: None) -> None:
    assert Modulus(SMALL).power(b"\x02", b"\x03") == b"\x00\x00\x00\x08"


def test_a_library_without_the_function_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(modexp, "_LIBRARIES", ("libc.so.6",))
    modexp._library.cache_clear()
    try:
        assert not Modulus(SMALL).native
    finally:
        modexp._library.cache_clear()


def test_a_modulus_that_cannot_be_prepared_is_left_to_python() -> None:
    """Montgomery's way needs an odd one."""
    even = Modulus(1 << 31)
    assert not even.native
    assert even.power(b"\x03", b"\x05") == (243).to_bytes(4, "big")
