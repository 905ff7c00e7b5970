"""Who answers names while a connection stands: the gateway's word and the profile's (S1-77)."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.client.configuration import Given
from culvert.profile.profile import Profile


@dataclass(frozen=True, slots=True)
class Names:
    """``split``: only names of these domains go to ``servers``; none: all names do."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    split: tuple[str, ...] = ()


def name_service(profile: Profile, answer: Given) -> Names:
    """Split needs a domain: a gateway that names none has all names asked of its servers."""
    if profile.dns == "ignore":
        return Names()
    if profile.dns == "manual":
        servers, search = profile.dns_servers, profile.search_domains
        return Names(servers, search, search if profile.dns_mode == "split" else ())
    search = (answer.domain,) if answer.domain else ()
    if profile.dns_mode == "global":
        return Names(answer.dns, search)
    wanted = answer.split_domains or (search if profile.dns_mode == "split" else ())
    return Names(answer.dns, search, wanted)
