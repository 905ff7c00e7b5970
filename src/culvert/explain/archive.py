"""Files packed in ways that are not unpacked here, and empty captures: said in plain words."""

from __future__ import annotations

from culvert.errors import ConfigError

KINDS = (
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
)
TAR = b"ustar"
TAR_AT = 257
"""Where a tar archive says that it is one."""

LONGEST_MAGIC = TAR_AT + len(TAR)


def refuse_archive(first: bytes, path: str) -> None:
    """Raises ConfigError if the first octets of a file are those of an archive."""
    kind = next((name for magic, name in KINDS if first.startswith(magic)), "")
    if not kind and first[TAR_AT:LONGEST_MAGIC] == TAR:
        kind = "tar"
    if kind:
        raise ConfigError(f"packed with {kind}; unpack it first", path=path)


def refuse_without_packets(path: str) -> None:
    """Raises ConfigError: nothing of a VPN was in that capture."""
    raise ConfigError(
        "capture without packets of a VPN (IKE, ESP); capture anew while the connection is tried",
        path=path,
    )
