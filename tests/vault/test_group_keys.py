"""SKEYID for a group, and the decoy for who names none."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.wire.identity import FQDN, IPV4_ADDR, KEY_ID, USER_FQDN, Identity
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.vault.group_keys import GroupKeys

KEYS = GroupKeys({"ciscovpn": Secret("cisco123"), "büro": Secret("x" * 20)}, SeededRandom(1))
NONCES = b"i" * 20, b"r" * 16


@pytest.mark.parametrize("kind", [KEY_ID, FQDN, USER_FQDN])
def test_skeyid_is_the_prf_of_key_and_nonces(kind: int) -> None:
    got = KEYS.skeyid(Identity(kind, b"ciscovpn"), "sha1", *NONCES)
    assert got.group == "ciscovpn"
    assert got.skeyid == hmac.digest(b"cisco123", NONCES[0] + NONCES[1], hashlib.sha1)


def test_a_group_name_beyond_ascii_is_utf8() -> None:
    assert KEYS.skeyid(Identity(KEY_ID, "büro".encode()), "md5", *NONCES).group == "büro"


@given(st.binary(max_size=64), st.sampled_from(["md5", "sha1", "sha2-256"]))
def test_an_unknown_name_gets_a_decoy_of_the_same_shape(name: bytes, hash_name: str) -> None:
    decoy = KEYS.skeyid(Identity(KEY_ID, name + b"?"), hash_name, *NONCES)
    real = KEYS.skeyid(Identity(KEY_ID, b"ciscovpn"), hash_name, *NONCES)
    assert decoy.group == ""
    assert len(decoy.skeyid) == len(real.skeyid)
    assert decoy.skeyid != real.skeyid


def test_a_decoy_stays_the_same_until_the_process_ends() -> None:
    one = Identity(KEY_ID, b"nobody")
    assert KEYS.skeyid(one, "sha1", *NONCES) == KEYS.skeyid(one, "sha1", *NONCES)
    restarted = GroupKeys({}, SeededRandom(2))
    assert KEYS.skeyid(one, "sha1", *NONCES) != restarted.skeyid(one, "sha1", *NONCES)


def test_an_address_that_spells_a_group_is_no_group() -> None:
    keys = GroupKeys({"abcd": Secret("key")}, SeededRandom(1))
    assert keys.skeyid(Identity(IPV4_ADDR, b"abcd"), "sha1", *NONCES).group == ""


def test_no_key_is_in_what_is_printed() -> None:
    assert "cisco123" not in repr(KEYS) + repr(vars(KEYS))
