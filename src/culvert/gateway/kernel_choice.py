"""Which engine serves a gateway's configuration: all its sessions use the same."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from culvert.datapath.fragmentation import Policy
from culvert.driver.kernel_limits import beyond
from culvert.driver.user_engine import Choice
from culvert.gateway.config import GatewayConfig
from culvert.gateway.settings import compresses
from culvert.ike.natt import EARLY, EARLY_SWITCH
from culvert.ike.suite import EspSuite
from culvert.inet.marks import ALL
from culvert.policy.site import Site


def engine_for(config: GatewayConfig, engine: Choice) -> Choice:
    """``engine``, or another where that cannot carry what the configuration allows."""
    restart = config.restart
    sites = restart.sites
    transport = any(site.transport for site in sites)
    if engine.ipsec:
        groups = (*config.live.groups, *[site.group for site in sites])
        names = dict.fromkeys(name for group in groups for name in group.esp_proposals)
        early = any(version in EARLY for group in groups for version in group.natt)
        engine = engine.beside(
            beyond(
                [EspSuite.named(name) for name in names],
                (EARLY_SWITCH,) if early else (),
                tcp=restart.over_tcp,
                udp=any(group.over_udp for group in groups),
                transport=transport,
                workers=restart.workers > 1,
                itself=any(map(_to_itself, sites)),
                cut=restart.cut != Policy.BEFORE_WITH_ICMP or restart.copied != ALL,
            )
        )
    return engine.able(transport=transport, compression=compresses(config))


def as_before(engine: Choice) -> Choice:
    """The one of a process that takes over another's TUN: its sessions stay in user space."""
    return engine.beside("the process before this one had its sessions there")


def _to_itself(site: Site) -> bool:
    """Whether what ends the tunnel is also reached through it."""
    try:
        peer = ip_address(site.peer)
    except ValueError:
        return False  # a name: its address is not known yet
    return any(peer in ip_network(str(network)) for network in site.remote)
