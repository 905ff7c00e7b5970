"""Offering, choosing and comparing proposals of both phases (RFC 2407 §4, RFC 2409 App. A).

Attribute order is free on receipt; we send the cipher first and its key length second, which is
the one order every known peer reads (libreswan refuses the other).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.attribute import Attribute, join
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
from culvert.tables.algorithms import (
    AUTHENTICATIONS,
    ESP_CIPHERS,
    GROUPS,
    HASHES,
    IKE_CIPHERS,
    INTEGRITIES,
)

# Phase 1 attributes (RFC 2409 App. A)
ENCRYPTION, HASH, AUTHENTICATION, GROUP = 1, 2, 3, 4
LIFE_TYPE, LIFE_DURATION, KEY_LENGTH = 11, 12, 14
# Phase 2 attributes (RFC 2407 §4.5)
SA_LIFE_TYPE, SA_LIFE_DURATION, SA_GROUP = 1, 2, 3
ENCAPSULATION, SA_AUTHENTICATION, SA_KEY_LENGTH = 4, 5, 6

SECONDS, KILOBYTES = 1, 2

MOST_COMPARISONS = 64  # pairs told apart in the log; vpnc's 24 transforms against 5 of ours are 120

_DEFAULT_KEY_BITS = (
    128  # AES without a key length attribute (RFC 3602 §5.3 aside, seen in the wild)
)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """0 = no limit of that kind."""

    seconds: int = 0
    kilobytes: int = 0

    def shorter(self, other: Lifetime) -> Lifetime:
        """The shorter of the two counts, for each kind."""
        return Lifetime(
            _least(self.seconds, other.seconds), _least(self.kilobytes, other.kilobytes)
        )


def _least(left: int, right: int) -> int:
    return min(left, right) if left and right else left or right


@dataclass(frozen=True, slots=True)
class Difference:
    """One attribute in which a pair of proposals differs, by proposal numbers."""

    attribute: str
    remote: str
    local: str
    remote_number: int
    local_number: int


@dataclass(frozen=True, slots=True)
class ChosenIke:
    suite: IkeSuite
    proposal: Proposal
    transform: Transform
    lifetime: Lifetime

    def answer(self) -> SecurityAssociation:
        """The chosen transform exactly as it was offered."""
        chosen = Proposal(
            self.proposal.number, self.proposal.protocol, self.proposal.spi, (self.transform,)
        )
        return SecurityAssociation((chosen,))


@dataclass(frozen=True, slots=True)
class Beside:
    """IPComp, agreed on together with ESP. ``cpi`` is the peer's."""

    transform: Transform
    cpi: int


@dataclass(frozen=True, slots=True)
class ChosenEsp:
    suite: EspSuite
    proposal: Proposal
    transform: Transform
    lifetime: Lifetime
    mode: int
    group: int
    beside: Beside | None = None

    def answer(self, spi: int, cpi: int = 0) -> SecurityAssociation:
        """What was chosen exactly as it was offered, with our SPI and CPI."""
        octets, number = spi.to_bytes(4, "big"), self.proposal.number
        chosen = Proposal(number, PROTO_ESP, octets, (self.transform,))
        if self.beside is None:
            return SecurityAssociation((chosen,))
        packed = Proposal(number, PROTO_IPCOMP, cpi.to_bytes(2, "big"), (self.beside.transform,))
        return SecurityAssociation((chosen, packed))


# --- offers ------------------------------------------------------------------------------------


def offer_ike(suites: Sequence[IkeSuite], life_seconds: int) -> SecurityAssociation:
    """One proposal, a transform for every suite, in this order."""
    transforms = tuple(
        [
            Transform(number, KEY_IKE, _ike_attributes(suite, life_seconds))
            for number, suite in enumerate(suites, start=1)
        ]
    )
    return SecurityAssociation((Proposal(1, PROTO_ISAKMP, b"", transforms),))


def _ike_attributes(suite: IkeSuite, life_seconds: int) -> tuple[Attribute, ...]:
    key_bits = suite.cipher.key_bits
    return (
        Attribute.of(ENCRYPTION, suite.cipher.number),
        *((Attribute.of(KEY_LENGTH, key_bits),) if key_bits else ()),
        Attribute.of(HASH, suite.hash.number),
        Attribute.of(AUTHENTICATION, suite.authentication.number),
        Attribute.of(GROUP, suite.group.number),
        Attribute.of(LIFE_TYPE, SECONDS),
        Attribute.of(LIFE_DURATION, life_seconds),
    )


