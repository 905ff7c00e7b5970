"""Key logs read back: what `culvert up --key-log` and Wireshark's ``ikev1_decryption_table`` hold.

0123456789abcdef,00112233…      initiator's cookie, key of phase 1; lines of ESP are passed over
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from culvert.errors import ConfigError

LINE = re.compile(
    r'"?(?:0x)?([0-9a-fA-F]{16})"?\s{0,4},\s{0,4}"?(?:0x)?((?:[0-9a-fA-F]{2}){8,64})"?'
)
ESP_LINE = re.compile(r'"?IPv[46]"?,')
MOST = 100_000
"""Keys that are held; the oldest make room."""


def read_keys(lines: Iterable[str], path: str = "") -> Mapping[bytes, bytes]:
    """Keys by cookie. Raises ConfigError for a line that is none, which is never shown: it may be
    a key."""
    found: dict[bytes, bytes] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#") or ESP_LINE.match(text):
            continue
        read = LINE.fullmatch(text)
        if read is None:
            wanted = "the initiator's cookie, a comma and the key, both hexadecimal"
            raise ConfigError(f"is no key log: wanted are {wanted}", path=path, line=number)
        found[bytes.fromhex(read[1])] = bytes.fromhex(read[2])
        if len(found) > MOST:
            del found[next(iter(found))]
    return found
