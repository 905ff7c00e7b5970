"""Rows of packet.toml: what each packet cipher and integrity algorithm adds to a packet."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.tables.loader import rows


@dataclass(frozen=True, slots=True)
class PacketCipher:
    name: str
    keys: tuple[int, ...]
    salt: int
    iv: int
    block: int
    align: int
    icv: int
    volume: int


@dataclass(frozen=True, slots=True)
class PacketIntegrity:
    name: str
    hash: str
    block: int
    key: int
    icv: int


PACKET_CIPHERS = {row.name: row for row in rows("packet.toml", "cipher", PacketCipher)}
PACKET_INTEGRITIES = {row.name: row for row in rows("packet.toml", "integrity", PacketIntegrity)}