def offer_esp(
    suites: Sequence[EspSuite], spi: int, mode: int, lifetime: Lifetime, cpi: int = 0
) -> SecurityAssociation:
    """A proposal for every suite, all with one SPI: alternatives, in this order. A suite with
    compression is two of the same number, which belong together (RFC 2408 §4.2)."""
    octets = spi.to_bytes(4, "big")
    made: list[Proposal] = []
    for number, suite in enumerate(suites, start=1):
        transform = Transform(1, suite.cipher.number, _esp_attributes(suite, mode, lifetime))
        made.append(Proposal(number, PROTO_ESP, octets, (transform,)))
        if suite.compression is not None:
            attributes = (Attribute.of(ENCAPSULATION, mode), *_lives(lifetime))
            packing = Transform(1, suite.compression.number, attributes)
            made.append(Proposal(number, PROTO_IPCOMP, cpi.to_bytes(2, "big"), (packing,)))
    return SecurityAssociation(tuple(made))


def _esp_attributes(suite: EspSuite, mode: int, lifetime: Lifetime) -> tuple[Attribute, ...]:
    made = [Attribute.of(ENCAPSULATION, mode)]
    if suite.cipher.key_bits:
        made.append(Attribute.of(SA_KEY_LENGTH, suite.cipher.key_bits))
    if suite.integrity:
        made.append(Attribute.of(SA_AUTHENTICATION, suite.integrity.number))
    if suite.pfs:
        made.append(Attribute.of(SA_GROUP, suite.pfs.number))
    return (*made, *_lives(lifetime))


def _lives(lifetime: Lifetime) -> tuple[Attribute, ...]:
    made: list[Attribute] = []
    for kind, value in ((SECONDS, lifetime.seconds), (KILOBYTES, lifetime.kilobytes)):
        if value:
            made += [Attribute.of(SA_LIFE_TYPE, kind), Attribute.of(SA_LIFE_DURATION, value)]
    return tuple(made)


# --- choosing ----------------------------------------------------------------------------------


def choose_ike(offered: SecurityAssociation, suites: Sequence[IkeSuite]) -> ChosenIke | None:
    """The first of our suites that is among the peer's transforms: our order decides."""
    found: dict[tuple[tuple[int, int], ...], tuple[Proposal, Transform]] = {}
    for proposal in offered.proposals:
        for transform in proposal.transforms if proposal.protocol == PROTO_ISAKMP else ():
            if transform.identifier == KEY_IKE:
                found.setdefault(tuple(_offered_ike(transform).values()), (proposal, transform))
    for suite in suites:
        if chosen := found.get(tuple(_ike_values(suite).values())):
            proposal, transform = chosen
            life = lifetime(transform.attributes, LIFE_TYPE, LIFE_DURATION)
            return ChosenIke(suite, proposal, transform, life)
    return None


def choose_esp(
    offered: SecurityAssociation,
    suites: Sequence[EspSuite],
    modes: frozenset[int],
    pfs_groups: frozenset[int],
) -> ChosenEsp | None:
    """As `choose_ike`. A suite that names no PFS group takes any of ``pfs_groups`` as well.

    Proposals that share a number with another protocol's (ESP and IPComp) want both: they are for
    suites with compression.
    """
    esp = [
        (proposal, _company(proposal, offered))
        for proposal in offered.proposals
        if proposal.protocol == PROTO_ESP and len(proposal.spi) == 4
    ]
    for suite in suites:
        for proposal, company in esp:
            beside = _beside(company, suite)
            if len(company) != (beside is not None) or bool(suite.compression) != bool(beside):
                continue
            for transform in proposal.transforms:
                if not _esp_differences(transform, suite, modes, pfs_groups):
                    return ChosenEsp(
                        suite,
                        proposal,
                        transform,
                        lifetime(transform.attributes, SA_LIFE_TYPE, SA_LIFE_DURATION),
                        transform.value(ENCAPSULATION) or 0,
                        transform.value(SA_GROUP) or 0,
                        beside,
                    )
    return None


def _company(esp: Proposal, offered: SecurityAssociation) -> list[Proposal]:
    """What is wanted together with this proposal. ESP proposals alone, all of one number, are
    alternatives of a peer that does not count."""
    if all(proposal.protocol == PROTO_ESP for proposal in offered.proposals):
        return []
    same = [proposal for proposal in offered.proposals if proposal.number == esp.number]
    return [proposal for proposal in same if proposal is not esp]


