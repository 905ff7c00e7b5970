"""What a worker may have done in the monitor's name: nothing that its profile does not allow.

A worker reads strangers' octets and may be captured. A gateway decides much about a client's
machine, so does whoever has captured its worker; but no more than that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

from culvert.effects import AskEcho, ConfigureMachine, Inquire, OpenStream, Resolve, TunnelSettings
from culvert.inet.dhcp import SERVER_PORT
from culvert.profile.profile import Profile

ASKED_PORTS = (SERVER_PORT, 53)
"""What is asked by single datagrams: DHCP servers and name servers."""
MOST = 4096
"""Networks, servers or domains of one kind: several times what a gateway's answer has room for."""
LONGEST_NAME = 255
LEAST_MTU, MOST_MTU = 68, 65_535

Asked = ConfigureMachine | Resolve | OpenStream | AskEcho | Inquire


def objection(asked: Asked, profile: Profile, known: Iterable[str]) -> str:
    """Why this is not done; empty if it may be. ``known``: addresses that names were found to have
    so far."""
    match asked:
        case ConfigureMachine(settings=settings):
            return _about_settings(settings, profile)
        case Resolve(host=host):
            return "" if _plain(host) else "no host has such a name"
        case OpenStream(to=(host, port)):
            right = port == profile.tcp_port and host in known
            return "" if right else "that is not where the gateway takes TCP"
        case AskEcho(target=target):
            return "" if target in profile.polling else "that is no address to poll"
        case Inquire(to=(_, port)):
            return "" if port in ASKED_PORTS else "nobody there is to be asked anything"


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
