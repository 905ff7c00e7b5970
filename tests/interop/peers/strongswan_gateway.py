"""strongSwan as the gateway: every IKEv1 method at once in one charon, user-space ESP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.peers.charon import Charon
from interop.peers.credentials import GATEWAY_NAME, GROUP, GROUP_KEY, PASSWORD, USERS
from interop.peers.pki import Pki

# Everything of the Cisco client's tables 8-3 and 8-4 that strongSwan can do; first match wins.
IKE = (
    "aes256-sha256-modp2048,aes128-sha1-modp1024,aes256-sha1-modp1024,3des-sha1-modp1024,"
    "aes128-md5-modp1024,aes256-md5-modp1024,3des-md5-modp1024,aes128-sha1-modp1536,"
    "aes256-sha1-modp1536,3des-sha1-modp1536,aes128-md5-modp1536,aes256-md5-modp1536,"
    "3des-md5-modp1536,des-md5-modp1024,des-md5-modp768"
)
ESP = (
    "aes128-sha1,aes256-sha1,3des-sha1,aes128-md5,aes256-md5,3des-md5,aes128gcm16,aes256gcm16,"
    "aes128-sha256,des-md5,null-sha1,null-md5"
)
BANNER = "Welcome to the lab"
DOMAIN = "corp.test"
# 28672 and 28674 are Unity's banner and default domain.
SETTINGS = f"""\
  send_vendor_id = yes
  accept_unencrypted_mainmode_messages = yes
  install_routes = yes
  plugins {{
    kernel-libipsec {{ load = 20 }}
    openssl {{ load_legacy = yes }}
    attr {{
      28672 = {BANNER}
      28674 = {DOMAIN}
%s
    }}
  }}
"""
PSK = f"local {{ auth = psk\n            id = {topology.GATEWAY} }}"
RSA = f"local {{ auth = pubkey\n            certs = gw.pem\n            id = {GATEWAY_NAME} }}"
USER_CERTIFICATE = "remote { auth = pubkey\n             cacerts = ca.pem }"
XAUTH = "remote-2 { auth = xauth }"


@dataclass
class StrongswanGateway:
    """Restrict ``ike`` and ``esp`` to choose the proposal."""

    lab: Lab
    pki: Pki
    ike: str = IKE
    esp: str = ESP
    dpd: int = 10
    pool: str = topology.POOL
    where: str = "gw"
    push: bool = False
    networks: tuple[str, ...] = (topology.PRIVATE,)
    attributes: Mapping[int, str] = field(default_factory=dict)
    """Of Mode Config, by number."""
    charon: Charon = field(init=False)

    def __post_init__(self) -> None:
        self.charon = Charon(self.lab, self.where, self.pki)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.charon.stop()

    def start(self) -> None:
        more = "\n".join(f"      {number} = {text}" for number, text in self.attributes.items())
        self.charon.start(SETTINGS % more, self.connections(), {"gw": "gw"}, plugins="attr")

    def sas(self) -> str:
        """Its security associations, as swanctl lists them."""
        return self.charon.swanctl("--list-sas")

    def connections(self) -> str:
        group = f"id = keyid:{GROUP}"
        rows = [
            ("agg-psk-xauth", "yes", PSK, f"remote {{ auth = psk\n {group} }}\n    {XAUTH}"),
            ("main-psk-xauth", "no", PSK, f"remote {{ auth = psk }}\n    {XAUTH}"),
            ("rsa-xauth", "no", RSA, f"{USER_CERTIFICATE}\n    {XAUTH}"),
            ("hybrid", "no", RSA, "remote { auth = xauth }"),
            ("hybrid-agg", "yes", RSA, f"remote {{ auth = xauth\n {group} }}"),
            ("psk", "no", PSK, "remote { auth = psk }"),
            ("psk-agg", "yes", PSK, f"remote {{ auth = psk\n {group} }}"),
            ("rsa", "no", RSA, USER_CERTIFICATE),
            ("rsa-agg", "yes", RSA, USER_CERTIFICATE),
            ("rsa-xauth-agg", "yes", RSA, f"{USER_CERTIFICATE}\n    {XAUTH}"),
        ]
        made = "\n".join(self.connection(*row) for row in rows)
        people = "\n".join(
            f'  xauth-{number} {{ id = {user}\n            secret = "{PASSWORD}" }}'
            for number, user in enumerate(sorted(set(USERS.values())))
        )
        # No split_include in the pool: the unity plugin already sends one per local_ts, and vpnc
        # refuses a reply with two lists.
        return f"""\
connections {{
{made}
}}
pools {{ pool4 {{ addrs = {self.pool}
    dns = {topology.SERVER} }} }}
secrets {{
  ike-group {{ secret = "{GROUP_KEY}" }}
{people}
}}
"""

    def connection(self, name: str, aggressive: str, local: str, remote: str) -> str:
        # encap: user-space ESP goes in UDP only. send_cert: vpnc's hybrid asks for none and needs
        # one. unique: both clients come from the PAT's one address.
        return f"""\
  {name} {{
    version = 1
    local_addrs = {topology.GATEWAY}
    proposals = {self.ike}
    encap = yes
    send_cert = always
    dpd_delay = {self.dpd}s
    dpd_timeout = 30s
    unique = never
    pools = pool4
    pull = {"no" if self.push else "yes"}
    aggressive = {aggressive}
    {local}
    {remote}
    children {{ {self.children(name)} }}
  }}"""

    def children(self, name: str) -> str:
        """One for each network: IKEv1 has one of each end in a pair."""
        return "\n".join(
            f"""{name}-{number} {{ local_ts = {network}
      esp_proposals = {self.esp}
      dpd_action = clear }}"""
            for number, network in enumerate(self.networks)
        )
