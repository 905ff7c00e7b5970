"""Quick mode: both ends agree on keys for every suite, and refuse what was not offered."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

import pytest

from culvert.errors import NegotiationError, WireError
from culvert.ike.keys import Phase1Keys, phase1_keys
from culvert.ike.proposal import Lifetime
from culvert.ike.quick import (
    Agreed,
    QuickMode,
    SelectorError,
    Terms,
    announced_life,
    answer,
    finish,
    first,
    selectors,
)
from culvert.ike.selector import Selector
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.notify import RESPONDER_LIFETIME, Notify
from culvert.ike.wire.payload import ID, KE, NONCE, NOTIFY, SA, Chain, Part, one
from culvert.ike.wire.proposal import PROTO_ESP, PROTO_ISAKMP, SecurityAssociation
from culvert.rng import SeededRandom
from culvert.tables.algorithms import ESP_CIPHERS, GROUPS, INTEGRITIES

HERE, THERE = Selector(ip_network("10.9.0.7/32")), Selector(ip_network("10.0.0.0/8"))
TUNNEL = 1
HOUR = Lifetime(3_600)


def keys() -> Phase1Keys:
    suite = IkeSuite.named("aes128-sha1-modp768")
    return phase1_keys(suite, b"skeyid", b"shared", bytes(16), b"i", b"r")


def terms(*suites: EspSuite, life: Lifetime = HOUR) -> Terms:
    return Terms(suites, frozenset((TUNNEL,)), frozenset(), life)


def named(*names: str, life: Lifetime = HOUR) -> Terms:
    return terms(*(EspSuite.named(name) for name in names), life=life)


class Talk:
    """One exchange, message by message."""

    def __init__(self, ours: Terms, theirs: Terms | None = None) -> None:
        self.ours, self.theirs = ours, theirs or ours
        self.asking = QuickMode(7, 0x1111, True, HERE, THERE)
        self.asked = QuickMode(7, 0x2222, False, THERE, HERE)
        self.question = first(self.asking, ours, TUNNEL, SeededRandom(1))

    def answered(self, question: Chain | None = None) -> tuple[Chain, Agreed]:
        return answer(self.asked, question or self.question, self.theirs, keys(), SeededRandom(2))

    def finished(self, reply: Chain) -> Agreed:
        return finish(self.asking, reply, self.ours, keys())


def changed(parts: Chain, kind: int, body: bytes | None) -> Chain:
    """With every payload of this kind given another body, or left out."""
    return tuple(
        Part(part.kind, body if part.kind == kind and body is not None else part.body)
        for part in parts
        if part.kind != kind or body is not None
    )


def suites() -> list[EspSuite]:
    return [
        EspSuite(cipher, integrity, pfs)
        for cipher in ESP_CIPHERS
        for integrity in ((None,) if cipher.aead else INTEGRITIES)
        for pfs in (None, GROUPS[0])
    ]


@pytest.mark.parametrize("suite", suites(), ids=lambda suite: suite.name)
def test_both_ends_agree_on_keys(suite: EspSuite) -> None:
    talk = Talk(terms(suite))
    reply, there = talk.answered()
    here = talk.finished(reply)
    assert here.suite == there.suite == suite
    assert (here.inbound, here.outbound) == (there.outbound, there.inbound)
    assert (here.inbound.spi, here.outbound.spi) == (0x1111, 0x2222)
    assert here.inbound != here.outbound
    if suite.cipher.key_octets:
        assert here.inbound.cipher_key != here.outbound.cipher_key
    assert len(here.inbound.cipher_key) == suite.cipher.key_octets
    assert here.life == there.life == HOUR


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.token)
def test_every_group_serves_for_pfs(group: object) -> None:
    suite = replace(EspSuite.named("aes128-sha1"), pfs=group)
    talk = Talk(terms(suite))
    reply, there = talk.answered()
    assert one(reply, KE) is not None
    assert talk.finished(reply).inbound == there.outbound


def test_pfs_makes_keys_that_phase_1_does_not_give_away() -> None:
    plain, secret = Talk(named("aes128-sha1")), Talk(named("aes128-sha1-modp768"))
    without, with_pfs = plain.answered()[1], secret.answered()[1]
    assert plain.asking.nonce_i == secret.asking.nonce_i
    assert without.inbound.cipher_key != with_pfs.inbound.cipher_key


def test_only_suites_of_one_group_are_offered_together() -> None:
    """One KE payload serves them all."""
    talk = Talk(named("aes256-sha1-modp768", "aes128-sha1-modp768", "aes128-sha1-modp1024"))
    body = one(talk.question, SA)
    assert body is not None
    assert len(SecurityAssociation.parse(body).proposals) == 2


def test_nothing_in_common_is_told_attribute_by_attribute() -> None:
    talk = Talk(named("aes128-sha1"), named("aes256gcm16"))
    with pytest.raises(NegotiationError) as caught:
        talk.answered()
    assert len(caught.value.comparisons) == 2


# --- networks ----------------------------------------------------------------------------------


def test_identities_name_the_initiators_side_first_whoever_writes() -> None:
    talk = Talk(named("aes128-sha1"))
    assert talk.asking.identities() == talk.asked.identities()
    assert selectors(talk.question, THERE, HERE) == (HERE, THERE)


def test_without_identities_it_is_the_two_ends() -> None:
    own, peer = Selector(ip_network("192.0.2.1/32")), Selector(ip_network("10.0.0.5/32"))
    talk = Talk(named("aes128-sha1"))
    assert selectors(changed(talk.question, ID, None), own, peer) == (peer, own)


def test_one_identity_or_three_are_refused() -> None:
    with pytest.raises(SelectorError, match="1 identities"):
        selectors((Identity.of_network(HERE.network).part(),), THERE, HERE)
    with pytest.raises(SelectorError, match="3 identities"):
        selectors((Identity.of_network(HERE.network).part(),) * 3, THERE, HERE)


def test_an_identity_that_is_no_network_is_refused() -> None:
    with pytest.raises(WireError, match="no network"):
        selectors((Identity.of_group("staff").part(),) * 2, THERE, HERE)


# --- answers nobody asked for ------------------------------------------------------------------


def test_an_answer_for_other_networks_is_refused() -> None:
    talk = Talk(named("aes128-sha1"))
    reply, _ = talk.answered()
    other = Identity.of_network(ip_network("172.16.0.0/12")).to_bytes()
    with pytest.raises(SelectorError, match="other networks"):
        talk.finished(changed(reply, ID, other))
    with pytest.raises(SelectorError, match="other networks"):
        talk.finished(changed(reply, ID, None))


def test_a_choice_that_was_not_offered_is_refused() -> None:
    talk, other = Talk(named("aes128-sha1")), Talk(named("aes128-md5"))
    reply, _ = other.answered()
    with pytest.raises(NegotiationError, match="not offered"):
        talk.finished(reply)


def test_an_answer_without_the_pfs_that_was_offered_is_refused() -> None:
    talk, plain = Talk(named("aes128-sha1-modp768")), Talk(named("aes128-sha1"))
    reply, _ = plain.answered()
    with pytest.raises(NegotiationError):
        talk.finished(reply)


@pytest.mark.parametrize("kind", [SA, NONCE, KE])
def test_what_is_missing_is_named(kind: int) -> None:
    talk = Talk(named("aes128-sha1-modp768"))
    with pytest.raises(NegotiationError, match=f"without payload {kind}"):
        talk.answered(changed(talk.question, kind, None))


# --- lifetimes ---------------------------------------------------------------------------------


def test_the_shorter_life_counts_and_the_responder_tells() -> None:
    talk = Talk(named("aes128-sha1"), named("aes128-sha1", life=Lifetime(1_800, 4_096)))
    reply, there = talk.answered()
    assert one(reply, NOTIFY) is not None
    assert there.life == Lifetime(1_800, 4_096)
    assert talk.finished(reply).life == there.life


def test_a_responder_that_agrees_says_nothing() -> None:
    talk = Talk(named("aes128-sha1"), named("aes128-sha1", life=Lifetime(7_200)))
    reply, there = talk.answered()
    assert one(reply, NOTIFY) is None
    assert there.life == HOUR


def notice(protocol: int, octets: str) -> Part:
    data = bytes.fromhex(octets)
    return Notify(RESPONDER_LIFETIME, protocol, bytes(4), data).part()


def test_a_notice_for_another_protocol_or_in_another_order_is_passed_over() -> None:
    day = "80010001 00020004 00015180"
    assert announced_life((notice(PROTO_ESP, day),), PROTO_ESP) == Lifetime(86_400)
    assert announced_life((notice(PROTO_ISAKMP, day),), PROTO_ESP) == Lifetime()
    backwards = "00020004 00015180 80010001"
    assert announced_life((notice(PROTO_ESP, backwards),), PROTO_ESP) == Lifetime()


@pytest.mark.parametrize("octets", [0, 7, 257])
def test_a_nonce_of_a_size_that_no_peer_may_send_is_refused_by_both_ends(octets: int) -> None:
    talk = Talk(named("aes128-sha1"))
    with pytest.raises(NegotiationError, match="8 to 256"):
        talk.answered(changed(talk.question, NONCE, bytes(octets)))
    reply, _ = talk.answered()
    with pytest.raises(NegotiationError, match="8 to 256"):
        talk.finished(changed(reply, NONCE, bytes(octets)))
