"""The watch on this machine's addresses, against the real kernel in a namespace of its own."""

from __future__ import annotations

import select
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.netio.address_watch import AddressWatch, added
from netio.namespaces import inside, ip, namespace


@pytest.mark.root
def test_an_address_that_is_added_is_heard_of_and_one_that_goes_is_not() -> None:
    with namespace("w") as name:
        with inside(name):
            watch = AddressWatch()
        with closing(watch):
            assert watch.fresh() == []
            ip("-n", name, "addr", "add", "192.0.2.7/24", "dev", "lo")
            ip("-n", name, "addr", "add", "192.0.2.8/24", "dev", "lo")
            assert select.select([watch], [], [], 5.0)[0]
            assert watch.fresh() == ["192.0.2.7", "192.0.2.8"]
            ip("-n", name, "addr", "del", "192.0.2.8/24", "dev", "lo")
            ip("-n", name, "-6", "addr", "add", "2001:db8::1/64", "dev", "lo")
            select.select([watch], [], [], 0.2)
            assert watch.fresh() == []


@given(st.binary(max_size=200))
def test_whatever_the_kernel_says_is_read_to_its_end(octets: bytes) -> None:
    assert isinstance(added(octets), list)
