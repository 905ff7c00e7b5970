"""NAT detection in its four cases, and the versions of NAT traversal."""

from __future__ import annotations

import pytest

from culvert.crypto.hash import digest
from culvert.ike.natt import (
    DRAFT_00,
    DRAFT_01,
    DRAFT_02,
    DRAFT_02_NEWLINE,
    DRAFT_03,
    PREFERENCE,
    RFC_3947,
    UDP_TUNNEL,
    UDP_TUNNEL_DRAFT,
    Nat,
    Version,
    best,
    detect,
    detection,
    guess,
    nat_d,
    permitted,
)
from culvert.ike.wire.payload import NAT_D, NAT_D_DRAFT, NAT_D_LATE, Chain, Part
from culvert.inet.address import Address

COOKIES = bytes(range(16))
CLIENT: Address = ("10.0.0.5", 500)
GATEWAY: Address = ("192.0.2.1", 500)
# The same two as the other side sees them through a NAT.
CLIENT_OUTSIDE: Address = ("198.51.100.7", 1_024)
GATEWAY_OUTSIDE: Address = ("203.0.113.9", 500)


def sent(
    sender: Address, receiver: Address, *, disguise: bool = False, version: Version = RFC_3947
) -> Chain:
    """NAT-D of a message from ``sender`` to ``receiver``, both as the sender knows them."""
    return detection(version, "sha1", COOKIES, receiver, sender, disguise=disguise)


def found(parts: Chain, own: Address, peer: Address, version: Version = RFC_3947) -> Nat | None:
    return detect(parts, version, "sha1", COOKIES, own, peer)


def test_nat_d_is_a_hash_of_cookies_address_and_port() -> None:
    wanted = digest("sha1", COOKIES + bytes((192, 0, 2, 1)) + b"\x01\xf4")
    assert nat_d("sha1", COOKIES, GATEWAY) == wanted
    six = digest("md5", COOKIES + bytes.fromhex("20010db8" + "00" * 11 + "01") + b"\x11\x94")
    assert nat_d("md5", COOKIES, ("2001:db8::1", 4_500)) == six


@pytest.mark.requirement("S4-11", part="detection")
@pytest.mark.parametrize(
    ("client_seen", "gateway_called", "client_behind", "gateway_behind"),
    [
        pytest.param(CLIENT, GATEWAY, False, False, id="none"),
        pytest.param(CLIENT_OUTSIDE, GATEWAY, True, False, id="client"),
        pytest.param(CLIENT, GATEWAY_OUTSIDE, False, True, id="gateway"),
        pytest.param(CLIENT_OUTSIDE, GATEWAY_OUTSIDE, True, True, id="both"),
    ],
)
def test_each_side_learns_who_stands_behind_a_nat(
    client_seen: Address, gateway_called: Address, client_behind: bool, gateway_behind: bool
) -> None:
    at_gateway = found(sent(CLIENT, gateway_called), own=GATEWAY, peer=client_seen)
    at_client = found(sent(GATEWAY, client_seen), own=CLIENT, peer=gateway_called)
    assert at_gateway == Nat(local=gateway_behind, remote=client_behind)
    assert at_client == Nat(local=client_behind, remote=gateway_behind)
    assert at_client is not None
    assert at_client.found is (client_behind or gateway_behind)


def test_a_side_that_floated_may_have_hashed_either_port() -> None:
    """Peers on 4500 hash that port or still 500; neither is a NAT."""
    own, peer = (GATEWAY[0], 4_500), (CLIENT[0], 4_500)
    for port in (500, 4_500):
        parts = sent((CLIENT[0], port), (GATEWAY[0], port))
        assert found(parts, own, peer) == Nat()
    elsewhere = sent((CLIENT[0], 4_501), (GATEWAY[0], 500))
    assert found(elsewhere, own, peer) == Nat(local=False, remote=True)


def test_on_port_500_the_other_port_is_a_translation() -> None:
    parts = sent((CLIENT[0], 4_500), GATEWAY)
    assert found(parts, GATEWAY, CLIENT) == Nat(remote=True)


def test_one_of_several_own_addresses_suffices() -> None:
    """RFC 3947 §3.2: a sender may list all it has."""
    receiver, own = sent(CLIENT, GATEWAY)
    (other,) = sent(("172.16.0.1", 500), GATEWAY)[1:]
    assert found((receiver, other, own), GATEWAY, CLIENT) == Nat()
    assert found((receiver, other), GATEWAY, CLIENT) == Nat(remote=True)


