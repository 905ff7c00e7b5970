"""The compiled engine's file, looked at before it is loaded: whole (ELF), and of which sources.

setup.py runs this file by its path when it compiles, so it needs nothing but the standard library.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

ELF = b"\x7fELF"
_WIDE, _BIG_ENDIAN = 2, 2  # e_ident[EI_CLASS] and e_ident[EI_DATA]
_SECTIONS = {False: (0x20, 4, 0x2E), True: (0x28, 8, 0x3A)}
"""Of 32 and of 64 bits: where e_shoff is, its octets, where e_shentsize and then e_shnum are."""
_HEADER = 64


def cut_short(place: Path) -> bool:
    """Is the end of this ELF file missing? Whoever maps such a file dies of SIGBUS.

    The table of sections is the last thing that a linker writes. What is no ELF file at all, or
    not there, dlopen refuses in words.
    """
    try:
        with place.open("rb") as file:
            header = file.read(_HEADER)
        size = place.stat().st_size
    except OSError:
        return False
    if not header.startswith(ELF[: len(header)]):
        return False
    if len(header) < _HEADER:
        return True
    order: Literal["big", "little"] = "big" if header[5] == _BIG_ENDIAN else "little"
    at, octets, entries = _SECTIONS[header[4] == _WIDE]
    table = int.from_bytes(header[at : at + octets], order)
    each = int.from_bytes(header[entries : entries + 2], order)
    count = int.from_bytes(header[entries + 2 : entries + 4], order)
    return table + each * count > size


def fingerprint(folder: Path) -> str:
    """A hash of the C sources below ``folder``, by name and content; empty where there are none."""
    sources = sorted(
        (one.relative_to(folder).as_posix(), one)
        for pattern in ("*.c", "*.h")
        for one in folder.rglob(pattern)
    )
    made = hashlib.sha256()
    for name, one in sources:
        octets = one.read_bytes()
        made.update(f"{name} {len(octets)}\n".encode() + octets)
    return made.hexdigest() if sources else ""
