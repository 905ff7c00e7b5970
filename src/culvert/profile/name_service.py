"""What fits the name servers of a profile, and which keys the gateway holds (S1-70, S1-77)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import Protocol

from culvert.profile.topology import LOCKED as LOCKED_ADDRESS

FROM_THE_GATEWAY = (
    'is handed out by the gateway with dns = "apply"; set dns = "manual" to choose it'
)
OFF, APPLY, MANUAL, SPLIT = "off", "apply", "manual", "split"
DOMAIN = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*")


class Naming(Protocol):
    """The keys looked at."""

    @property
    def provisioning(self) -> str: ...
    @property
    def dns(self) -> str: ...
    @property
    def dns_servers(self) -> tuple[str, ...]: ...
    @property
    def search_domains(self) -> tuple[str, ...]: ...
    @property
    def dns_mode(self) -> str: ...
    @property
    def dns_test_name(self) -> str: ...


def held_by_gateway(profile: Naming) -> Mapping[str, str]:
    """Keys that cannot be set while the gateway sets them, each with the reason."""
    held: dict[str, str] = {}
    if profile.provisioning != OFF:
        held |= LOCKED_ADDRESS
        if profile.dns == APPLY:
            held |= dict.fromkeys(("dns_servers", "search_domains"), FROM_THE_GATEWAY)
    return held


def wrong_name_service(profile: Naming) -> Iterator[tuple[str, str]]:
    """Key and sentence of every mistake."""
    held = held_by_gateway(profile)
    for key in ("dns_servers", "search_domains"):
        if getattr(profile, key) and profile.dns != MANUAL:
            yield key, held.get(key, 'has a meaning with dns = "manual" only')
    if profile.dns == MANUAL and not profile.dns_servers:
        yield "dns_servers", 'is needed with dns = "manual": the name servers behind the gateway'
    if (profile.dns, profile.dns_mode) == (MANUAL, SPLIT) and not profile.search_domains:
        yield "search_domains", 'is needed with dns_mode = "split": the domains to ask there'
    for server in profile.dns_servers:
        try:
            ip_address(server)
        except ValueError:
            yield "dns_servers", f"{server!r} is no address of a name server"
    for domain in profile.search_domains:
        if not DOMAIN.fullmatch(domain):
            yield "search_domains", f"{domain!r} is no domain name"
    if profile.dns_test_name and not DOMAIN.fullmatch(profile.dns_test_name):
        yield "dns_test_name", f"{profile.dns_test_name!r} is no domain name"
