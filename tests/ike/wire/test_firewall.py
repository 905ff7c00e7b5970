"""Firewalls of Unity clients, as vpnc writes them and as octets that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.wire.firewall import (
    ARE_YOU_THERE,
    CENTRAL_POLICY,
    POLICY_FROM_SERVER,
    Firewall,
)

OF_VPNC = bytes.fromhex("800100018002000180030002")


def test_what_vpnc_and_shrew_send_is_the_one_of_the_cisco_client() -> None:
    found = Firewall.parse(OF_VPNC)
    assert found == Firewall(1, 1, CENTRAL_POLICY)
    assert str(found) == "Cisco Integrated Client, capability Centralized Protection Policy"
    assert Firewall().value() == OF_VPNC


@given(
    st.builds(
        Firewall,
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFF),
        st.text(max_size=100),
    )
)
def test_what_is_written_is_read_back(firewall: Firewall) -> None:
    assert Firewall.parse(firewall.value()) == firewall


@given(st.binary(max_size=60))
def test_any_octets_are_a_firewall_or_none(octets: bytes) -> None:
    found = Firewall.parse(octets)
    assert found is None or str(found)


@pytest.mark.parametrize("value", [b"", OF_VPNC[:4], OF_VPNC[:11], b"\x80"])
def test_a_value_that_names_no_product_is_no_firewall(value: bytes) -> None:
    assert Firewall.parse(value) is None


@pytest.mark.parametrize(
    ("has", "wanted", "meets"),
    [
        (CENTRAL_POLICY, ARE_YOU_THERE, True),
        (ARE_YOU_THERE, CENTRAL_POLICY, False),
        (CENTRAL_POLICY, POLICY_FROM_SERVER, False),
        (CENTRAL_POLICY | POLICY_FROM_SERVER, POLICY_FROM_SERVER, True),
    ],
)
def test_a_firewall_must_be_able_to_do_what_is_wanted(has: int, wanted: int, meets: bool) -> None:
    assert Firewall(capability=has).meets(Firewall(capability=wanted)) == meets
    assert not Firewall(2, capability=has).meets(Firewall(capability=wanted))
