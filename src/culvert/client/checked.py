"""What a worker may have done in the monitor's name: what its profile and a gateway could want.

A worker reads strangers' octets and may be captured. A gateway decides much about a client's
machine, so does whoever has captured its worker; but no more than that. Which other gateways there
are (BACKUP_SERVERS), and where one has moved to, is said under keys that only the worker has: it
is taken at its word, up to a bound, and told (`elsewhere`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from culvert.effects import (
    AskEcho,
    ConfigureMachine,
    Inquire,
    OpenStream,
    Resolve,
    RestoreMachine,
    TunnelSettings,
)
from culvert.inet.dhcp import SERVER_PORT
from culvert.profile.profile import Profile

ASKED_PORTS = (SERVER_PORT, 53)
"""What is asked by single datagrams: DHCP servers and name servers."""
MOST = 4096
"""Networks, servers or domains of one kind: several times what a gateway's answer has room for."""
LONGEST_NAME = 255
MOST_OTHERS = 64
"""Names to look up besides the profile's: six lists of other gateways, as long as they may be."""
LEAST_MTU, MOST_MTU = 68, 65_535

Asked = ConfigureMachine | RestoreMachine | Resolve | OpenStream | AskEcho | Inquire


@dataclass(frozen=True, slots=True)
class Known:
    """What the monitor has seen of a connection. ``found``: the addresses that each name was found
    to have; ``standing``: how the machine is set up. ``leaving``: the person wants it to end;
    ``down``: the worker has said that it is over."""

    found: Mapping[str, Sequence[str]]
    standing: TunnelSettings | None = None
    leaving: bool = False
    down: bool = False

    @property
    def addresses(self) -> set[str]:
        return {address for found in self.found.values() for address in found}


def objection(asked: Asked, profile: Profile, known: Known) -> str:
    """Why this is not done; empty if it may be."""
    match asked:
        case ConfigureMachine(settings=settings):
            return _about_settings(settings, profile) or _about_gateway(settings, known)
        case RestoreMachine():
            open_again = known.leaving or known.down or not profile.fail_closed
            return "" if open_again else "what is to stay closed is opened by an end alone"
        case Resolve(host=host):
            return _about_name(host, profile, known)
        case OpenStream(to=(host, port)):
            right = port == profile.tcp_port and host in known.addresses
            return "" if right else "that is not where the gateway takes TCP"
        case AskEcho(target=target):
            return "" if target in profile.polling else "that is no address to poll"
        case Inquire(to=(_, port)):
            return "" if port in ASKED_PORTS else "nobody there is to be asked anything"


def elsewhere(wanted: TunnelSettings, profile: Profile, known: Known) -> bool:
    """Whether packets begin to pass beside the tunnel to where no name of the profile leads."""
    ours = {address for host in profile.hosts for address in known.found.get(host, ())}
    before = known.standing.gateway if known.standing is not None else ""
    return wanted.gateway not in (*ours, before)


def _about_gateway(wanted: TunnelSettings, known: Known) -> str:
    moved = known.standing is not None
    right = moved or wanted.gateway in known.addresses
    return "" if right else "no name was found to have the gateway's address"


def _about_name(host: str, profile: Profile, known: Known) -> str:
    if not _plain(host):
        return "no host has such a name"
    others = known.found.keys() - {*profile.hosts, host}
    if host not in profile.hosts and len(others) >= MOST_OTHERS:
        return "so many other gateways are no gateway's word"
    return ""


def _about_settings(wanted: TunnelSettings, profile: Profile) -> str:
    closed = profile.topology == "everywhere" and profile.fail_closed
    if (
        wanted.connection != profile.name
        or (closed and not wanted.closed)
        or (wanted.forward and profile.topology != "site")
        or ((wanted.excluded or wanted.local_lan) and not profile.allow_local_lan)
    ):
        return "the profile allows no such setting"
    lists = (
        (_network, (*wanted.routes, *wanted.excluded, *wanted.kept)),
        (_address, wanted.dns_servers),
        (_plain, (*wanted.search_domains, *wanted.split_domains)),
        (_address, [one for one in (wanted.address, wanted.own, wanted.leased) if one]),
        (_address, (wanted.gateway,)),
    )
    fits = LEAST_MTU <= wanted.mtu <= MOST_MTU and 0 <= wanted.prefix_length <= 32
    if not fits or any(len(found) > MOST or not _all(right, found) for right, found in lists):
        return "the settings of the tunnel make no sense"
    return ""


def _all(right: Callable[[str], bool], found: Iterable[str]) -> bool:
    return all(map(right, found))


def _plain(name: str) -> bool:
    return 0 < len(name) <= LONGEST_NAME and name.isprintable()


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
