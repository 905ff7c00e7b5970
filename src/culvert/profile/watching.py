"""Line polling and keepalive of a profile: what is wrong with them, and what cannot come up."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Protocol

ALWAYS = 9999
"""`keepalive` of a connection that is to stand always (LANCOM's value, S3-24)."""

MOST_TARGETS = 4
"""Addresses that one connection asks: each question is a packet every second once one is missed."""


class Watch(Protocol):
    """The keys looked at."""

    @property
    def polling(self) -> tuple[str, ...]: ...
    @property
    def polling_source(self) -> str: ...
    @property
    def keepalive(self) -> int: ...


def wrong_watch(profile: Watch) -> Iterator[tuple[str, str]]:
    """Key and sentence of every mistake."""
    if len(profile.polling) > MOST_TARGETS:
        yield "polling", f"has more than {MOST_TARGETS} addresses"
    for target in profile.polling:
        if not _is_host(target):
            yield "polling", f"{target!r} is not an IPv4 address of a host"
    if profile.polling_source and not _is_host(profile.polling_source):
        yield "polling_source", f"{profile.polling_source!r} is not an IPv4 address of a host"


def unwatched(profile: Watch) -> bool:
    """Always to be connected, and nobody to ask whether it is: such a line is not brought up."""
    return profile.keepalive == ALWAYS and not profile.polling


def hindrances(profile: Watch) -> Iterator[tuple[str, str]]:
    """Key and sentence of what is no mistake in itself, yet lets no connection come up."""
    if unwatched(profile):
        yield (
            "keepalive",
            f"{ALWAYS} (always connected) needs a polling entry, and polling is empty: add an "
            "address behind the gateway that always answers, best its own address in that network; "
            "without one the connection is refused",
        )


def _is_host(text: str) -> bool:
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    return not (address.is_multicast or address.is_unspecified or address.is_reserved)
