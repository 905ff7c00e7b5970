"""strongSwan as the client, ten IKEv1 methods, user-space ESP."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.peers.charon import Charon
from interop.peers.credentials import GATEWAY_NAME, GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure
from interop.peers.pki import Pki
from interop.peers.tunnel import Tunnel

INTERFACE = "ipsec0"  # kernel-libipsec's
PATIENCE = 15


@dataclass
class StrongswanClient:
    """One charon in namespace ``where`` that dials with ``method``."""

    lab: Lab
    pki: Pki
    method: str = "agg-psk-xauth"
    where: str = "client1"
    gateway: str = topology.GATEWAY
    gateway_id: str = ""
    ike: str = "aes128-sha1-modp1024"
    esp: str = "aes128-sha1"
    networks: str = topology.PRIVATE
    force_natt: bool = True
    dpd: int = 10
    user: str = ""
    password: str = PASSWORD
    group_key: str = GROUP_KEY
    push: bool = False
    unity: bool = True
    other: str = ""  # networks of a second pair, which `dial("other")` asks for
    own_id: str = ""  # as a group's name; empty: the lab's
    charon: Charon = field(init=False)

    def __post_init__(self) -> None:
        self.user = self.user or USERS[self.where]
        self.charon = Charon(self.lab, self.where, self.pki, unity=self.unity)

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.charon.stop()

    @property
    def tunnel(self) -> Tunnel:
        return Tunnel(self.lab, self.where, INTERFACE)

    def up(self) -> None:
        """Dial; returns when the first IPsec SA stands."""
        settings = f"""\
  install_virtual_ip = yes
  plugins {{
    kernel-libipsec {{ load = 20 }}
    openssl {{ load_legacy = yes }}
    resolve {{ file = {self.charon.folder}/resolv.conf }}
  }}
"""
        self.charon.start(settings, self.connection(), {"user": self.user}, plugins="resolve")
        try:
            self.dial("net")
        except PeerFailure:
            self.charon.stop()
            raise

    def dial(self, child: str) -> None:
        words = ["--initiate", "--child", child, "--timeout", str(PATIENCE)]
        self.charon.swanctl(*words, patience=PATIENCE + 5)

    def down(self) -> None:
        self.charon.stop()

    def authentication(self) -> str:
        own = {"psk": "auth = psk", "rsa": "auth = pubkey\n certs = user.pem"}
        group = f"id = keyid:{self.own_id or GROUP}"
        xauth = f"auth = xauth\n xauth_id = {self.user}"
        second = f"local-2 {{ {xauth} }}"
        by_certificate = f"remote {{ auth = pubkey\n id = {GATEWAY_NAME} }}"
        by_key = f"remote {{ auth = psk\n id = {self.gateway_id or self.gateway} }}"
        rows = {
            "agg-psk-xauth": (f"{own['psk']}\n {group}", second, by_key),
            "main-psk-xauth": (own["psk"], second, by_key),
            "rsa-xauth": (own["rsa"], second, by_certificate),
            "hybrid": (xauth, "", by_certificate),
            "hybrid-agg": (f"{group}\n {xauth}", "", by_certificate),
            "psk": (own["psk"], "", by_key),
            "psk-agg": (f"{own['psk']}\n {group}", "", by_key),
            "rsa": (own["rsa"], "", by_certificate),
            "rsa-agg": (own["rsa"], "", by_certificate),
            "rsa-xauth-agg": (own["rsa"], second, by_certificate),
        }
        first, then, remote = rows[self.method]
        return f"local {{ {first} }}\n  {then}\n  {remote}"

    def connection(self) -> str:
        return f"""\
connections {{ lab {{
  version = 1
  aggressive = {"yes" if "agg" in self.method else "no"}
  remote_addrs = {self.gateway}
  vips = 0.0.0.0
  pull = {"no" if self.push else "yes"}
  proposals = {self.ike}
  encap = {"yes" if self.force_natt else "no"}
  dpd_delay = {self.dpd}s
  dpd_timeout = 30s
  keyingtries = 0
  {self.authentication()}
  children {{ {self.child("net", self.networks)}
    {self.child("other", self.other) if self.other else ""} }}
}} }}
secrets {{
  ike-group {{ secret = "{self.group_key}" }}
  xauth-u {{ id = {self.user}
            secret = "{self.password}" }}
}}
"""

    def child(self, name: str, networks: str) -> str:
        return f"""{name} {{
    remote_ts = {networks}
    esp_proposals = {self.esp}
    dpd_action = restart
    close_action = start }}"""
