"""The MTU that is enough with and without a NAT, and what larger ones cost."""

from __future__ import annotations

ADVISED = 1300
"""Octets; with every cipher and every way, ESP around it fits what Ethernet and DSL carry."""


def warning(mtu: int | None) -> str:
    """Of a tunnel's MTU set by hand; empty: there is nothing to warn of."""
    if mtu is None or mtu <= ADVISED:
        return ""
    return (
        f"{mtu} is more than {ADVISED}: IPsec makes packets bigger, so that large ones may be "
        "cut into fragments, which many firewalls drop."
    )
