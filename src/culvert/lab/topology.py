"""What the lab looks like: who is in it, what connects whom, and where each sends the rest.

    client1 10.10.10.2 -+                                                    +- server 192.168.2.10
                        +- pat 10.10.10.1|171.69.89.78 - inet - 172.16.172.50 gw 192.168.2.251
    client2 10.10.10.3 -+                                |
                                        pub 198.51.100.10-+   (a client without NAT)

Addresses are those of the VPN 3000 NAT-T note (S4-01).
"""

from __future__ import annotations

from dataclasses import dataclass

CLIENT1 = "10.10.10.2"
CLIENT2 = "10.10.10.3"
PAT_INSIDE = "10.10.10.1"
PAT_OUTSIDE = "171.69.89.78"
INET_PAT = "171.69.88.1"
INET_GATEWAY = "172.16.172.1"
INET_PUB = "198.51.100.1"
GATEWAY = "172.16.172.50"
GATEWAY_LAN = "192.168.2.251"
SERVER = "192.168.2.10"
PUB = "198.51.100.10"
POOL = "40.1.1.0/24"
PRIVATE = "192.168.2.0/24"
# The internet refuses these, so that nothing but a tunnel carries them.
PROHIBITED = ("192.168.0.0/16", POOL)

# The PAT's bridge towards the clients and its link towards the internet.
PAT_BRIDGE = "br0"
PAT_OUTLINK = "out"

NAMES = ("client1", "client2", "pub", "pat", "inet", "gw", "server")
ROUTERS = ("pat", "inet", "gw")

HOSTS = f"""\
127.0.0.1 localhost
{GATEWAY} vpn.example.test gw
{SERVER} server.corp.test
"""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a cable; ``address`` empty where a bridge holds the address."""

    name: str
    interface: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Cable:
    left: End
    right: End


CABLES = (
    Cable(End("client1", "eth0", f"{CLIENT1}/24"), End("pat", "in1")),
    Cable(End("client2", "eth0", f"{CLIENT2}/24"), End("pat", "in2")),
    Cable(End("pat", PAT_OUTLINK, f"{PAT_OUTSIDE}/23"), End("inet", "pat", f"{INET_PAT}/23")),
    Cable(End("pub", "eth0", f"{PUB}/24"), End("inet", "pub", f"{INET_PUB}/24")),
    Cable(End("gw", "eth0", f"{GATEWAY}/24"), End("inet", "gw", f"{INET_GATEWAY}/24")),
    Cable(End("gw", "eth1", f"{GATEWAY_LAN}/24"), End("server", "eth0", f"{SERVER}/24")),
)

DEFAULT_ROUTES = {
    "client1": PAT_INSIDE,
    "client2": PAT_INSIDE,
    "pub": INET_PUB,
    "pat": INET_PAT,
    "gw": INET_GATEWAY,
    "server": GATEWAY_LAN,
}

# "random" rewrites every source port inside its class: 500 becomes a port below 512 and 4500 one
# above 1023, which is what the PIX of the note prints in `show xlate`.
PAT_RULES = f"""\
table ip nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    oifname "{PAT_OUTLINK}" masquerade random
  }}
}}
table ip filter {{
  chain forward {{
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    iifname "{PAT_BRIDGE}" accept
  }}
}}
"""

SYSCTLS = {
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    # ICMP sockets for everyone, so that an unprivileged program can ping
    "net/ipv4/ping_group_range": "0 2147483647",
}


def interface_script(name: str) -> str:
    """`ip -batch` lines that give the namespace ``name`` its addresses and routes."""
    lines = ["link set lo up"]
    if name == "pat":
        lines += [
            f"link add {PAT_BRIDGE} type bridge",
            f"addr add {PAT_INSIDE}/24 dev {PAT_BRIDGE}",
            f"link set {PAT_BRIDGE} up",
            f"link set in1 master {PAT_BRIDGE}",
            f"link set in2 master {PAT_BRIDGE}",
        ]
    for end in (end for cable in CABLES for end in (cable.left, cable.right)):
        if end.name == name:
            if end.address:
                lines.append(f"addr add {end.address} dev {end.interface}")
            lines.append(f"link set {end.interface} up")
    if via := DEFAULT_ROUTES.get(name):
        lines.append(f"route add default via {via}")
    if name == "inet":
        lines += [f"route add prohibit {network}" for network in PROHIBITED]
    return "\n".join(lines) + "\n"
