"""Octets of a profile's file as text: UTF-8, UTF-16 with its mark, else what Windows wrote."""

from __future__ import annotations

from culvert.errors import ConfigError

WINDOWS = "cp1252"
"""Western Windows; a superset of Latin-1 in all that people type."""


def decoded(octets: bytes, *, path: str = "") -> str:
    """The text in ``octets``.

    Raises ConfigError for what is no text at all.
    """
    encoding = "utf-16" if octets[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = octets.decode(encoding)
    except UnicodeDecodeError:
        # Latin-1 takes the five octets that the Windows table leaves free.
        try:
            text = octets.decode(WINDOWS)
        except UnicodeDecodeError:
            text = octets.decode("latin-1")
    if "\0" in text:
        raise ConfigError("is not a text file: it has zero octets in it", path=path)
    return text


def encoded(text: str) -> bytes:
    """For a .pcf: as the Windows client reads it, or UTF-8 where that has no signs for it."""
    try:
        return text.encode(WINDOWS)
    except UnicodeEncodeError:
        return text.encode("utf-8")
