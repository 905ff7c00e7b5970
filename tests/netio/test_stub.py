"""What of DNS our stub reads, and where it sends questions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.errors import WireError
from culvert.inet import dns
from culvert.inet.dns import DnsMessage
from culvert.netio.stub import Branches

labels = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=20)
names = st.lists(labels, min_size=1, max_size=6).map(".".join)


@given(st.integers(0, 0xFFFF), names)
def test_a_question_is_read_back(number: int, name: str) -> None:
    found = DnsMessage.parse(dns.question(number, name))
    assert (found.number, found.name, found.kind) == (number, name, dns.ADDRESS)
    assert not found.response


@given(st.binary(max_size=80))
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    try:
        DnsMessage.parse(octets)
    except WireError as error:
        assert error.what


def test_a_pointer_in_place_of_a_name_is_refused() -> None:
    octets = dns.question(1, "a")[:12] + b"\xc0\x0c\x00\x01\x00\x01"
    with pytest.raises(WireError):
        DnsMessage.parse(octets)


@pytest.mark.parametrize(
    ("name", "inside"),
    [
        ("corp.test", True),
        ("a.b.Corp.Test", True),
        ("notcorp.test", False),
        ("corp.test.example", False),
        ("test", False),
    ],
)
def test_only_the_domains_and_what_is_below_them_are_asked_inside(name: str, inside: bool) -> None:
    branches = Branches(("corp.test",), ("in",), ("out",))
    assert branches.servers(name) == (("in",) if inside else ("out",))