def _beside(company: Sequence[Proposal], suite: EspSuite) -> Beside | None:
    """The peer's IPComp proposal, if it is all there is beside ESP and offers this compression."""
    if len(company) != 1 or company[0].protocol != PROTO_IPCOMP or suite.compression is None:
        return None
    (packing,) = company
    cpi = int.from_bytes(packing.spi, "big") & 0xFFFF  # four octets are seen, too
    if len(packing.spi) not in (2, 4) or not _is_cpi(cpi, suite.compression.number):
        return None
    wanted = suite.compression.number
    found = (one for one in packing.transforms if one.identifier == wanted)
    transform = next(found, None)
    return Beside(transform, cpi) if transform is not None else None


def _is_cpi(cpi: int, well_known: int) -> bool:
    """One that may be negotiated, or that of the algorithm (RFC 3173 §3.3)."""
    return cpi in NEGOTIATED_CPIS or cpi == well_known


NEGOTIATED_CPIS = range(256, 61440)


def only_ah(offered: SecurityAssociation) -> bool:
    """Whether the peer would authenticate packets without encrypting them (RFC 4302)."""
    return all(proposal.protocol == PROTO_AH for proposal in offered.proposals)


def only_pfs_differs(
    offered: SecurityAssociation,
    suites: Sequence[EspSuite],
    modes: frozenset[int],
    pfs_groups: frozenset[int],
) -> Difference | None:
    """The PFS groups of both ends, if some pair of proposals fits in everything else."""
    for proposal in offered.proposals:
        for transform in proposal.transforms if proposal.protocol == PROTO_ESP else ():
            for number, suite in enumerate(suites, start=1):
                found = _esp_differences(transform, suite, modes, pfs_groups)
                found += _compression_differs(_company(proposal, offered), suite)
                if len(found) == 1 and found[0][0] == PFS:
                    return Difference(*found[0], proposal.number, number)
    return None


def life_octets(life: Lifetime) -> bytes:
    """As attributes: the data of RESPONDER-LIFETIME for ESP (RFC 2407 §4.6.3.1)."""
    return _life_octets(life, SA_LIFE_TYPE, SA_LIFE_DURATION)


def ike_life_octets(life: Lifetime) -> bytes:
    """The same for the IKE SA, whose attributes have other numbers."""
    return _life_octets(life, LIFE_TYPE, LIFE_DURATION)


def _life_octets(life: Lifetime, kind: int, duration: int) -> bytes:
    return b"".join(
        [
            join((Attribute.of(kind, unit), Attribute.of(duration, value)))
            for unit, value in ((SECONDS, life.seconds), (KILOBYTES, life.kilobytes))
            if value
        ]
    )


def lifetime(attributes: Iterable[Attribute], type_kind: int, duration_kind: int) -> Lifetime:
    """Life pairs: a duration counts only directly behind its type (FortiGate sends others)."""
    found = {SECONDS: 0, KILOBYTES: 0}
    pending = 0
    for attribute in attributes:
        if attribute.kind == type_kind:
            pending = attribute.number
        elif attribute.kind == duration_kind and pending in found:
            found[pending] = attribute.number
            pending = 0
        else:
            pending = 0
    return Lifetime(found[SECONDS], found[KILOBYTES])


# --- comparing ---------------------------------------------------------------------------------


def compare_ike(offered: SecurityAssociation, suites: Sequence[IkeSuite]) -> tuple[Difference, ...]:
    """Every pair, attribute by attribute; at most `MOST_COMPARISONS` rows."""
    made: list[Difference] = []
    for proposal in offered.proposals:
        for transform in proposal.transforms:
            theirs = _offered_ike(transform)
            for number, suite in enumerate(suites, start=1):
                for name, value in _ike_values(suite).items():
                    if theirs[name] != value:
                        made.append(
                            Difference(
                                name,
                                _ike_word(name, theirs[name]),
                                _ike_word(name, value),
                                transform.number,
                                number,
                            )
                        )
            if len(made) >= MOST_COMPARISONS:
                return tuple(made[:MOST_COMPARISONS])
    return tuple(made)


def compare_esp(
    offered: SecurityAssociation,
    suites: Sequence[EspSuite],
    modes: frozenset[int],
    pfs_groups: frozenset[int],
) -> tuple[Difference, ...]:
    made: list[Difference] = []
    for proposal in offered.proposals:
        if proposal.protocol == PROTO_AH:
            made.append(Difference("protocol", "AH", "ESP", proposal.number, 1))
        for transform in proposal.transforms if proposal.protocol == PROTO_ESP else ():
            for number, suite in enumerate(suites, start=1):
                made += [
                    Difference(name, remote, local, proposal.number, number)
                    for name, remote, local in (
                        *_esp_differences(transform, suite, modes, pfs_groups),
                        *_compression_differs(_company(proposal, offered), suite),
                    )
                ]
            if len(made) >= MOST_COMPARISONS:
                return tuple(made[:MOST_COMPARISONS])
    return tuple(made)


