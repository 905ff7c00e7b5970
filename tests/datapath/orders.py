"""Orders to install SAs, and packets, as the tests of the data path need them."""

from __future__ import annotations

import hashlib

from culvert.effects import InstallSa, SaHalf
from culvert.inet import ipv4
from culvert.inet.address import Address
from culvert.inet.checksum import checksum
from culvert.tables.packet import PACKET_CIPHERS, PACKET_INTEGRITIES

SUITES = [
    (cipher.name, size, integrity)
    for cipher in PACKET_CIPHERS.values()
    for size in cipher.keys
    for integrity in ([""] if cipher.icv else PACKET_INTEGRITIES)
]

GATEWAY: Address = ("172.16.172.50", 4500)
CLIENT: Address = ("171.69.89.78", 1025)
LEASED = "10.1.0.5"
NETWORK = "192.168.2.0/24"
SERVER = "192.168.2.251"


def half(spi: int, label: str, cipher: str, size: int, integrity: str) -> SaHalf:
    def key(part: str, octets: int) -> bytes:
        return hashlib.shake_256(f"{label} {spi} {part}".encode()).digest(octets)

    check = PACKET_INTEGRITIES[integrity].key if integrity else 0
    return SaHalf(
        spi,
        key("cipher", size),
        key("salt", PACKET_CIPHERS[cipher].salt),
        key("integrity", check),
    )


def both_ends(
    *,
    session: int = 1,
    pair: int = 1,
    suite: tuple[str, int, str] = ("aes-cbc", 16, "hmac-sha1-96"),
    to_gateway: int = 0x1000,
    to_client: int = 0x2000,
    near_gateway: tuple[str, ...] = (NETWORK,),
    near_client: tuple[str, ...] = (f"{LEASED}/32",),
    client: Address = CLIENT,
    soft_octets: int = 0,
    hard_octets: int = 0,
) -> tuple[InstallSa, InstallSa]:
    """The same pair of SAs as the gateway and as the client install it."""
    cipher, _, integrity = suite
    up, down = (half(spi, "test", *suite) for spi in (to_gateway, to_client))

    def order(
        inbound: SaHalf,
        outbound: SaHalf,
        local: tuple[str, ...],
        remote: tuple[str, ...],
        peer: Address,
    ) -> InstallSa:
        return InstallSa(
            session=session,
            pair=pair,
            cipher=cipher,
            integrity=integrity,
            inbound=inbound,
            outbound=outbound,
            local=local,
            remote=remote,
            peer=peer,
            local_port=4500,
            udp_encapsulated=True,
            soft_octets=soft_octets,
            hard_octets=hard_octets,
        )

    return (
        order(up, down, near_gateway, near_client, client),
        order(down, up, near_client, near_gateway, GATEWAY),
    )


def udp(source: str, destination: str, payload: bytes = b"hello") -> bytes:
    head = (4000).to_bytes(2, "big") + (53).to_bytes(2, "big")
    head += (8 + len(payload)).to_bytes(2, "big") + b"\0\0"
    return ipv4.build(17, octets(source), octets(destination), head + payload)


def fragmentable(packet: bytes) -> bytes:
    """The IPv4 packet with DF clear."""
    changed = bytearray(packet)
    changed[6] &= 0xBF
    changed[10:12] = b"\0\0"
    changed[10:12] = checksum(changed[:20]).to_bytes(2, "big")
    return bytes(changed)


def octets(host: str) -> bytes:
    return bytes(int(part) for part in host.split("."))
