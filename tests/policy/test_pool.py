"""The pool against a model that looks at every address."""

from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from culvert.errors import ConfigError
from culvert.policy.pool import AddressRange, Pool, PoolPlan
from culvert.policy.refused import Refused


def pool(*texts: str) -> Pool:
    return Pool(PoolPlan("test", tuple(AddressRange.parse(text) for text in texts)))


def test_the_smallest_free_address_goes_first() -> None:
    p = pool("40.1.1.1-40.1.1.3")
    assert [str(p.lease(user)) for user in ("ann", "bob", "eve")] == [
        "40.1.1.1",
        "40.1.1.2",
        "40.1.1.3",
    ]
    assert p.release("40.1.1.2")
    assert str(p.lease("zoe")) == "40.1.1.2"


def test_who_comes_back_gets_the_same_address() -> None:
    p = pool("192.0.2.0/28")
    p.lease("ann")
    second = p.lease("bob")
    p.release("192.0.2.1")
    assert isinstance(second, IPv4Address)
    p.release(second)
    assert p.lease("bob") == second


def test_a_former_address_that_another_has_now_is_not_taken_from_them() -> None:
    p = pool("192.0.2.1-192.0.2.2")
    p.lease("ann")
    p.release("192.0.2.1")
    assert str(p.lease("bob")) == "192.0.2.1"
    assert str(p.lease("ann")) == "192.0.2.2"


def test_a_wanted_address_is_given_if_free_and_lies_in_the_pool() -> None:
    p = pool("192.0.2.1-192.0.2.9")
    assert str(p.lease("ann", wanted="192.0.2.7")) == "192.0.2.7"
    assert str(p.lease("bob", wanted="192.0.2.7")) == "192.0.2.1"
    assert str(p.lease("eve", wanted="10.0.0.1")) == "192.0.2.2"
    assert str(p.lease("zoe", wanted="not an address")) == "192.0.2.3"


def test_an_exhausted_pool_refuses_and_says_which() -> None:
    p = pool("192.0.2.1")
    p.lease("ann")
    refused = p.lease("bob")
    assert isinstance(refused, Refused)
    assert refused.reason == "no-address"
    assert "test" in refused.detail


def test_a_second_release_does_nothing() -> None:
    p = pool("192.0.2.1-192.0.2.2")
    p.lease("ann")
    assert p.release("192.0.2.1")
    assert not p.release("192.0.2.1")
    assert not p.release("198.51.100.1")
    assert p.leased == 0


def test_a_slash_8_is_as_quick_as_a_slash_30() -> None:
    p = pool("10.0.0.0/8")
    assert p.size == 2**24 - 2
    assert str(p.lease("ann")) == "10.0.0.1"


def test_a_user_who_comes_and_goes_leaves_nothing_behind() -> None:
    p = pool("192.0.2.0/24")
    for round_number in range(1000):
        leased = p.lease(f"user {round_number % 3}")
        assert isinstance(leased, IPv4Address)
        p.release(leased)
    remembered = [len(kept) for kept in (p._returned, p._listed, p._last, p._last_user)]
    assert max(remembered) <= 3


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("192.0.2.0/30", "192.0.2.1", "192.0.2.2"),
        ("192.0.2.0/31", "192.0.2.0", "192.0.2.1"),
        ("192.0.2.9", "192.0.2.9", "192.0.2.9"),
        ("192.0.2.9 - 192.0.2.11", "192.0.2.9", "192.0.2.11"),
    ],
)
def test_a_range_is_read(text: str, first: str, last: str) -> None:
    read = AddressRange.parse(text)
    assert (read.first, read.last) == (int(ip_address(first)), int(ip_address(last)))


@pytest.mark.parametrize("text", ["", "192.0.2.9-192.0.2.1", "192.0.2.1/24", "1-2", "::1-1.1.1.1"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        AddressRange.parse(text)


def test_ranges_of_one_pool_may_not_overlap() -> None:
    with pytest.raises(ConfigError, match="overlap"):
        pool("192.0.2.1-192.0.2.9", "192.0.2.9-192.0.2.20")


RANGES = ("192.0.2.1-192.0.2.3", "198.51.100.7", "203.0.113.0/30")
ADDRESSES = [
    "192.0.2.1",
    "192.0.2.2",
    "192.0.2.3",
    "198.51.100.7",
    "203.0.113.1",
    "203.0.113.2",
]
USERS = st.sampled_from(["ann", "bob", "eve", "zoe"])


class PoolAgainstModel(RuleBasedStateMachine):
    """Whatever comes and goes: addresses are unique, returned ones come back, the rule is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = pool(*RANGES)
        self.held: dict[str, str] = {}
        self.last: dict[str, str] = {}

    @rule(user=USERS, wanted=st.sampled_from(["", *ADDRESSES, "10.0.0.1"]))
    def lease(self, user: str, wanted: str) -> None:
        free = [address for address in ADDRESSES if address not in self.held]
        leased = self.pool.lease(user, wanted=wanted)
        if not free:
            assert isinstance(leased, Refused)
            return
        if wanted in free:
            expected = wanted
        elif self.last.get(user) in free:
            expected = self.last[user]
        else:
            expected = free[0]
        assert str(leased) == expected
        self.held[expected] = user
        self.last = {who: had for who, had in self.last.items() if had != expected}
        self.last[user] = expected

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(self.held)))
        assert self.pool.release(address)
        del self.held[address]

    @invariant()
    def same_leases(self) -> None:
        assert {str(address): user for address, user in self.pool.leases()} == self.held
        assert self.pool.leased == len(self.held)


TestPoolAgainstModel = PoolAgainstModel.TestCase
TestPoolAgainstModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=2).map(sorted))
def test_a_written_range_reads_back(ends: list[int]) -> None:
    made = AddressRange(4, ends[0], ends[1])
    assert AddressRange.parse(str(made)) == made


def test_a_full_slash_16_hands_the_smallest_returned_address_out_again() -> None:
    p = pool("10.1.0.0/16")
    for number in range(p.size):
        p.lease(f"user {number}")
    assert isinstance(p.lease("one more"), Refused)
    for number in (40_000, 7, 65_000):
        p.release(str(IPv4Address("10.1.0.0") + number))
    assert str(p.lease("one more")) == "10.1.0.7"
    assert p.leased == p.size - 2