def test_a_disguise_is_a_wrong_address_to_others_and_a_wish_to_our_own_kind() -> None:
    parts, plain = sent(CLIENT, GATEWAY, disguise=True), sent(CLIENT, GATEWAY)
    assert parts[0] == plain[0]
    assert parts[1] != plain[1]
    assert found(parts, GATEWAY, CLIENT) == Nat(pretended=True)
    assert not Nat(pretended=True).found


def test_behind_a_nat_a_disguise_hides_nothing() -> None:
    parts = sent(CLIENT, GATEWAY, disguise=True)
    assert found(parts, GATEWAY, CLIENT_OUTSIDE) == Nat(remote=True)


@pytest.mark.parametrize(
    ("own", "peer", "guessed"),
    [
        (("10.0.0.5", 500), ("10.0.0.1", 500), Nat()),
        (("8.8.8.8", 500), ("9.9.9.9", 4_500), Nat()),
        (("10.0.0.5", 500), ("9.9.9.9", 500), Nat(local=True)),
        (("8.8.8.8", 500), ("10.0.0.5", 500), Nat(remote=True)),
        (("8.8.8.8", 500), ("9.9.9.9", 1_024), Nat(remote=True)),
    ],
)
def test_without_nat_d_the_addresses_alone_are_asked(
    own: Address, peer: Address, guessed: Nat
) -> None:
    assert guess(own, peer) == guessed


@pytest.mark.requirement("S1-182", part="drafts 04 to 08 are read")
def test_what_drafts_04_to_08_call_nat_d_is_read() -> None:
    late = tuple([Part(NAT_D_LATE, part.body) for part in sent(CLIENT, GATEWAY)])
    assert found(late, GATEWAY, CLIENT) == Nat()
    assert found(late, GATEWAY, CLIENT_OUTSIDE) == Nat(remote=True)
    assert found(late, GATEWAY, CLIENT, DRAFT_02) is None


def test_the_first_drafts_are_used_only_by_their_switch() -> None:
    both = frozenset(("natt-00", "natt-01"))
    assert best(both, permitted("auto", ())) is None
    assert best(both, permitted("auto", ("natt-early",))) is DRAFT_01
    assert best(frozenset(("natt-00",)), permitted("force", ("natt-early",))) is DRAFT_00
    assert best(both | {"natt-02"}, permitted("auto", ("natt-early",))) is DRAFT_02
    assert best(both | {"natt-rfc3947"}, permitted("early", ("natt-early",))) is DRAFT_01
    assert permitted("off", ("natt-early",)) == ()
    assert best(both | {"natt-02", "natt-03"}, permitted("draft-03", ())) is DRAFT_03
    assert best(both | {"natt-02n", "natt-rfc3947"}, permitted("draft-02", ())) is DRAFT_02_NEWLINE


def test_fewer_than_two_say_nothing() -> None:
    parts = sent(CLIENT, GATEWAY)
    assert found((), GATEWAY, CLIENT) is None
    assert found(parts[:1], GATEWAY, CLIENT) is None


@pytest.mark.parametrize("version", PREFERENCE, ids=lambda version: version.feature)
def test_drafts_have_their_own_payload_and_mode(version: Version) -> None:
    rfc = version is RFC_3947
    assert version.nat_d == (NAT_D if rfc else NAT_D_DRAFT)
    assert version.mode == (UDP_TUNNEL if rfc else UDP_TUNNEL_DRAFT)
    parts = sent(CLIENT, GATEWAY, version=version)
    assert [part.kind for part in parts] == [version.nat_d] * 2
    assert found(parts, GATEWAY, CLIENT, version) == Nat()
    other = tuple(Part(NAT_D_DRAFT if rfc else NAT_D, part.body) for part in parts)
    assert found(other, GATEWAY, CLIENT, version) is None


def test_the_best_version_both_have_is_used() -> None:
    assert best(frozenset()) is None
    assert best(frozenset(("natt-00", "natt-01", "dpd"))) is None
    assert best(frozenset(("natt-02",))) is DRAFT_02
    assert best(frozenset(("natt-02", "natt-02n"))) is DRAFT_02_NEWLINE
    assert best(frozenset(("natt-02n", "natt-03"))) is DRAFT_03
    assert best(frozenset(("natt-rfc3947", "natt-03"))) is RFC_3947
