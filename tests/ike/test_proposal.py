"""Offers, choices, lifetimes and comparisons of both phases."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.proposal import (
    AUTHENTICATION,
    ENCAPSULATION,
    ENCRYPTION,
    GROUP,
    HASH,
    KEY_LENGTH,
    KILOBYTES,
    LIFE_DURATION,
    LIFE_TYPE,
    MOST_COMPARISONS,
    SA_AUTHENTICATION,
    SA_KEY_LENGTH,
    SA_LIFE_DURATION,
    SA_LIFE_TYPE,
    SECONDS,
    ChosenEsp,
    Difference,
    Lifetime,
    choose_esp,
    choose_ike,
    compare_esp,
    compare_ike,
    lifetime,
    offer_esp,
    offer_ike,
)
from culvert.ike.suite import AUTHENTICATION as METHODS
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.payload import SA, Part
from culvert.ike.wire.proposal import (
    KEY_IKE,
    PROTO_AH,
    PROTO_ESP,
    PROTO_IPCOMP,
    PROTO_ISAKMP,
    Proposal,
    SecurityAssociation,
    Transform,
)
from culvert.tables.algorithms import ESP_CIPHERS, GROUPS, HASHES, IKE_CIPHERS, INTEGRITIES

DAY = 86_400
TUNNEL = frozenset((1,))
NO_GROUPS: frozenset[int] = frozenset()

IKE_SUITES = [
    IkeSuite(cipher, hashed, group, method)
    for cipher, hashed, group, method in product(IKE_CIPHERS, HASHES, GROUPS, METHODS.values())
]
ESP_SUITES = [
    EspSuite(cipher, integrity, group)
    for cipher in ESP_CIPHERS
    for integrity in ((None,) if cipher.aead else INTEGRITIES)
    for group in (None, *GROUPS)
]


def wired(made: SecurityAssociation) -> SecurityAssociation:
    """As the other end reads it."""
    return SecurityAssociation.parse(Part(SA, made.to_bytes()))


def ike(*names: str) -> tuple[IkeSuite, ...]:
    return tuple(IkeSuite.named(name) for name in names)


def esp(*names: str) -> tuple[EspSuite, ...]:
    return tuple(EspSuite.named(name) for name in names)


def chosen_esp(
    offered: SecurityAssociation, *names: str, groups: frozenset[int] = NO_GROUPS
) -> ChosenEsp | None:
    return choose_esp(offered, esp(*names), TUNNEL, groups)


# --- offer and choice --------------------------------------------------------------------------


def test_every_phase_1_suite_is_offered_and_chosen_as_itself() -> None:
    for suite in IKE_SUITES:
        chosen = choose_ike(wired(offer_ike((suite,), DAY)), (suite,))
        assert chosen is not None
        assert (chosen.suite, chosen.lifetime) == (suite, Lifetime(DAY))


def test_no_phase_1_suite_is_taken_for_another() -> None:
    for suite in IKE_SUITES[::7]:
        others = [other for other in IKE_SUITES if other != suite]
        assert choose_ike(wired(offer_ike((suite,), DAY)), others) is None


def test_every_phase_2_suite_is_offered_and_chosen_as_itself() -> None:
    life = Lifetime(3_600, 4_608_000)
    for suite in ESP_SUITES:
        chosen = choose_esp(
            wired(offer_esp((suite,), 0x1234, 1, life)), (suite,), TUNNEL, NO_GROUPS
        )
        assert chosen is not None
        assert (chosen.suite, chosen.lifetime, chosen.mode) == (suite, life, 1)
        assert chosen.proposal.spi == b"\x00\x00\x12\x34"
        assert chosen.group == (suite.pfs.number if suite.pfs else 0)


def test_no_phase_2_suite_is_taken_for_another() -> None:
    for suite in ESP_SUITES[::5]:
        others = [other for other in ESP_SUITES if other != suite]
        offered = wired(offer_esp((suite,), 1, 1, Lifetime(60)))
        assert choose_esp(offered, others, TUNNEL, NO_GROUPS) is None


def test_our_order_decides_not_the_callers() -> None:
    weak, strong = "aes128-sha1-modp1024", "aes256-sha2_256-modp2048"
    chosen = choose_ike(wired(offer_ike(ike(weak, strong), DAY)), ike(strong, weak))
    assert chosen is not None
    assert (chosen.suite.name, chosen.transform.number) == (strong, 2)
    offered = wired(offer_esp(esp("aes128-sha1", "aes256-sha1"), 1, 1, Lifetime(60)))
    second = chosen_esp(offered, "aes256-sha1", "aes128-sha1")
    assert second is not None
    assert (second.suite.name, second.proposal.number) == ("aes256-sha1", 2)


def test_the_answer_is_the_chosen_transform_as_it_stood() -> None:
    offered = wired(offer_ike(ike("aes128-sha1-modp1024", "aes256-sha1-modp1024"), DAY))
    chosen = choose_ike(offered, ike("aes256-sha1-modp1024"))
    assert chosen is not None
    (proposal,) = chosen.answer().proposals
    assert proposal.transforms == (offered.proposals[0].transforms[1],)
    second = chosen_esp(wired(offer_esp(esp("aes256-sha1"), 1, 1, Lifetime(60))), "aes256-sha1")
    assert second is not None
    (proposal,) = second.answer(0xAABBCCDD).proposals
    assert proposal.spi.hex() == "aabbccdd"
    assert proposal.transforms == (second.transform,)


def test_we_send_the_cipher_first_and_its_key_length_second() -> None:
    """libreswan reads no other order."""
    (transform,) = offer_ike(ike("aes256-sha1-modp1024"), DAY).proposals[0].transforms
    kinds = [attribute.kind for attribute in transform.attributes]
    assert kinds == [ENCRYPTION, KEY_LENGTH, HASH, AUTHENTICATION, GROUP, LIFE_TYPE, LIFE_DURATION]
    (triple,) = offer_ike(ike("3des-sha1-modp1024"), DAY).proposals[0].transforms
    assert triple.value(KEY_LENGTH) is None


@given(data=st.data())
def test_the_order_of_attributes_is_free(data: st.DataObject) -> None:
    suite = IkeSuite.named("aes192-sha2_384-modp3072")
    made = offer_ike((suite,), DAY)
    (transform,) = made.proposals[0].transforms
    life, rest = transform.attributes[-2:], transform.attributes[:-2]
    mixed = data.draw(st.permutations([(one,) for one in rest] + [life]))
    attributes = tuple(one for group in mixed for one in group)
    proposal = replace(made.proposals[0], transforms=(replace(transform, attributes=attributes),))
    chosen = choose_ike(wired(replace(made, proposals=(proposal,))), (suite,))
    assert chosen is not None
    assert chosen.lifetime == Lifetime(DAY)


def without(made: SecurityAssociation, kind: int) -> SecurityAssociation:
    """The first transform alone, without attributes of this kind."""
    proposal = made.proposals[0]
    first = proposal.transforms[0]
    kept = tuple(a for a in first.attributes if a.kind != kind)
    return replace(
        made, proposals=(replace(proposal, transforms=(replace(first, attributes=kept),)),)
    )


def test_aes_without_a_key_length_has_128_bits() -> None:
    bare = without(offer_ike(ike("aes256-sha1-modp1024"), DAY), KEY_LENGTH)
    chosen = choose_ike(bare, ike("aes256-sha1-modp1024", "aes128-sha1-modp1024"))
    assert chosen is not None
    assert chosen.suite.cipher.key_bits == 128
    for cipher in ("aes256-sha1", "aes256gcm16"):
        offered = without(offer_esp(esp(cipher), 1, 1, Lifetime(60)), SA_KEY_LENGTH)
        second = chosen_esp(offered, cipher, cipher.replace("256", "128"))
        assert second is not None
        assert second.suite.cipher.key_bits == 128


def unknown_ike(cipher: int) -> Transform:
    (transform,) = offer_ike(ike("aes128-sha1-modp1024"), DAY).proposals[0].transforms
    changed = (Attribute.of(ENCRYPTION, cipher), *transform.attributes[1:])
    return replace(transform, number=1, attributes=changed)


def test_unknown_ciphers_and_transforms_are_passed_over() -> None:
    (known,) = offer_ike(ike("aes128-sha1-modp1024"), DAY).proposals[0].transforms
    strange = (unknown_ike(99), replace(known, identifier=2), replace(known, number=3))
    made = SecurityAssociation((Proposal(1, PROTO_ISAKMP, b"", strange),))
    chosen = choose_ike(wired(made), ike("aes128-sha1-modp1024"))
    assert chosen is not None
    assert chosen.transform.number == 3


def test_a_phase_1_proposal_for_another_protocol_is_none() -> None:
    made = offer_ike(ike("aes128-sha1-modp1024"), DAY)
    other = replace(made.proposals[0], protocol=PROTO_ESP)
    assert choose_ike(replace(made, proposals=(other,)), ike("aes128-sha1-modp1024")) is None


# --- phase 2: protocols, modes, groups ---------------------------------------------------------


def proposal(number: int, protocol: int, spi: bytes, name: str = "aes256-sha1") -> Proposal:
    (made,) = offer_esp(esp(name), 1, 1, Lifetime(60)).proposals
    return replace(made, number=number, protocol=protocol, spi=spi)


def test_esp_that_wants_compression_too_is_passed_over() -> None:
    spi = b"\x00\x00\x10\x01"
    both = (proposal(1, PROTO_ESP, spi), proposal(1, PROTO_IPCOMP, b"\x00\x02"))
    assert chosen_esp(SecurityAssociation(both), "aes256-sha1") is None
    alone = proposal(2, PROTO_ESP, b"\x00\x00\x10\x02")
    chosen = chosen_esp(SecurityAssociation((*both, alone)), "aes256-sha1")
    assert chosen is not None
    assert (chosen.proposal.number, chosen.proposal.spi) == (2, alone.spi)


def test_alternatives_that_share_a_number_by_mistake_are_alternatives() -> None:
    spi = b"\x00\x00\x10\x01"
    same = (proposal(1, PROTO_ESP, spi, "aes128-sha1"), proposal(1, PROTO_ESP, spi))
    chosen = chosen_esp(SecurityAssociation(same), "aes256-sha1")
    assert chosen is not None
    assert chosen.proposal == same[1]


@pytest.mark.parametrize(
    ("protocol", "spi"),
    [(PROTO_AH, b"\x00\x00\x10\x01"), (PROTO_ESP, b"\x10\x01"), (PROTO_ESP, b"")],
)
def test_other_protocols_and_spis_of_other_sizes_are_passed_over(protocol: int, spi: bytes) -> None:
    made = SecurityAssociation((proposal(1, protocol, spi),))
    assert chosen_esp(made, "aes256-sha1") is None


def test_a_suite_without_pfs_takes_the_groups_that_are_good_enough() -> None:
    offered = wired(offer_esp(esp("aes256-sha1-modp2048"), 1, 1, Lifetime(60)))
    assert chosen_esp(offered, "aes256-sha1") is None
    chosen = chosen_esp(offered, "aes256-sha1", groups=frozenset((14,)))
    assert chosen is not None
    assert chosen.group == 14
    plain = wired(offer_esp(esp("aes256-sha1"), 1, 1, Lifetime(60)))
    assert chosen_esp(plain, "aes256-sha1-modp2048", groups=frozenset((14,))) is None


@pytest.mark.parametrize("mode", [2, 3, 4, 61_443, 61_444])
def test_an_encapsulation_the_path_does_not_allow_is_refused(mode: int) -> None:
    offered = wired(offer_esp(esp("aes256-sha1"), 1, mode, Lifetime(60)))
    assert chosen_esp(offered, "aes256-sha1") is None
    assert choose_esp(offered, esp("aes256-sha1"), frozenset((mode,)), NO_GROUPS) is not None


# --- lifetimes ---------------------------------------------------------------------------------


def pairs(*values: tuple[int, int]) -> list[Attribute]:
    return [Attribute.of(kind, value) for kind, value in values]


T, D = SA_LIFE_TYPE, SA_LIFE_DURATION


@pytest.mark.parametrize(
    ("attributes", "life"),
    [
        (pairs((T, SECONDS), (D, 3_600)), Lifetime(3_600)),
        (pairs((T, KILOBYTES), (D, 5)), Lifetime(0, 5)),
        (pairs((T, 1), (D, 3_600), (T, 2), (D, 70_000)), Lifetime(3_600, 70_000)),
        (pairs((T, 2), (D, 70_000), (T, 1), (D, 3_600)), Lifetime(3_600, 70_000)),
        (pairs((D, 3_600), (T, 1)), Lifetime()),  # no type before it
        (pairs((T, 1), (T, 2), (D, 3_600), (D, 9)), Lifetime(0, 3_600)),  # FortiGate
        (pairs((T, 1), (4, 1), (D, 3_600)), Lifetime()),  # not directly behind
        (pairs((T, 7), (D, 3_600)), Lifetime()),  # a type nobody knows
        (pairs((T, 1), (D, 60), (D, 61)), Lifetime(60)),
        ([], Lifetime()),
    ],
)
def test_a_duration_counts_directly_behind_its_type(
    attributes: list[Attribute], life: Lifetime
) -> None:
    assert lifetime(attributes, SA_LIFE_TYPE, SA_LIFE_DURATION) == life


def test_the_shorter_of_two_lifetimes_counts_by_kind_and_zero_is_no_limit() -> None:
    assert Lifetime(10, 0).shorter(Lifetime(20, 5)) == Lifetime(10, 5)
    assert Lifetime(0, 7).shorter(Lifetime(20, 9)) == Lifetime(20, 7)
    assert Lifetime().shorter(Lifetime()) == Lifetime()


# --- comparisons -------------------------------------------------------------------------------


def test_a_comparison_names_each_attribute_and_both_numbers() -> None:
    offered = wired(offer_ike(ike("aes128-sha1-modp1024", "aes256-md5-modp2048"), DAY))
    ours = ike("aes256-sha2_256-modp2048", "aes256-md5-modp1024")
    assert compare_ike(offered, ours) == (
        Difference("cipher", "aes128", "aes256", 1, 1),
        Difference("hash", "sha1", "sha2_256", 1, 1),
        Difference("group", "modp1024", "modp2048", 1, 1),
        Difference("cipher", "aes128", "aes256", 1, 2),
        Difference("hash", "sha1", "md5", 1, 2),
        Difference("hash", "md5", "sha2_256", 2, 1),
        Difference("group", "modp2048", "modp1024", 2, 2),
    )


def test_a_comparison_names_what_we_do_not_build() -> None:
    attributes = pairs((ENCRYPTION, 1), (HASH, 3), (AUTHENTICATION, 64_221), (GROUP, 77))
    made = SecurityAssociation(
        (Proposal(1, PROTO_ISAKMP, b"", (Transform(9, KEY_IKE, tuple(attributes)),)),)
    )
    told = {d.attribute: d.remote for d in compare_ike(made, ike("aes256-sha1-modp1024"))}
    assert told == {
        "cipher": "des",
        "hash": "hash 3",
        "authentication": "hybrid",
        "group": "group 77",
    }


def test_a_comparison_of_phase_2_names_each_attribute_and_both_numbers() -> None:
    offered = wired(offer_esp(esp("aes128-md5-modp1024"), 1, 2, Lifetime(60)))
    told = compare_esp(offered, esp("aes256gcm16", "aes128-sha1"), TUNNEL, NO_GROUPS)
    assert told == (
        Difference("cipher", "aes128", "aes256gcm16", 1, 1),
        Difference("integrity", "md5", "none", 1, 1),
        Difference("encapsulation", "transport", "tunnel", 1, 1),
        Difference("PFS group", "modp1024", "none", 1, 1),
        Difference("integrity", "md5", "sha1", 1, 2),
        Difference("encapsulation", "transport", "tunnel", 1, 2),
        Difference("PFS group", "modp1024", "none", 1, 2),
    )


@pytest.mark.parametrize(
    ("identifier", "word"),
    [(2, "des"), (11, "null"), (12, "aes128"), (77, "transform 77 with 0 bits")],
)
def test_ciphers_of_phase_2_we_do_not_build_are_named(identifier: int, word: str) -> None:
    attributes = tuple(pairs((ENCAPSULATION, 1), (SA_AUTHENTICATION, 2)))
    made = (Proposal(1, PROTO_ESP, bytes(4), (Transform(1, identifier, attributes),)),)
    (told,) = compare_esp(SecurityAssociation(made), esp("aes256-sha1"), TUNNEL, NO_GROUPS)
    assert (told.attribute, told.remote) == ("cipher", word)


def test_comparisons_are_bounded() -> None:
    many = (unknown_ike(99),) * 200
    made = SecurityAssociation((Proposal(1, PROTO_ISAKMP, b"", many),))
    assert len(compare_ike(made, ike("aes256-sha1-modp2048"))) == MOST_COMPARISONS
    wanted = tuple(proposal(n % 256, PROTO_ESP, bytes(4), "aes128-md5") for n in range(200))
    told = compare_esp(SecurityAssociation(wanted), esp("aes256-sha1"), TUNNEL, NO_GROUPS)
    assert len(told) == MOST_COMPARISONS
