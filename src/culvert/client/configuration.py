"""What a gateway's Mode Config answer means for this machine (mode-cfg-05, Cisco Unity)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

from culvert.ike.wire import config as cfg
from culvert.ike.wire.attribute import Attribute
from culvert.ike.wire.firewall import Firewall

ENTRY = 14  # octets of a Unity network: address, mask, protocol and ports (zeros, unread)
NEEDED = 8

LONGEST_BANNER = 4096
MOST_NETWORKS = 500  # of one list: a peer must not fill a routing table
MOST_NAMES = 100
MOST_BACKUPS = 10  # what the Cisco client keeps


@dataclass(frozen=True, slots=True)
class Given:
    """The gateway's answer; what it left out is empty."""

    address: str = ""
    dns: tuple[str, ...] = ()
    nbns: tuple[str, ...] = ()
    domain: str = ""
    split_domains: tuple[str, ...] = ()
    include: tuple[IPv4Network, ...] = ()
    exclude: tuple[IPv4Network, ...] = ()
    banner: str = ""
    application: str = ""
    save_password: bool = False
    backup_servers: tuple[str, ...] = ()
    firewall: Firewall | None = None
    natt_port: int = 0


def given(attributes: Iterable[Attribute]) -> Given:
    """Reads leniently: an entry that cannot be one is passed over (quirks of five gateways)."""
    found: dict[int, list[bytes]] = {}
    for attribute in attributes:
        found.setdefault(attribute.kind, []).append(attribute.value)

    def addresses(kind: int) -> tuple[str, ...]:
        return tuple([str(IPv4Address(v)) for v in found.get(kind, ()) if len(v) == 4])

    def text(kind: int, longest: int = 255) -> str:
        value = b"".join(found.get(kind, ())[:1])
        return value.rstrip(b"\x00")[:longest].decode("utf-8", "replace").strip()

    offered = addresses(cfg.INTERNAL_IP4_ADDRESS)
    names = ",".join(
        v.rstrip(b"\x00").decode("utf-8", "replace") for v in found.get(cfg.UNITY_SPLITDNS_NAME, ())
    )
    saving = found.get(cfg.UNITY_SAVE_PASSWD, [b""])[0]
    return Given(
        address=offered[0] if offered else "",
        dns=addresses(cfg.INTERNAL_IP4_DNS),
        nbns=addresses(cfg.INTERNAL_IP4_NBNS),
        domain=text(cfg.UNITY_DEF_DOMAIN),
        split_domains=_words(names),
        include=_networks(found.get(cfg.UNITY_SPLIT_INCLUDE, ())),
        exclude=_networks(found.get(cfg.UNITY_LOCAL_LAN, ())),
        banner=text(cfg.UNITY_BANNER, LONGEST_BANNER),
        application=text(cfg.APPLICATION_VERSION),
        firewall=Firewall.parse(b"".join(found.get(cfg.UNITY_FW_TYPE, ())[:1])),
        natt_port=int.from_bytes(found.get(cfg.UNITY_NATT_PORT, [b""])[0][:2], "big"),
        backup_servers=_words(text(cfg.UNITY_BACKUP_SERVERS, LONGEST_BANNER))[:MOST_BACKUPS],
        save_password=int.from_bytes(saving, "big") == 1,
    )


def _words(names: str) -> tuple[str, ...]:
    """Domains are separated by commas or blanks; the same one twice counts once."""
    words = [word.strip(".") for word in re.split(r"[\s,;]+", names)]
    return tuple(dict.fromkeys(word for word in words if word))[:MOST_NAMES]


def _networks(values: Iterable[bytes]) -> tuple[IPv4Network, ...]:
    made: list[IPv4Network] = []
    for value in values:
        for at in range(0, len(value) - NEEDED + 1, ENTRY):
            address, mask = IPv4Address(value[at : at + 4]), IPv4Address(value[at + 4 : at + 8])
            try:
                made.append(IPv4Network(f"{address}/{mask}", strict=False))
            except ValueError:  # a mask with holes
                continue
    return tuple(dict.fromkeys(made))[:MOST_NETWORKS]


def wanted_routes(
    include: Iterable[IPv4Network], remote_networks: Iterable[str]
) -> tuple[str, ...]:
    """What goes into the tunnel: the gateway's list, narrowed to what the profile asks for."""
    ours = [ip_network(text) for text in remote_networks]
    everything = any(network.prefixlen == 0 for network in ours)
    theirs = list(include)
    if everything:
        return tuple([str(network) for network in theirs or ours])
    if not theirs:
        return tuple([str(network) for network in ours])
    narrowed = [
        str(small)
        for mine in ours
        for network in theirs
        if (small := _smaller(mine, network)) is not None
    ]
    return tuple(dict.fromkeys(narrowed))


def _smaller(left: object, right: IPv4Network) -> IPv4Network | None:
    if not isinstance(left, IPv4Network):
        return None
    if left.subnet_of(right):
        return left
    return right if right.subnet_of(left) else None
