"""Password hashes: what is accepted, and that refusals cost as much as checks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
from argon2 import PasswordHasher

from culvert.secret import Secret
from culvert.vault import password
from culvert.vault.password import SCHEMES, Argon2id, FastHash, Scheme


@pytest.mark.parametrize("make", SCHEMES.values())
def test_only_the_right_password_matches(make: Callable[[], Scheme]) -> None:
    scheme = make()
    stored = scheme.hash(Secret("s3cret ü"))
    assert scheme.matches(stored, Secret("s3cret ü"))
    assert not scheme.matches(stored, Secret("s3cret u"))
    assert not scheme.matches(stored, Secret(""))


@pytest.mark.parametrize("make", SCHEMES.values())
def test_the_same_password_is_never_hashed_the_same(make: Callable[[], Scheme]) -> None:
    scheme = make()
    assert scheme.hash(Secret("x")) != scheme.hash(Secret("x"))


@pytest.mark.parametrize("make", SCHEMES.values())
@pytest.mark.parametrize("stored", ["", "x", "$argon2id$", "$fast-hmac-sha256$00$11", "plain"])
def test_what_is_no_hash_matches_nothing(make: Callable[[], Scheme], stored: str) -> None:
    scheme = make()
    assert not scheme.knows(stored)
    assert not scheme.matches(stored, Secret(stored))


def test_each_back_end_accepts_its_own_hashes_only() -> None:
    slow, fast = Argon2id(), FastHash()
    assert not slow.matches(fast.hash(Secret("x")), Secret("x"))
    assert not fast.matches(slow.hash(Secret("x")), Secret("x"))


def test_hashes_weaker_than_the_minimum_are_not_accepted() -> None:
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x")
    assert not Argon2id().knows(weak)
    assert not Argon2id().matches(weak, Secret("x"))


def test_the_minimum_is_owasps() -> None:
    assert (password.MEMORY_KIB, password.PASSES, password.LANES) == (19_456, 2, 1)
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in Argon2id().hash(Secret("x"))


@pytest.mark.parametrize("stored", ["decoy", "foreign", "real"])
def test_every_check_computes_exactly_one_argon2id(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme = Argon2id()
    hashes = {"decoy": scheme.decoy, "foreign": "nonsense", "real": scheme.hash(Secret("right"))}
    computed: list[str] = []
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, hash: str | bytes, password: str | bytes) -> bool:
        computed.append(str(hash))
        return verify(self, hash, password)

    monkeypatch.setattr(PasswordHasher, "verify", counted)
    scheme.matches(hashes[stored], Secret("wrong"))
    assert len(computed) == 1
    assert "m=19456,t=2,p=1" in computed[0]


RESTING = """
import os
from concurrent.futures import ThreadPoolExecutor
from culvert.secret import Secret
from culvert.vault.password import Argon2id
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
scheme, right = Argon2id(), Secret("right")
stored = scheme.hash(right)
with ThreadPoolExecutor(3) as pool:
    assert all(pool.map(lambda _: scheme.matches(stored, right), range(9)))
    scheme.rest()
    print(resident())
"""


def test_what_hashing_took_is_given_back_when_nobody_waits() -> None:
    """In a process of its own, which holds three hashes' 19 MiB else, and more."""
    done = subprocess.run(
        [sys.executable, "-c", RESTING], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 30_000_000
