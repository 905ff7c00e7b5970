"""The Mode Config answer to a client: what its group has, of what it asked for (S4-47).

Clients refuse a whole answer over one attribute in an unexpected form (vpnc): numbers go in short
form, addresses in four octets, Unity lists as one attribute of 14-octet entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from culvert.ike.selector import Network
from culvert.ike.wire import config as cfg
from culvert.ike.wire.attribute import Attribute
from culvert.policy.group import Group


def answer(
    asked: Iterable[int], group: Group, address: str, application: str, *, natt_port: int
) -> tuple[Attribute, ...]:
    """What is asked for and there to give, in the order of the question, each kind once."""
    available = _available(group, address, application, natt_port=natt_port)
    made: list[Attribute] = []
    for kind in dict.fromkeys(asked):
        made += available.get(kind, ())
    return tuple(made)


def _available(
    group: Group, address: str, application: str, *, natt_port: int
) -> dict[int, list[Attribute]]:
    def text(kind: int, value: str) -> list[Attribute]:
        return [Attribute.octets(kind, value.encode())] if value else []

    def addresses(kind: int, values: Iterable[str]) -> list[Attribute]:
        packed = [ip_address(value).packed for value in values]
        return [Attribute.octets(kind, octets) for octets in packed if len(octets) == 4]

    return {
        cfg.INTERNAL_IP4_ADDRESS: addresses(cfg.INTERNAL_IP4_ADDRESS, (address,)),
        cfg.INTERNAL_IP4_DNS: addresses(cfg.INTERNAL_IP4_DNS, group.dns),
        cfg.INTERNAL_IP4_NBNS: addresses(cfg.INTERNAL_IP4_NBNS, group.nbns),
        cfg.APPLICATION_VERSION: text(cfg.APPLICATION_VERSION, application),
        cfg.UNITY_BANNER: text(cfg.UNITY_BANNER, group.banner),
        cfg.UNITY_SAVE_PASSWD: [Attribute.of(cfg.UNITY_SAVE_PASSWD, int(group.save_password))],
        cfg.UNITY_DEF_DOMAIN: text(cfg.UNITY_DEF_DOMAIN, group.default_domain),
        cfg.UNITY_SPLITDNS_NAME: text(cfg.UNITY_SPLITDNS_NAME, ",".join(group.split_dns)),
        cfg.UNITY_SPLIT_INCLUDE: _networks(cfg.UNITY_SPLIT_INCLUDE, group.split_include),
        cfg.UNITY_LOCAL_LAN: _networks(cfg.UNITY_LOCAL_LAN, group.split_exclude),
        cfg.UNITY_PFS: [Attribute.of(cfg.UNITY_PFS, int(group.pfs))],
        cfg.UNITY_FW_TYPE: _firewall(group),
        cfg.UNITY_NATT_PORT: ([Attribute.of(cfg.UNITY_NATT_PORT, natt_port)] if natt_port else []),
        cfg.UNITY_BACKUP_SERVERS: text(cfg.UNITY_BACKUP_SERVERS, ",".join(group.backup_servers)),
    }


def _firewall(group: Group) -> list[Attribute]:
    """What the group wants of its clients; a group that wants nothing declines the question."""
    if group.firewall == "none":
        return []
    return [Attribute.octets(cfg.UNITY_FW_TYPE, group.firewall_wanted.value())]


def _networks(kind: int, networks: Iterable[Network]) -> list[Attribute]:
    """Address, mask and six zero octets an entry, all in one attribute."""
    entries = [
        network.network_address.packed + network.netmask.packed + bytes(6)
        for network in networks
        if network.version == 4
    ]
    return [Attribute.octets(kind, b"".join(entries))] if entries else []
