"""Where the data path sends what an IKE SA agreed on: IKE's own path, or without any port."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address

from culvert.inet.address import Address, Path

NO_PORT = 0  # plain ESP, IP protocol 50

UDP_PORT = 10_000
"""Where ESP goes in UDP by Cisco's own way, unless a gateway names another port by Mode Config. A
client's own such port goes by this number too, whatever it is."""


STREAMS = IPv4Network("127.64.0.0/10")
"""Where peers on a TCP stream stand: the stream ends on this machine, as one address of these."""


def streamed(path: Path) -> bool:
    """Whether IKE and ESP go over a TCP stream, as the datagrams of the NAT-T port."""
    return path.encapsulated and ip_address(path.remote[0]) in STREAMS


def data_path(path: Path, *, encapsulated: bool) -> Path:
    """ESP in UDP goes beside IKE; plain ESP goes between the same hosts."""
    if encapsulated:
        return path
    return Path((path.local[0], NO_PORT), (path.remote[0], NO_PORT))


def after_move(path: Path, peer: Address, local_port: int) -> Path:
    """IKE's path once ESP of ``peer`` has come to ``local_port``. ESP without a port, or on one
    that IKE does not use, tells the host only."""
    if local_port != path.local[1]:
        return path._replace(remote=(peer[0], path.remote[1]))
    return Path((path.local[0], local_port), peer, path.encapsulated)
