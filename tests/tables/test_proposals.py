"""The Cisco client's proposals, against the families that the guide prints them in."""

from __future__ import annotations

import pytest

from culvert.tables.texts.proposals import phase1_proposals, phase2_proposals

CIPHERS = {"DES": (1, 0), "3DES": (5, 0), "AES128": (7, 128), "AES256": (7, 256)}
TRANSFORMS = {
    "NULL": (11, 0),
    "DES": (2, 0),
    "3DES": (3, 0),
    "AES128": (12, 128),
    "AES256": (12, 256),
}
HASHES = {"MD5": 1, "SHA": 2}

WITH_KEY = (
    "3DES-MD5",
    "3DES-SHA",
    "DES-MD5",
    "AES128-MD5",
    "AES128-SHA",
    "AES256-MD5",
    "AES256-SHA",
)
STRONGER = ("3DES-MD5", "3DES-SHA", "AES128-MD5", "AES128-SHA", "AES256-MD5", "AES256-SHA")
GROUP_5 = tuple(f"{name}-RSA-DH5" for name in STRONGER)
WITH_RSA = (
    "3DES-MD5-RSA",
    "3DES-SHA-RSA",
    "DES-MD5-RSA-DH1",
    *(f"{name}-RSA" for name in STRONGER[2:]),
    *GROUP_5,
)
PLAIN_RSA = (*(f"{name}-RSA" for name in STRONGER), "DES-MD5-RSA-DH1", *GROUP_5)

# Prefix, authentication number, names: as the guide's table runs.
FAMILIES = (
    ("CiscoVPNClient-", 65001, WITH_KEY),
    ("IKE-", 1, WITH_KEY),
    ("CiscoVPNClient-", 65005, WITH_RSA),
    ("HYBRID-", 64221, WITH_RSA),
    ("IKE-", 3, PLAIN_RSA),
)


def row(name: str) -> tuple[int, int, int, int]:
    """Encryption, key length, hash and group that a name spells."""
    cipher, hashed, *rest = name.split("-")
    group = {"DH1": 1, "DH5": 5}.get(rest[-1] if rest else "", 2)
    return (*CIPHERS[cipher], HASHES[hashed], group)


@pytest.mark.requirement("S0-50", part="names")
def test_the_53_names_and_their_numbers_are_what_the_families_spell() -> None:
    expected = [
        (prefix + name, authentication, *row(name))
        for prefix, authentication, names in FAMILIES
        for name in names
    ]
    ours = [
        (p.name, p.authentication, p.encryption, p.key_bits, p.hash, p.group)
        for p in phase1_proposals().values()
    ]
    assert ours == expected
    assert len(ours) == 53
    assert [p.number for p in phase1_proposals().values()] == list(range(1, 54))


def test_row_28_is_the_misprinted_head_of_the_hybrid_block() -> None:
    (misprinted,) = [p for p in phase1_proposals().values() if p.printed]
    assert (misprinted.number, misprinted.name) == (28, "HYBRID-3DES-MD5-RSA")
    assert phase1_proposals()[misprinted.printed].number == 15


def test_no_name_has_des_with_sha_or_aes_192() -> None:
    for p in phase1_proposals().values():
        assert not (p.encryption == 1 and p.hash == 2)
        assert p.key_bits != 192


def test_the_16_phase_2_proposals_stand_in_sending_order() -> None:
    assert [p.name for p in phase2_proposals()] == [
        "AES256-MD5+IPCOMP",
        "AES256-SHA+IPCOMP",
        "AES128-MD5+IPCOMP",
        "AES128-SHA+IPCOMP",
        "AES256-MD5",
        "AES256-SHA",
        "AES128-MD5",
        "AES128-SHA",
        "3DES-MD5+IPCOMP",
        "3DES-SHA+IPCOMP",
        "3DES-MD5",
        "3DES-SHA",
        "DES-MD5+IPCOMP",
        "DES-MD5",
        "NULL-MD5",
        "NULL-SHA",
    ]
    assert [p.number for p in phase2_proposals()] == list(range(1, 17))


def test_phase_2_names_spell_their_numbers() -> None:
    for p in phase2_proposals():
        name, _, compression = p.name.partition("+")
        cipher, hashed = name.split("-")
        assert (p.transform, p.key_bits) == TRANSFORMS[cipher], p.name
        assert p.integrity == HASHES[hashed], p.name
        assert p.compressed == bool(compression), p.name
