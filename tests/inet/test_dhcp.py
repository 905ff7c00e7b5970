"""DHCP through an IPsec SA: what is written is read back, and nothing else gets through."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage

addresses = st.integers(0, 2**32 - 1).map(IPv4Address)
messages = st.builds(
    DhcpMessage,
    operation=st.sampled_from([dhcp.REQUEST, dhcp.REPLY]),
    kind=st.integers(1, 8),
    number=st.integers(0, 2**32 - 1),
    hardware=st.binary(min_size=6, max_size=6),
    client=addresses,
    yours=addresses,
    relay=addresses,
    options=st.dictionaries(
        st.integers(1, 254).filter(lambda option: option != dhcp.KIND),
        st.binary(max_size=600),
        max_size=4,
    ),
    hops=st.integers(0, 16),
)


@given(messages)
def test_what_is_written_is_read_back(message: DhcpMessage) -> None:
    assert DhcpMessage.parse(message.write()) == message


@given(st.binary(max_size=400), messages, st.data())
def test_other_octets_are_read_or_refused(
    octets: bytes, message: DhcpMessage, data: st.DataObject
) -> None:
    whole = message.write()
    cut = data.draw(st.integers(0, len(whole)))
    for each in (octets, whole[:cut], whole[:cut] + octets):
        try:
            DhcpMessage.parse(each)
        except WireError as error:
            assert error.what


def test_a_client_behind_an_sa_is_its_own_relay() -> None:
    written = DhcpMessage(
        dhcp.REQUEST, dhcp.DISCOVER, 7, b"@mac..", relay=IPv4Address("10.10.10.2")
    ).write()
    assert written[:4] == bytes((1, 31, 6, 1)), "request, IPsec tunnel, six octets, one hop"
    assert written[24:28] == bytes((10, 10, 10, 2))
    assert written[236:243] == bytes((99, 130, 83, 99, 53, 1, 1))


@pytest.mark.parametrize("lacks", ["cookie", "kind"])
def test_what_is_no_dhcp_is_refused(lacks: str) -> None:
    whole = bytearray(DhcpMessage(dhcp.REQUEST, dhcp.ASK, 7, b"@mac..").write())
    if lacks == "cookie":
        whole[236] ^= 1
    else:
        whole[240] = dhcp.LEASE_TIME
    with pytest.raises(WireError):
        DhcpMessage.parse(bytes(whole))
