"""Key log: the keys of IKE and ESP in a file that Wireshark and ``culvert explain --keys`` read.

    0123456789abcdef,00112233…            IKE: initiator's cookie, key   (ikev1_decryption_table)
    "IPv4","*","192.0.2.1","0x…", …       ESP: one line a direction      (esp_sa)

Whoever has this file and a capture reads all that was said. It is never written unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path

from culvert.driver.loop import NewKeys
from culvert.driver.message import MessageError
from culvert.driver.privatefile import PrivateFile
from culvert.effects import InstallSa, SaHalf
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import Keyed
from culvert.tables.algorithms import ESP_CIPHERS, INTEGRITIES

MOST = 64 << 20
"""Octets of a key log: some 200,000 pairs of SAs."""

HEAD = """\
# Keys of IKE and ESP, for Wireshark and `culvert explain --keys`. Who reads this reads the traffic.
"""

CIPHERS = {row.cipher: row.wireshark for row in ESP_CIPHERS}
INTEGRITY = {row.name: row.wireshark for row in INTEGRITIES} | {"": "NULL"}


class KeyLog:
    """Writes keys until its file is full. Raises PlatformError if it cannot be made."""

    def __init__(self, path: Path, record: Callable[[LogEvent], None]) -> None:
        self._file = PrivateFile(path, MOST, record)
        self._file.write(HEAD.encode())
        record(LogEvent("service.key-log", {"path": str(path)}))

    def add(self, keys: NewKeys) -> None:
        self._file.write("".join(lines(keys)).encode())

    def close(self) -> None:
        self._file.close()


def lines(keys: NewKeys) -> Iterator[str]:
    """The lines of a key log for new keys.

    Raises MessageError for keys that cannot be: they may come from a captured worker.
    """
    match keys:
        case Keyed():
            yield f"{keys.cookie_i.hex()},{keys.key.hex()}\n"
        case InstallSa():
            try:
                peer = ip_address(keys.peer[0].partition("%")[0])
            except ValueError as error:
                raise MessageError(str(error)) from None
            yield _esp(keys, keys.inbound, peer.version, str(peer), "*")
            yield _esp(keys, keys.outbound, peer.version, "*", str(peer))


def _esp(pair: InstallSa, half: SaHalf, version: int, source: str, target: str) -> str:
    cipher, integrity = CIPHERS.get(pair.cipher), INTEGRITY.get(pair.integrity)
    if cipher is None or integrity is None:
        raise MessageError(f"no such algorithms: {pair.cipher!r}, {pair.integrity!r}")
    key = (half.cipher_key + half.salt).hex()
    cells = (
        *(f"IPv{version}", source, target, f"0x{half.spi:08x}"),
        *(cipher, f"0x{key}" if key else ""),
        *(integrity, f"0x{half.integrity_key.hex()}" if half.integrity_key else ""),
    )
    return ",".join(f'"{cell}"' for cell in cells) + "\n"
