"""The kernel's IPsec by netlink, in a namespace of its own.

Every kernel with XFRM takes policies; SAs and interfaces only one that has ESP (`make xfrm` brings
such a kernel along).
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import pytest

from culvert.datapath.xfrm.orders import Policy, PolicyName, State, StateName
from culvert.errors import MisuseError, PlatformError
from culvert.netio.xfrm import KernelIpsec, why_not
from netio.namespaces import inside, namespace

pytestmark = pytest.mark.root

NUMBER = 4242
POLICY = Policy("out", "10.9.0.5/32", "10.0.0.0/24", "192.0.2.1", "192.0.2.2", 1, 0x1234)
NAME = PolicyName(POLICY.direction, POLICY.source, POLICY.destination)
STATE = State(
    0x1234,
    "192.0.2.1",
    "192.0.2.2",
    "aes-cbc",
    "hmac-sha1-96",
    bytes(range(16)),
    b"",
    bytes(range(20)),
    1,
)


@pytest.fixture
def hand() -> Generator[KernelIpsec]:
    with namespace("x") as name, inside(name):
        try:
            opened = KernelIpsec(NUMBER)
        except PlatformError as error:
            pytest.skip(f"no XFRM in this kernel: {error}")
        with opened:
            yield opened


def test_a_policy_stands_until_its_name_is_ordered_away(hand: KernelIpsec) -> None:
    hand.carry_out(POLICY)
    assert hand.policies() == [NAME]
    hand.carry_out(NAME)
    assert hand.policies() == []


def test_a_policy_for_the_same_packets_takes_the_others_place(hand: KernelIpsec) -> None:
    hand.carry_out(POLICY)
    hand.carry_out(replace(POLICY, spi=0x5678))
    assert hand.policies() == [NAME]


def test_what_is_not_there_may_be_ordered_away(hand: KernelIpsec) -> None:
    hand.carry_out(NAME)
    hand.carry_out(StateName(0x1234, "192.0.2.2"))


def test_another_interfaces_policies_are_neither_seen_nor_flushed(hand: KernelIpsec) -> None:
    hand.carry_out(POLICY)
    with KernelIpsec(NUMBER + 1) as other:
        assert other.policies() == []
        other.carry_out(POLICY)
        other.flush()
        assert other.policies() == []
    assert hand.policies() == [NAME]


def test_nothing_is_told_where_nothing_happens(hand: KernelIpsec) -> None:
    assert hand.listen() >= 0
    assert hand.news() == []


def test_packets_from_one_family_to_the_other_are_refused(hand: KernelIpsec) -> None:
    with pytest.raises(MisuseError, match="no packet goes"):
        hand.carry_out(replace(POLICY, destination="2001:db8::/32"))


def test_what_the_kernel_lacks_is_said_and_leaves_nothing(hand: KernelIpsec) -> None:
    if not why_not():
        pytest.skip("this kernel has ESP")
    assert "this kernel has no" in why_not()
    with pytest.raises(PlatformError, match="SA 0x00001234"):
        hand.carry_out(STATE)
    assert hand.states() == []


@pytest.fixture
def able(hand: KernelIpsec) -> KernelIpsec:
    if why := why_not("aes-cbc", "hmac-sha1-96"):
        pytest.skip(why)
    return hand


def test_an_sa_stands_with_its_counters_until_it_is_ordered_away(able: KernelIpsec) -> None:
    able.carry_out(STATE)
    [seen] = able.states()
    assert (seen.spi, seen.destination, seen.octets, seen.packets) == (0x1234, "192.0.2.2", 0, 0)
    able.carry_out(StateName(STATE.spi, STATE.destination))
    assert able.states() == []


def test_an_sa_goes_on_where_another_engine_stopped(able: KernelIpsec) -> None:
    window = (0b1011).to_bytes(128, "big")
    able.carry_out(replace(STATE, sequence=99, highest=1500, seen=window))
    [seen] = able.states()
    assert (seen.sequence, seen.highest, seen.seen) == (99, 1500, window)


def test_an_sa_of_another_interface_is_not_ours_to_take_away(able: KernelIpsec) -> None:
    able.carry_out(STATE)
    with KernelIpsec(NUMBER + 1) as other:
        other.carry_out(StateName(STATE.spi, STATE.destination))
        with pytest.raises(PlatformError, match="File exists"):
            other.carry_out(STATE)
    assert len(able.states()) == 1


def test_an_sa_that_is_there_already_stays_as_it_is(able: KernelIpsec) -> None:
    able.carry_out(replace(STATE, sequence=7))
    able.carry_out(STATE)
    assert [one.sequence for one in able.states()] == [7]
    able.flush()
    assert able.states() == []
