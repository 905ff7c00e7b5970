"""What a connection knows of its attempt so far, and the row of `culvert status` made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from culvert import __version__
from culvert.client.configuration import Given
from culvert.effects import Traffic
from culvert.eventlog.event import LogEvent
from culvert.ike.peer import IkeSa
from culvert.ike.suite import EspSuite
from culvert.inet.address import Address, Path
from culvert.session.silence import Silence

NOTHING_GIVEN = Given()

CLIENT_TYPE = "Linux"  # as gateways show it (S4-43)

STATES = {
    "idle": "down",
    "resolving": "connecting",
    "login": "connecting",
    "configuring": "connecting",
}
"""A connection's step, as people and programs are told it where it has another name."""


@dataclass(slots=True)
class Progress:
    """Of one attempt; a new one begins with a new record."""

    address: str = ""
    path_mtu: int = 1500
    own_address: bool = False
    leased: str = ""
    """Our outer address, where the inner one comes by DHCP."""
    given: Given = NOTHING_GIVEN
    interface: str = ""
    routes: tuple[str, ...] = ()
    esp: EspSuite | None = None
    pairs: int = 0
    carried: Traffic | None = None
    heard_packets: int = 0
    up_at: datetime | None = None
    began: float = 0.0
    weak: tuple[str, ...] = ()
    method: str = ""
    exchange_mode: str = ""
    configuring: bool = False
    silence: Silence | None = None
    messages_out: int = 0
    messages_in: int = 0
    """Of IKE, repeats included."""
    floated: bool = False
    """IKE has moved to port 4500."""
    heard_there: bool = False
    """And something came since."""
    long: bool = False
    """A message of ours, or of the gateway's, was longer than a packet."""

    tcp_port: int = 0
    stream: Address | None = None
    """Whom to call in place of the gateway: a TCP stream to it."""
    udp_port: int = 0
    """The gateway's port for ESP in UDP, if that was agreed by Mode Config."""
    way: str = ""
    tunnel_port: int = 0
    """What the newest pair was carried by: to be told when the connection is over, too."""

    def note(self, told: LogEvent) -> None:
        """What IKE has said about this attempt."""
        match told.code:
            case "ike.received":
                self.messages_in += 1
                self.heard_there |= self.floated
            case "ike.fragmented" | "ike.unfragmented" | "ike.fragments-lost":
                self.long = True
            case _:
                pass

    def note_sent(self, path: Path) -> None:
        self.messages_out += 1
        self.floated |= path.encapsulated

    def carried_by(self, sa: IkeSa) -> tuple[str, int]:
        """The way of ESP, and the gateway's port that it goes to; of a stream, the one on loopback
        tells nobody much."""
        if self.stream:
            return "tcp", self.tcp_port
        if self.udp_port:
            return "udp", self.udp_port
        return ("nat-t", sa.path.remote[1]) if sa.encapsulated else ("esp", 0)

    def anew(self, now: float) -> Progress:
        """The next attempt with the same gateway, by the same way."""
        return Progress(
            address=self.address,
            path_mtu=self.path_mtu,
            began=now,
            stream=self.stream,
            tcp_port=self.tcp_port,
        )


def status_row(
    so_far: Progress,
    sa: IkeSa | None,
    *,
    user: str,
    group: str,
    step: str,
    attempt: int,
    again_at: str,
) -> dict[str, object]:
    """The row of `culvert status` (docs/reference/json.md)."""
    esp = so_far.esp
    way, port = so_far.way, so_far.tunnel_port
    if sa is not None and so_far.pairs:
        way, port = so_far.carried_by(sa)
    problem = so_far.silence.problem if so_far.silence else None
    return {
        "user": user,
        "group": group,
        "state": STATES.get(step, step),
        "step": step,
        "attempt": attempt,
        "next_attempt": again_at,
        "protocol": "IPSec",
        "transport": way,
        "tunnel_port": port,
        "assigned_ip": so_far.given.address,
        "public_ip": sa.path.local[0] if sa is not None else "",
        "gateway": so_far.address,
        "method": so_far.method,
        "exchange_mode": so_far.exchange_mode,
        "encryption": esp.cipher.label if esp else "",
        "authentication": esp.authentication_label if esp else "",
        "compression": esp.compression.token if esp and esp.compression else "",
        "since": so_far.up_at.isoformat() if so_far.up_at else "",
        **_counters(so_far.carried),
        "interface": so_far.interface,
        "routes": list(so_far.routes),
        "dns": list(so_far.given.dns),
        "nbns": list(so_far.given.nbns),
        "split_domains": list(so_far.given.split_domains),
        "banner": so_far.given.banner,
        "save_password": so_far.given.save_password,
        "client_type": CLIENT_TYPE,
        "client_version": __version__,
        "gateway_version": so_far.given.application,
        "local_lan": [str(network) for network in so_far.given.exclude],
        "firewall": str(so_far.given.firewall or ""),
        "firewall_policy": so_far.given.firewall.policy if so_far.given.firewall else "",
        "weak": list(so_far.weak),
        "problem": asdict(problem) if problem else None,
    }


def _counters(traffic: Traffic | None) -> Mapping[str, int]:
    return {
        "bytes_in": traffic.octets_in if traffic else 0,
        "bytes_out": traffic.octets_out if traffic else 0,
        "packets_in": traffic.packets_in if traffic else 0,
        "packets_out": traffic.packets_out if traffic else 0,
        "dropped_in": traffic.dropped_in if traffic else 0,
        "dropped_out": traffic.dropped_out if traffic else 0,
    }