def _compression_differs(
    company: Sequence[Proposal], suite: EspSuite
) -> tuple[tuple[str, str, str], ...]:
    if (_beside(company, suite) is not None) == (suite.compression is not None) == bool(company):
        return ()
    offered = [_WITH.get(one.protocol, f"protocol {one.protocol}") for one in company]
    ours = suite.compression.token if suite.compression else "none"
    return (("compression", " and ".join(offered) or "none", ours),)


def _ike_values(suite: IkeSuite) -> dict[str, tuple[int, int]]:
    return {
        "cipher": (suite.cipher.number, suite.cipher.key_bits),
        "hash": (suite.hash.number, 0),
        "authentication": (suite.authentication.number, 0),
        "group": (suite.group.number, 0),
    }


def _offered_ike(transform: Transform) -> dict[str, tuple[int, int]]:
    cipher = transform.value(ENCRYPTION) or 0
    key_bits = transform.value(KEY_LENGTH) or (_DEFAULT_KEY_BITS if cipher == 7 else 0)
    return {
        "cipher": (cipher, key_bits),
        "hash": (transform.value(HASH) or 0, 0),
        "authentication": (transform.value(AUTHENTICATION) or 0, 0),
        "group": (transform.value(GROUP) or 0, 0),
    }


def _esp_differences(
    transform: Transform,
    suite: EspSuite,
    modes: frozenset[int],
    pfs_groups: frozenset[int],
) -> list[tuple[str, str, str]]:
    differing: list[tuple[str, str, str]] = []
    key_bits = transform.value(SA_KEY_LENGTH) or (
        _DEFAULT_KEY_BITS if transform.identifier in (12, 20) else 0
    )
    theirs = (transform.identifier, key_bits)
    if theirs != (suite.cipher.number, suite.cipher.key_bits):
        differing.append(("cipher", _esp_cipher_word(theirs), suite.cipher.token))
    integrity = transform.value(SA_AUTHENTICATION) or 0
    if integrity != (suite.integrity.number if suite.integrity else 0):
        word = suite.integrity.token if suite.integrity else "none"
        differing.append(("integrity", _integrity_word(integrity), word))
    mode = transform.value(ENCAPSULATION) or 0
    if mode not in modes:
        words = " or ".join(_MODE_WORDS.get(m, str(m)) for m in sorted(modes))
        differing.append(("encapsulation", _MODE_WORDS.get(mode, str(mode)), words))
    group = transform.value(SA_GROUP) or 0
    wanted = {suite.pfs.number} if suite.pfs else {0, *pfs_groups}
    if group not in wanted:
        words = " or ".join(_ike_word("group", (g, 0)) for g in sorted(wanted))
        differing.append((PFS, _ike_word("group", (group, 0)), words))
    return differing


PFS = "PFS group"
_WITH = {PROTO_AH: "AH", PROTO_IPCOMP: "IPComp"}
_MODE_WORDS = {
    1: "tunnel",
    2: "transport",
    3: "UDP tunnel",
    4: "UDP transport",
    61443: "UDP tunnel (draft)",
    61444: "UDP transport (draft)",
}
# Numbers we do not build, so that a refusal names what the peer wanted (RFC 2409 App. A).
_FOREIGN_CIPHERS = {
    0: "none",
    1: "des",
    2: "idea",
    3: "blowfish",
    4: "rc5",
    6: "cast",
    8: "camellia",
}
_WORDS: dict[str, dict[tuple[int, int], str]] = {
    "cipher": {(row.number, row.key_bits): row.token for row in IKE_CIPHERS},
    "hash": {(row.number, 0): row.token for row in HASHES},
    "authentication": {(row.number, 0): row.name for row in AUTHENTICATIONS},
    "group": {(row.number, 0): row.token for row in GROUPS} | {(0, 0): "none"},
}


def _ike_word(name: str, value: tuple[int, int]) -> str:
    word = _WORDS[name].get(value)
    if word is None and name == "cipher":
        word = _FOREIGN_CIPHERS.get(value[0])
        return f"{word or f'cipher {value[0]}'}{value[1] or ''}"
    return word or f"{name} {value[0]}"


def _esp_cipher_word(value: tuple[int, int]) -> str:
    for row in ESP_CIPHERS:
        if (row.number, row.key_bits) == value:
            return row.token
    return {2: "des", 11: "null"}.get(value[0], f"transform {value[0]} with {value[1]} bits")


def _integrity_word(number: int) -> str:
    for row in INTEGRITIES:
        if row.number == number:
            return row.token
    return "none" if number == 0 else f"integrity {number}"
