"""The simulated half of a SonicWALL: a DHCP server behind our gateway, for clients' own relays.

python -m: listens on HOST, lends addresses of POOL (a prefix), tells DNS and DOMAIN; prints what it
does. HOW is `mute` (says nothing) or `refuse` (NAK to every request), or left out. Run it where the
gateway runs; the gateway carries UDP 67 through its clients' SAs.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import IPv4Address, IPv4Network

from culvert.inet import dhcp
from culvert.inet.dhcp import DhcpMessage

LEASE_SECONDS = 60


def answer(
    asked: DhcpMessage, kind: int, address: str, *, server: str, dns: str, domain: str, lease: int
) -> DhcpMessage:
    """What a server at ``server`` says to a relay's question, about ``address``."""
    return DhcpMessage(
        dhcp.REPLY,
        kind,
        asked.number,
        asked.hardware,
        yours=IPv4Address(address),
        relay=asked.relay,
        options={
            dhcp.SERVER: IPv4Address(server).packed,
            dhcp.LEASE_TIME: lease.to_bytes(4, "big"),
            dhcp.DNS: IPv4Address(dns).packed,
            dhcp.DOMAIN: domain.encode(),
        },
    )


def main(host: str, pool: str, dns: str, domain: str, how: str = "") -> None:
    free = [str(address) for address in IPv4Network(pool).hosts()]
    lent: dict[bytes, str] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((host, dhcp.SERVER_PORT))
        print("ready", flush=True)
        while True:
            octets, _ = listening.recvfrom(dhcp.LONGEST)
            asked = DhcpMessage.parse(octets)
            if how:
                print(f"{how}: {asked.kind}", flush=True)
            if how == "mute":
                continue
            if asked.kind == dhcp.RELEASE:
                returned = lent.pop(asked.hardware, None)
                print("released", returned, asked.client, flush=True)
                continue
            address = lent.setdefault(asked.hardware, free[len(lent)])
            agreed = dhcp.NAK if how == "refuse" else dhcp.ACK
            kind = dhcp.OFFER if asked.kind == dhcp.DISCOVER else agreed
            told = "renewed" if int(asked.client) else "offered" if kind == dhcp.OFFER else "lent"
            said = answer(
                asked, kind, address, server=host, dns=dns, domain=domain, lease=LEASE_SECONDS
            )
            # To the client's outer address, which its gateway reaches through the SA.
            listening.sendto(said.write(), (str(asked.relay), dhcp.SERVER_PORT))
            print(told, address, asked.hardware.hex(), asked.relay, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
