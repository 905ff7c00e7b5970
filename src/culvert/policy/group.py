"""Group: what the people of one group may have (S4-46).

A group holds no secret: its key stands in the vault under the group's name.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from culvert.ike.natt import PREFERENCE, Version
from culvert.ike.selector import Network
from culvert.ike.wire.firewall import Firewall
from culvert.policy.hours import Hours, allowed


@dataclass(frozen=True, slots=True)
class Liveness:
    """DPD (RFC 3706): ask after ``idle_seconds`` of silence, then every ``retry_seconds``.

    After ``tries`` questions without an answer the peer is dead. 0 idle seconds switch our own
    questions off; the peer's are answered all the same.
    """

    idle_seconds: int = 30
    retry_seconds: int = 2
    tries: int = 10


USUAL_FIREWALL = Firewall()


@dataclass(frozen=True, slots=True)
class Group:
    """One group as the gateway applies it; settings it does not name are the gateway's.

    Lists of proposals are in order of preference, each in the manner ``aes256-sha256-modp2048``
    (phase 1) or ``aes256-sha256`` (phase 2). 0 stands for "no limit" in every limit.
    ``authentication``: rows of tables/algorithms.toml; none: all that the gateway has.
    """

    name: str
    pool: str = ""
    authentication: tuple[str, ...] = ()
    ike_proposals: tuple[str, ...] = ()
    esp_proposals: tuple[str, ...] = ()
    legacy: frozenset[str] = frozenset()

    dns: tuple[str, ...] = ()
    nbns: tuple[str, ...] = ()
    default_domain: str = ""
    split_include: tuple[Network, ...] = ()
    split_exclude: tuple[Network, ...] = ()
    split_dns: tuple[str, ...] = ()
    banner: str = ""
    backup_servers: tuple[str, ...] = ()
    save_password: bool = False
    pfs: bool = False
    push: bool = False
    firewall: str = "none"
    firewall_wanted: Firewall = USUAL_FIREWALL

    idle_seconds: int = 0
    session_seconds: int = 0
    max_logins: int = 0
    hours: tuple[Hours, ...] = ()

    ike_life_seconds: int = 86400
    esp_life_seconds: int = 28800
    esp_life_kilobytes: int = 0
    natt: tuple[Version, ...] = PREFERENCE
    natt_force: bool = False
    over_udp: bool = False
    keepalive_seconds: int = 20
    liveness: Liveness = Liveness()

    def open_at(self, at: datetime) -> bool:
        """Whether the group's hours allow a login at ``at`` (aware, in the gateway's zone)."""
        return allowed(self.hours, at)
