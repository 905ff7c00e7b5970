"""Identification payloads: who, and which networks."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.ike.wire.identity import (
    FQDN,
    IPV4_ADDR,
    IPV4_ADDR_SUBNET,
    IPV6_ADDR_SUBNET,
    KEY_ID,
    USER_FQDN,
    Identity,
)
from culvert.ike.wire.payload import ID, Part
from ike.codec import every_change, every_cut


def parse(octets: bytes) -> Identity:
    return Identity.parse(Part(ID, octets))


@st.composite
def networks(draw: st.DrawFn) -> IPv4Network | IPv6Network:
    width = draw(st.sampled_from((32, 128)))
    prefix = draw(st.integers(0, width))
    number = draw(st.integers(0, 2**width - 1)) >> (width - prefix) << (width - prefix)
    if width == 32:
        return IPv4Network((number, prefix))
    return IPv6Network((number, prefix))


@given(kind=st.sampled_from((FQDN, USER_FQDN, KEY_ID, 9, 77)), data=st.binary(max_size=60))
def test_what_is_written_is_read_back(kind: int, data: bytes) -> None:
    made = Identity(kind, data, 17, 500)
    assert parse(made.to_bytes()) == made


@given(network=networks(), protocol=st.integers(0, 255), port=st.integers(0, 0xFFFF))
def test_every_network_comes_back(
    network: IPv4Network | IPv6Network, protocol: int, port: int
) -> None:
    made = Identity.of_network(network, protocol, port)
    found = parse(made.to_bytes())
    assert found == made
    assert found.network() == network
    assert str(found) == str(network)


@pytest.mark.parametrize("network", ["10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32"])
def test_every_cut_of_a_network_is_refused(network: str) -> None:
    whole = Identity.of_network(ip_network(network)).to_bytes()
    assert all(isinstance(each, WireError) for each in every_cut(parse, whole))


def network_of(octets: bytes) -> object:
    found = parse(octets)
    assert str(found) is not None
    return found.network()


@pytest.mark.parametrize("network", ["10.1.0.0/16", "192.0.2.1/32", "2001:db8::/32"])
def test_every_changed_octet_gives_a_network_or_a_refusal(network: str) -> None:
    whole = Identity.of_network(ip_network(network)).to_bytes()
    for each in every_change(network_of, whole):
        assert isinstance(each, WireError | IPv4Network | IPv6Network)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IPV4_ADDR_SUBNET, "0a000000 ff00ff00"),  # a mask with a hole
        (IPV4_ADDR_SUBNET, "0a000000 000000ff"),  # a mask the wrong way round
        (IPV4_ADDR_SUBNET, "0a000001 ff000000"),  # an address inside the network
        (IPV6_ADDR_SUBNET, "20010db8" + "00" * 12 + "ffff00ff" + "00" * 12),
        (IPV6_ADDR_SUBNET, "2001" + "00" * 14 + "ffff00ff" + "00" * 12),
        (IPV6_ADDR_SUBNET, "20010db8" + "00" * 11 + "01" + "ffffffff" + "00" * 12),
        (KEY_ID, "0a000001"),
    ],
)
def test_what_is_no_network_is_refused(kind: int, data: str) -> None:
    with pytest.raises(WireError, match="identification"):
        Identity(kind, bytes.fromhex(data)).network()


def test_a_group_is_written_as_its_clients_write_it() -> None:
    """KEY_ID, protocol 17, port 500, no terminator."""
    assert Identity.of_group("staff").to_bytes() == bytes.fromhex("0b1101f4") + b"staff"


def test_an_address_is_four_octets_and_nothing_else() -> None:
    assert Identity.of_address("192.0.2.7").to_bytes().hex() == "01000000c0000207"
    assert str(Identity.of_address("2001:db8::7")) == "2001:db8::7/128"
    with pytest.raises(WireError, match="type 1 with 5 octets, not 4") as caught:
        parse(bytes((IPV4_ADDR, 0, 0, 0)) + bytes(5))
    assert caught.value.offset == 4


def test_names_that_are_no_text_are_shown_all_the_same() -> None:
    assert str(Identity(KEY_ID, b"caf\xe9")) == "caf\\xe9"
    assert str(Identity(IPV4_ADDR_SUBNET, bytes.fromhex("0a000000ff00ff00"))) == "0a000000ff00ff00"
