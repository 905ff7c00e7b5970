"""Quick mode: agreeing on a pair of IPsec SAs (RFC 2409 §5.5), the arithmetic of both ends.

    HDR*, HASH(1), SA, Ni [, KE] [, IDci, IDcr]                          ->
           <- HDR*, HASH(2), SA, Nr [, KE] [, IDci, IDcr] [, N(RESPONDER-LIFETIME)]
    HDR*, HASH(3)                                                        ->

Several run at once in one IKE SA (Cisco clients open two); each keeps its own nonces here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from culvert.crypto.dh import KeyPair, key_pair
from culvert.errors import NegotiationError, ProtocolError
from culvert.ike.exchanged import check_nonce
from culvert.ike.keys import Phase1Keys, keymat, split_keymat
from culvert.ike.outputs import SaKeys
from culvert.ike.pfs import PfsMismatch
from culvert.ike.proposal import (
    LIFE_DURATION,
    LIFE_TYPE,
    NEGOTIATED_CPIS,
    SA_LIFE_DURATION,
    SA_LIFE_TYPE,
    ChosenEsp,
    Lifetime,
    choose_esp,
    compare_esp,
    life_octets,
    lifetime,
    offer_esp,
    only_ah,
    only_pfs_differs,
)
from culvert.ike.selector import Selector
from culvert.ike.suite import EspSuite
from culvert.ike.wire.attribute import parse_attributes
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import RESPONDER_LIFETIME, Notify
from culvert.ike.wire.payload import ID, KE, NONCE, NOTIFY, SA, Chain, Part, of_kind, one
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_ISAKMP, SecurityAssociation
from culvert.octets.cursor import Cursor
from culvert.rng import Random

NONCE_OCTETS = 32

ONLY_AH = (
    "the peer offers AH only, which proves packets and hides nothing; ESP is used here, so set the "
    "peer to ESP"
)


class SelectorError(ProtocolError):
    """The networks asked for are not the peer's to have."""

    code = "peer.selectors"
    notify = 18  # INVALID-ID-INFORMATION


@dataclass(frozen=True, slots=True)
class Terms:
    """What one side accepts in phase 2. ``modes``: encapsulations the path allows."""

    suites: tuple[EspSuite, ...]
    modes: frozenset[int]
    pfs_groups: frozenset[int]
    life: Lifetime


@dataclass(frozen=True, slots=True)
class Agreed:
    """Both directions, as seen from here. ``life`` is what counts, ``theirs`` the peer's own."""

    suite: EspSuite
    inbound: SaKeys
    outbound: SaKeys
    life: Lifetime
    theirs: Lifetime
    cpi_in: int = 0
    cpi_out: int = 0


@dataclass(slots=True)
class QuickMode:
    """One exchange. ``spi`` and ``cpi`` are ours; ``initiator`` if we sent the first message."""

    message_id: int
    spi: int
    initiator: bool
    local: Selector
    remote: Selector
    replaces: int = 0
    nonce_i: bytes = field(default=b"", repr=False)
    nonce_r: bytes = field(default=b"", repr=False)
    pair: KeyPair | None = field(default=None, repr=False)
    with_identities: bool = True
    cpi: int = 0

    def identities(self) -> Chain:
        """IDci and IDcr: the initiator's side first, whoever writes."""
        if not self.with_identities:
            return ()
        ends = (self.local, self.remote) if self.initiator else (self.remote, self.local)
        return tuple([Identity.of_network(e.network, e.protocol, e.port).part() for e in ends])


def first(quick: QuickMode, terms: Terms, mode: int, rng: Random) -> Chain:
    """Message 1 behind HASH(1). PFS, if wanted, is that of the first suite."""
    quick.nonce_i = rng.octets(NONCE_OCTETS)
    pfs = terms.suites[0].pfs
    offered = tuple(suite for suite in terms.suites if suite.pfs == pfs)
    if any(suite.compression for suite in offered):
        quick.cpi = draw_cpi(rng)
    parts = [
        Part(SA, offer_esp(offered, quick.spi, mode, terms.life, quick.cpi).to_bytes()),
        Part(NONCE, quick.nonce_i),
    ]
    if pfs is not None:
        quick.pair = key_pair(pfs.number, rng)
        parts.append(Part(KE, quick.pair.public))
    return (*parts, *quick.identities())


def selectors(parts: Chain, own_host: Selector, peer_host: Selector) -> tuple[Selector, Selector]:
    """What message 1 asks for, as (initiator's side, responder's side).

    Without identities it is the two ends themselves (RFC 2409 §5.5).
    """
    found = [Identity.parse(part) for part in of_kind(parts, ID)]
    if not found:
        return peer_host, own_host
    if len(found) != 2:
        raise SelectorError(f"{len(found)} identities in quick mode, not two or none")
    mine, theirs = found
    return (
        Selector(mine.network(), mine.protocol, mine.port),
        Selector(theirs.network(), theirs.protocol, theirs.port),
    )


def asked_for(parts: Chain) -> str:
    """The networks of message 1 in words, whatever is wrong with them."""
    try:
        named = [str(Identity.parse(part).network()) for part in of_kind(parts, ID)]
    except ProtocolError:
        return "networks that cannot be read"
    return " <-> ".join(named) or "both ends themselves"


