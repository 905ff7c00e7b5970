"""IPsec SAs of a client: which to ask for, and what they mean for data path and machine."""

from __future__ import annotations

from ipaddress import ip_network

from culvert.client.configuration import Given, wanted_routes
from culvert.client.name_service import name_service
from culvert.client.progress import Progress
from culvert.client.settings import inner_mtu_of
from culvert.datapath.fragmentation import Policy
from culvert.datapath.mtu import ETHERNET, Carriage
from culvert.datapath.transport import UNCUT
from culvert.effects import InstallSa, SaHalf, TunnelSettings
from culvert.ike.carriage import NO_PORT, UDP_PORT, data_path
from culvert.ike.outputs import Install, SaKeys
from culvert.ike.selector import ANY, Network, Selector
from culvert.ike.suite import EspSuite
from culvert.inet.address import Path
from culvert.profile.profile import Profile
from culvert.profile.topology import EVERYTHING

WHERE_I_AM = ip_network("0.0.0.0/32")
"""In a gateway's list of what may stay outside: whatever network the client is in (Cisco's
"include-local-lan")."""

SESSION = 1  # a client's data path carries this one session


def routes_of(profile: Profile, answer: Given, gateway: str) -> tuple[str, ...]:
    """What goes into the tunnel. A host talks to the gateway itself; ``everywhere`` is not
    narrowed by what the gateway would like to carry."""
    match profile.topology:
        case "host":
            return (str(ip_network(gateway)),)
        case "everywhere":
            return (EVERYTHING,)
        case _:
            return wanted_routes(answer.include, profile.remote_networks)


def wanted_pairs(
    profile: Profile, so_far: Progress, *, unity: bool
) -> list[tuple[Selector, Selector]]:
    """Local and remote end of every pair to ask for."""
    if profile.topology == "site":
        locals_ = [Selector(ip_network(text)) for text in profile.local_networks]
    else:
        locals_ = [Selector(ip_network(so_far.given.address))]
    remotes = _wanted_selectors(profile, so_far, unity=unity)
    return [(local, remote) for local in locals_ for remote in remotes]


def _wanted_selectors(profile: Profile, so_far: Progress, *, unity: bool) -> list[Selector]:
    """Unity gateways agree on everything and mean their list; others want it exact."""
    if profile.provisioning == "off":
        return [Selector(ip_network(route)) for route in so_far.routes]
    networks: list[Network] = []
    if profile.use_two_phase2:
        networks.append(ip_network(so_far.address))
    if unity and profile.topology != "host":
        networks.append(ANY)
    else:
        networks += [ip_network(route) for route in so_far.routes]
    return [Selector(network) for network in networks]


def install(
    pair: Install, routes: tuple[str, ...], udp_port: int = 0, inner_mtu: int = 0
) -> InstallSa:
    """``routes``: what a pair for everything carries. ``udp_port``: the gateway's for ESP only.
    ``inner_mtu``: what fits the way to it."""
    whole = pair.remote.network.prefixlen == 0
    path = data_path(pair.path, encapsulated=pair.udp_encapsulated)
    if udp_port:
        path = Path((path.local[0], UDP_PORT), (path.remote[0], udp_port))
    return InstallSa(
        session=SESSION,
        pair=pair.number,
        cipher=pair.suite.cipher.cipher,
        integrity=pair.suite.integrity.name if pair.suite.integrity else "",
        inbound=_half(pair.inbound),
        outbound=_half(pair.outbound),
        local=(str(pair.local.network),),
        remote=routes if whole else (str(pair.remote.network),),
        peer=path.remote,
        local_port=path.local[1],
        udp_encapsulated=path.local[1] != NO_PORT,
        replaces=pair.replaces,
        transport=pair.transport,
        soft_octets=pair.soft_octets,
        hard_octets=pair.hard_octets,
        compression=pair.suite.compression.token if pair.suite.compression else "",
        cpi_in=pair.cpi_in,
        cpi_out=pair.cpi_out,
        inner_mtu=inner_mtu,
    )


def _half(keys: SaKeys) -> SaHalf:
    return SaHalf(keys.spi, keys.cipher_key, keys.salt, keys.integrity_key)


def tunnel_settings(
    profile: Profile, so_far: Progress, esp: EspSuite, carriage: Carriage
) -> TunnelSettings:
    """What this machine has to set up for the tunnel."""
    answer: Given = so_far.given
    names = name_service(profile, answer)
    outside = answer.exclude if profile.allow_local_lan else ()
    return TunnelSettings(
        connection=profile.name,
        address="" if so_far.own_address else answer.address,
        prefix_length=32,
        mtu=_device_mtu(profile, largest_inside(profile, so_far, esp, carriage)),
        routes=so_far.routes,
        excluded=tuple([str(network) for network in outside if network != WHERE_I_AM]),
        dns_servers=names.servers,
        search_domains=names.search,
        split_domains=names.split,
        gateway=so_far.address,
        own=answer.address if so_far.own_address else "",
        closed=profile.topology == "everywhere" and profile.fail_closed,
        local_lan=_stays_local(profile, answer),
        forward=profile.topology == "site",
        leased=so_far.leased,
        kept=tuple([str(network) for network in answer.include if network.prefixlen]),
    )


def _stays_local(profile: Profile, answer: Given) -> bool:
    """Whether the networks this machine is in stay reachable. The gateway decides (S4-22), unless
    nothing is asked of it."""
    if profile.provisioning == "off":
        return profile.allow_local_lan and profile.topology == "everywhere"
    return profile.allow_local_lan and WHERE_I_AM in answer.exclude


def largest_inside(profile: Profile, so_far: Progress, esp: EspSuite, carriage: Carriage) -> int:
    """The longest packet that is to pass the tunnel whole."""
    return profile.mtu or inner_mtu_of(esp, carriage, so_far.path_mtu)


def _device_mtu(profile: Profile, inside: int) -> int:
    """What the tunnel cuts itself must get into it first, as long as it is elsewhere."""
    if profile.transport_mode:
        return UNCUT if profile.mtu is None else inside
    if profile.fragmentation == Policy.BEFORE_WITH_ICMP:
        return inside
    return max(inside, ETHERNET)
