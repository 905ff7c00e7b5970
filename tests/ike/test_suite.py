"""Suites by name: every one the tables allow, and what is said of wrong names."""

from __future__ import annotations

from itertools import product

import pytest

from culvert.errors import ConfigError
from culvert.ike.suite import AUTHENTICATION, EspSuite, IkeSuite
from culvert.tables.algorithms import (
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
    LEGACY_SWITCHES,
)


def ike_names() -> list[str]:
    return [f"{c.token}-{h.token}-{g.token}" for c, h, g in product(IKE_CIPHERS, HASHES, GROUPS)]


def esp_names() -> list[str]:
    made: list[str] = []
    for cipher in ESP_CIPHERS:
        firsts = (
            [cipher.token]
            if cipher.aead
            else [f"{cipher.token}-{integrity.token}" for integrity in INTEGRITIES]
        )
        for first in firsts:
            made += [first, *(f"{first}-{group.token}" for group in GROUPS)]
    return made


def test_every_phase_1_name_comes_back() -> None:
    assert len(ike_names()) == 5 * 5 * 11
    assert [IkeSuite.named(name).name for name in ike_names()] == ike_names()


def test_every_phase_2_name_comes_back() -> None:
    assert len(esp_names()) == (3 + 6 * 5) * (1 + 11)
    assert [EspSuite.named(name).name for name in esp_names()] == esp_names()


def test_names_are_read_in_any_case_and_by_their_aliases() -> None:
    assert IkeSuite.named("AES256-SHA256-MODP2048").name == "aes256-sha2_256-modp2048"
    assert EspSuite.named("aes128-sha").name == "aes128-sha1"


@pytest.mark.parametrize("kind", sorted(AUTHENTICATION))
def test_the_authentication_is_the_one_asked_for(kind: str) -> None:
    suite = IkeSuite.named("aes128-sha1-modp1024", kind)
    assert suite.authentication.name == kind


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aes265-sha1-modp2048", "'aes265' is no cipher; did you mean 'aes256'?"),
        ("aes256-sah1-modp2048", "'sah1' is no hash; did you mean 'sha1'?"),
        ("aes256-sha1-modp2084", "'modp2084' is no group; did you mean 'modp2048'?"),
        ("aes256-sha1-zzz", "'zzz' is no group; known are ecp256, ecp384"),
        ("aes256-sha1", "three words are wanted"),
        ("aes256-sha1-modp2048-psk", "three words are wanted"),
        ("", "three words are wanted"),
    ],
)
def test_a_wrong_phase_1_name_says_which_word_and_what_would_be_right(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        IkeSuite.named(name)
    assert said in str(caught.value)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("aes256gcm61", "'aes256gcm61' is no cipher; did you mean 'aes256gcm16'?"),
        ("aes256", "aes256 needs an integrity algorithm too, as in aes256-sha2_256"),
        ("aes256-modp2048", "'modp2048' is no integrity algorithm"),
        ("aes256gcm16-sha2_256", "'sha2_256' is no group"),
        ("aes256-sha1-modp2048-esn", "'esn' is too much"),
        ("", "'' is no cipher"),
    ],
)
def test_a_wrong_phase_2_name_says_which_word_and_what_would_be_right(name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        EspSuite.named(name)
    assert said in str(caught.value)


def test_what_is_weak_needs_its_switch_and_says_why() -> None:
    worst = IkeSuite.named("3des-md5-modp768")
    assert worst.legacy == {"3des", "md5", "modp768"}
    assert len(worst.weak) == 3
    assert EspSuite.named("3des-md5-modp1024").legacy == {"3des", "md5", "modp1024"}
    for name in ike_names():
        suite = IkeSuite.named(name)
        assert suite.legacy <= LEGACY_SWITCHES
        assert len(suite.legacy) == len(suite.weak)


def test_what_is_strong_needs_nothing() -> None:
    assert not IkeSuite.named("aes256-sha2_256-modp2048").legacy
    assert not EspSuite.named("aes256gcm16-modp3072").legacy
    assert not EspSuite.named("aes128-sha2_512").weak


def test_key_octets_are_cipher_salt_and_integrity() -> None:
    wanted = {"aes256gcm16": 36, "aes128gcm16": 20, "aes256-sha1": 52, "3des-md5": 40}
    assert {name: EspSuite.named(name).key_octets for name in wanted} == wanted


def test_an_aead_cipher_authenticates_by_itself() -> None:
    assert EspSuite.named("aes256gcm16").authentication_label == "AEAD"
    assert EspSuite.named("aes256-sha1").authentication_label == "HMAC-SHA1"
