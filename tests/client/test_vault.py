"""The vault of a connection and its worker's end of the line: what each gives, and how often."""

from __future__ import annotations

from typing import cast

from culvert.client.vault import GIVEN, FarVault, Vault
from culvert.crypto.hash import hmac
from culvert.driver.line import Line
from culvert.profile.profile import Profile
from culvert.rng import SystemRandom
from culvert.secret import Secret

KEY, PASSWORD = "made for this test", "of the person"
NONCES = b"n" * 16 + b"m" * 16


class Straight:
    """A line without processes: every question reaches the vault."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self.asked = 0

    def ask(self, question: object) -> object:
        self.asked += 1
        return self.vault.answer(question)


def both(now: float = 0.0) -> tuple[FarVault, Straight]:
    profile = Profile(
        name="office",
        host="192.0.2.1",
        group="staff",
        group_key=Secret(KEY),
        password=Secret(PASSWORD),
        save_password=True,
        legacy=("aggressive-psk",),
    )
    line = Straight(Vault(profile, lambda: now))
    return FarVault(cast("Line", line), "staff", SystemRandom()), line


def test_an_answer_that_comes_again_has_the_same_skeyid_though_the_vault_answers_once() -> None:
    far, line = both()
    expected = hmac("sha1", KEY.encode(), NONCES)
    assert far.derive("sha1", b"placeholder", NONCES) == expected
    assert far.derive("sha1", b"placeholder", NONCES) == expected
    assert line.asked == 1
    assert far.derive("sha1", b"placeholder", NONCES[::-1]) != expected


def test_a_password_is_given_for_an_exchange_only_and_only_so_often() -> None:
    far, _ = both()
    assert far.password() is None
    far.derive("sha1", b"placeholder", NONCES)
    given = [far.password() for _ in range(GIVEN + 1)]
    assert given == [Secret(PASSWORD)] * GIVEN + [None]
