"""Octets of a log file to lines, in bounded memory: gzip, UTF-8, UTF-16, Windows code page."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from culvert.explain.carrier import LONGEST_LINE
from culvert.explain.packed import unpacked


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines of a file that is read in pieces; of a line too long the rest is left out.

    Raises ConfigError if a packed file is damaged at its beginning; what follows later damage is
    lost.
    """
    kept = ""
    dropping = False
    for text in _texts(unpacked(iter(chunks))):
        *whole, kept_next = (kept + text).replace("\r\n", "\n").split("\n")
        for line in whole:
            if not dropping:
                yield line[: LONGEST_LINE + 1]
            dropping = False
        if dropping:
            kept_next = ""
        elif len(kept_next) > LONGEST_LINE:
            yield kept_next[: LONGEST_LINE + 1]
            kept_next, dropping = "", True
        kept = kept_next
    if kept and not dropping:
        yield kept


def _texts(chunks: Iterator[bytes]) -> Iterator[str]:
    """Text of the pieces; the first tells UTF-16; octets that are no UTF-8 are read as cp1252."""
    decoder: codecs.IncrementalDecoder | None = None
    for chunk in chunks:
        if decoder is None:
            decoder = codecs.getincrementaldecoder(_encoding(chunk))("culvert-cp1252")
        yield decoder.decode(chunk).replace("\0", "")
    if decoder is not None:
        yield decoder.decode(b"", final=True)


def _encoding(first: bytes) -> str:
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(first) > 3 and first[1::2].count(0) > len(first) // 3:
        return "utf-16-le"
    return "utf-8-sig"


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """What is no UTF-8 was written on Windows or in Western Europe."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return wrong.decode("cp1252", "replace"), error.end


codecs.register_error("culvert-cp1252", _as_cp1252)