def answer(
    quick: QuickMode, parts: Chain, terms: Terms, keys: Phase1Keys, rng: Random
) -> tuple[Chain, Agreed]:
    """Message 2 behind HASH(2), and what it agrees on.

    Raises NegotiationError with every difference when nothing fits.
    """
    offered = SecurityAssociation.parse(_must(parts, SA))
    chosen = choose_esp(offered, terms.suites, terms.modes, terms.pfs_groups)
    if chosen is None:
        raise _nothing_fits(offered, terms)
    quick.nonce_i = _nonce(parts)
    quick.nonce_r = rng.octets(NONCE_OCTETS)
    if chosen.beside is not None:
        quick.cpi = draw_cpi(rng)
    shared = b""
    made = [Part(SA, chosen.answer(quick.spi, quick.cpi).to_bytes()), Part(NONCE, quick.nonce_r)]
    if chosen.group:
        pair = key_pair(chosen.group, rng)
        shared = pair.shared(_must(parts, KE).body)
        made.append(Part(KE, pair.public))
    made += of_kind(parts, ID)
    life = chosen.lifetime.shorter(terms.life)
    if life != chosen.lifetime:
        made.append(_responder_lifetime(quick.spi, life))
    return tuple(made), _agree(quick, chosen, (life, chosen.lifetime), keys, shared)


def _nothing_fits(offered: SecurityAssociation, terms: Terms) -> NegotiationError:
    of_terms = terms.suites, terms.modes, terms.pfs_groups
    comparisons = compare_esp(offered, *of_terms)
    if only_ah(offered):
        return NegotiationError(ONLY_AH, comparisons)
    if (pfs := only_pfs_differs(offered, *of_terms)) is not None:
        return PfsMismatch(pfs, comparisons)
    return NegotiationError("none of the peer's phase 2 proposals is accepted here", comparisons)


def finish(quick: QuickMode, parts: Chain, terms: Terms, keys: Phase1Keys) -> Agreed:
    """What message 2 agrees on. Raises for anything we did not offer."""
    chosen = choose_esp(
        SecurityAssociation.parse(_must(parts, SA)),
        terms.suites,
        terms.modes,
        frozenset((quick.pair.group,)) if quick.pair else frozenset(),
    )
    if chosen is None:
        raise NegotiationError("the gateway chose a phase 2 proposal that was not offered")
    if quick.identities() and [p.body for p in of_kind(parts, ID)] != [
        p.body for p in quick.identities()
    ]:
        raise SelectorError("the gateway answered with other networks than were asked for")
    quick.nonce_r = _nonce(parts)
    shared = b""
    if quick.pair is not None:
        if chosen.group != quick.pair.group:
            raise NegotiationError(
                f"PFS group {terms.suites[0].pfs_word} was offered, the gateway answered with none"
            )
        shared = quick.pair.shared(_must(parts, KE).body)
    announced = announced_life(parts, PROTO_ESP)
    life = chosen.lifetime.shorter(terms.life).shorter(announced)
    theirs = announced if announced.seconds else chosen.lifetime
    return _agree(quick, chosen, (life, theirs), keys, shared)


def announced_life(parts: Chain, protocol: int) -> Lifetime:
    """RESPONDER-LIFETIME notifies for this protocol (RFC 2407 §4.6.3.1)."""
    life = Lifetime()
    for part in of_kind(parts, NOTIFY):
        notify = Notify.parse(part)
        if notify.kind == RESPONDER_LIFETIME and notify.protocol == protocol:
            attributes = parse_attributes(Cursor(notify.data))
            life = life.shorter(lifetime(attributes, SA_LIFE_TYPE, SA_LIFE_DURATION))
            if protocol == PROTO_ISAKMP:  # peers write it with the numbers of either phase
                life = life.shorter(lifetime(attributes, LIFE_TYPE, LIFE_DURATION))
    return life


def _responder_lifetime(spi: int, life: Lifetime) -> Part:
    return Notify(RESPONDER_LIFETIME, PROTO_ESP, spi.to_bytes(4, "big"), life_octets(life)).part()


def _agree(
    quick: QuickMode,
    chosen: ChosenEsp,
    lives: tuple[Lifetime, Lifetime],
    keys: Phase1Keys,
    shared: bytes,
) -> Agreed:
    peer_spi = int.from_bytes(chosen.proposal.spi, "big")
    halves = [
        SaKeys(
            spi,
            *split_keymat(
                chosen.suite,
                keymat(
                    keys,
                    chosen.suite.key_octets,
                    PROTO_ESP,
                    spi.to_bytes(4, "big"),
                    quick.nonce_i,
                    quick.nonce_r,
                    shared,
                ),
            ),
        )
        for spi in (quick.spi, peer_spi)
    ]
    cpis = (quick.cpi, chosen.beside.cpi) if chosen.beside is not None else (0, 0)
    return Agreed(chosen.suite, halves[0], halves[1], *lives, *cpis)


def draw_cpi(rng: Random) -> int:
    """Any will do: a packet is told by the SPI around it, the CPI only confirms."""
    first, last = NEGOTIATED_CPIS[0], NEGOTIATED_CPIS[-1]
    return first + int.from_bytes(rng.octets(2), "big") % (last - first + 1)


def _must(parts: Chain, kind: int) -> Part:
    found = one(parts, kind)
    if found is None:
        raise NegotiationError(f"quick mode without payload {kind}")
    return found


def _nonce(parts: Chain) -> bytes:
    found = _must(parts, NONCE).body
    check_nonce(found)
    return found
