"""Selectors: what covers what."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from culvert.ike.selector import ANY, Selector


def selector(network: str, protocol: int = 0, port: int = 0) -> Selector:
    return Selector(ip_network(network), protocol, port)


@pytest.mark.parametrize(
    ("wide", "narrow", "covered"),
    [
        (selector("10.0.0.0/8"), selector("10.1.2.3/32"), True),
        (selector("10.0.0.0/8"), selector("10.0.0.0/8"), True),
        (selector("10.0.0.0/8"), selector("11.0.0.0/32"), False),
        (selector("10.1.0.0/16"), selector("10.0.0.0/8"), False),
        (Selector(ANY), selector("192.0.2.1/32"), True),
        (Selector(ANY), selector("2001:db8::/32"), False),
        (selector("::/0"), selector("2001:db8::/32"), True),
        (selector("10.0.0.0/8"), selector("10.0.0.0/8", 17, 53), True),
        (selector("10.0.0.0/8", 17), selector("10.0.0.0/8", 17, 53), True),
        (selector("10.0.0.0/8", 17, 53), selector("10.0.0.0/8", 17, 53), True),
        (selector("10.0.0.0/8", 17), selector("10.0.0.0/8"), False),
        (selector("10.0.0.0/8", 17), selector("10.0.0.0/8", 6), False),
        (selector("10.0.0.0/8", 17, 53), selector("10.0.0.0/8", 17, 54), False),
        (selector("10.0.0.0/8", 17, 53), selector("10.0.0.0/8", 17), False),
    ],
)
def test_what_covers_what(wide: Selector, narrow: Selector, covered: bool) -> None:
    assert wide.covers(narrow) is covered


def test_a_selector_reads_as_people_write_it() -> None:
    assert str(selector("10.0.0.0/8")) == "10.0.0.0/8"
    assert str(selector("10.0.0.1/32", 17, 53)) == "10.0.0.1/32 protocol 17 port 53"
