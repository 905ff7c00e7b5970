"""What fits a topology and what does not: mistakes of a profile that belong to several keys."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Protocol

from culvert.profile.inside import unusable

LOCKED = {"local_address": 'is handed out by the gateway unless provisioning = "off"'}
"""Keys that cannot be set while the gateway sets them, and why."""

EVERYTHING = "0.0.0.0/0"


class Shape(Protocol):
    """The keys looked at."""

    @property
    def topology(self) -> str: ...
    @property
    def transport_mode(self) -> bool: ...
    @property
    def provisioning(self) -> str: ...
    @property
    def local_address(self) -> str: ...
    @property
    def local_networks(self) -> tuple[str, ...]: ...
    @property
    def remote_networks(self) -> tuple[str, ...]: ...


def wrong_shape(profile: Shape) -> Iterator[tuple[str, str]]:
    """Key and sentence of every mistake."""
    yield from _transport(profile)
    yield from _addresses(profile)
    yield from _networks(profile)


def _transport(profile: Shape) -> Iterator[tuple[str, str]]:
    if not profile.transport_mode:
        return
    if profile.topology != "host":
        yield (
            "transport_mode",
            f'does not go with topology = "{profile.topology}": transport mode carries only what '
            "the two ends say to each other, not what is behind them; set it to false, or set "
            'topology = "host"',
        )
    elif profile.provisioning != "off" or profile.local_address:
        yield (
            "transport_mode",
            "uses this machine's own address, so none can be handed out or chosen; set "
            'provisioning = "off" and leave out local_address',
        )


def _addresses(profile: Shape) -> Iterator[tuple[str, str]]:
    if not profile.local_address:
        return
    if profile.provisioning != "off":
        yield "local_address", LOCKED["local_address"]
    try:
        IPv4Address(profile.local_address)
    except ValueError:
        yield "local_address", f"{profile.local_address!r} is not an IPv4 address"


def _networks(profile: Shape) -> Iterator[tuple[str, str]]:
    for text in profile.local_networks:
        if wrong := unusable(text, "192.168.1.0/24"):
            yield "local_networks", wrong
    default = profile.remote_networks in ((EVERYTHING,), ())
    if profile.topology != "site":
        if profile.local_networks:
            yield "local_networks", 'has a meaning with topology = "site" only'
        if profile.topology in ("host", "everywhere") and not default:
            yield "remote_networks", f'has no meaning with topology = "{profile.topology}"'
        return
    if not profile.local_networks:
        yield "local_networks", 'is needed with topology = "site": the networks behind this machine'
    if default:
        yield "remote_networks", 'is needed with topology = "site": the networks behind the gateway'
    if profile.provisioning != "off":
        yield "provisioning", 'must be "off" with topology = "site": networks get no addresses'
