"""Octets of a log file to lines, in bounded memory: gzip, UTF-8, UTF-16, Windows code page."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from culvert.explain.carrier import LONGEST_LINE
from culvert.explain.packed import unpacked

CONTROL = bytes(sorted({*range(0x01, 0x20), 0x7F} - {*b"\b\t\n\f\r\x1b"}))
"""Octets that no log prints; NUL is not among them, since a crash may leave blocks of it in one."""

ENOUGH = 256
"""Octets from which a share can be told."""

MOST = 50
"""One control octet in so many shows a program or a packed file."""

UNREADABLE = "\ufffd\n"
"""What stands for a piece of a file that is no text: a line that nothing reads."""


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
    no_text = False
    for chunk in chunks:
        if decoder is None:
            no_text = _is_no_text(chunk)
        if no_text:
            yield UNREADABLE
            continue
        if decoder is None:
            decoder = codecs.getincrementaldecoder(_encoding(chunk))("culvert-cp1252")
        yield decoder.decode(chunk).replace("\0", "")
    if decoder is not None:
        yield decoder.decode(b"", final=True)


def _is_no_text(first: bytes) -> bool:
    """A program, a picture, a packed file: by the control octets of its beginning."""
    if len(first) < ENOUGH or _encoding(first).startswith("utf-16"):
        return False
    return (len(first) - len(first.translate(None, CONTROL))) * MOST > len(first)


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
