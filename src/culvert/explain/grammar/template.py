"""A row's text with placeholders, made into a pattern that never looks back.

    {name}       one word without blanks        {name:text}  anything, also blanks
    {name:ip}    address or digits and dots     {name:n}     decimal number
    {name:hex}   hexadecimal number             {name:word}  letters, digits, underscores
    `` .. ``     anything in between            ``$``        end of the record (the last sign)

Blanks stand for any white space; case does not count. Every piece is atomic: once a placeholder
has found the words that follow it, it is never tried again, so that no line makes matching slow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PIECE = re.compile(
    r"\{(?P<name>[a-z][a-z_0-9]*)(?::(?P<kind>[a-z]+))?\}|(?P<skip>\s\.\.\s)|(?P<space>\s+)"
)
WORD = re.compile(r"\w+")

LONGEST = 300
"""Signs a placeholder may take: longer values are no values, and every step stays bounded."""

LAZY = {"": rf"\S{{1,{LONGEST}}}?", "text": rf".{{1,{LONGEST}}}?"}
LAST = {"": rf"\S{{1,{LONGEST}}}", "text": rf".{{1,{LONGEST}}}"}
EXACT = {
    # People who show a log write x for the numbers they hide.
    "ip": r"(?:[\dx*y]{1,3}(?:\.[\dx*y]{1,3}){3}+|[0-9a-fA-F]{0,4}:[0-9a-fA-F:.]{1,44}+)",
    "n": r"\d{1,20}+",
    "hex": r"(?:0x)?[0-9a-fA-F]{1,64}+",
    "word": r"\w{1,80}+",
}


class Template:
    """``words`` stand in every text that fits: whoever lacks one need not be tried.

    The pattern is made when it is first needed: one log uses a few dozen of two thousand.
    """

    __slots__ = ("_pattern", "_pieces", "begins", "holds", "names", "text", "words")

    def __init__(self, text: str) -> None:
        """Raises ValueError for an unknown kind of placeholder."""
        self.text = text
        self.words = _words(text)
        self.begins, self.holds = _literals(text)
        self._pieces = tuple(_pieces(_bare(text)))
        self.names = tuple(piece.name for piece in self._pieces if piece.name)
        self._pattern: re.Pattern[str] | None = None

    def search(self, text: str, lowered: str) -> re.Match[str] | None:
        """Where it stands in ``text``. ``lowered`` is the same in small letters, sign for sign, or
        empty: then nothing is known beforehand."""
        start = lowered.find(self.begins) if lowered else 0
        if start < 0 or (lowered and self.holds not in lowered):
            return None
        return (self._pattern or self.pattern).search(text, start)

    @property
    def pattern(self) -> re.Pattern[str]:
        if self._pattern is None:
            self._pattern = _compiled(self.text, self._pieces)
        return self._pattern


@dataclass(frozen=True, slots=True)
class _Piece:
    literal: str = ""
    name: str = ""
    kind: str = ""
    skip: bool = False


def _bare(text: str) -> str:
    return text.removesuffix("$").removesuffix(" ..")


def _compiled(text: str, pieces: tuple[_Piece, ...]) -> re.Pattern[str]:
    ends = text.endswith("$")
    bare = _bare(text)
    made: list[str] = []
    place = 0
    while place < len(pieces):
        piece = pieces[place]
        after = pieces[place + 1] if place + 1 < len(pieces) else None
        if piece.name or piece.skip:
            third = pieces[place + 2] if place + 2 < len(pieces) else None
            if ends and after is not None and after.literal and third is None:
                after = _Piece(f"{after.literal}\\s*$")
            taken, used = _placeholder(piece, after, third, ends=ends)
            made.append(taken)
            place += used
        else:
            made.append(piece.literal)
            place += 1
    start = r"(?<!\w)" if re.match(r"\w", bare) else ""
    stop = r"\s*$" if ends else r"(?!\w)" if re.search(r"\w$", bare) else ""
    return re.compile(f"{start}{''.join(made)}{stop}", re.IGNORECASE)


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    literal = ""
    at = 0
    for found in PIECE.finditer(text):
        literal += re.escape(text[at : found.start()])
        at = found.end()
        if found["space"]:
            literal += r"\s+"
            continue
        if literal:
            pieces.append(_Piece(literal))
            literal = ""
        kind = found["kind"] or ""
        if kind not in LAZY and kind not in EXACT:
            raise ValueError(f"unknown kind of placeholder {kind!r} in {text!r}")
        pieces.append(_Piece(name=found["name"] or "", kind=kind, skip=bool(found["skip"])))
    literal += re.escape(text[at:])
    return [*pieces, _Piece(literal)] if literal else pieces


def _placeholder(
    piece: _Piece, after: _Piece | None, third: _Piece | None, *, ends: bool
) -> tuple[str, int]:
    """The pattern of a placeholder with the words after it, and how many pieces that took."""
    if piece.skip:
        return _gap(after, third)
    if piece.kind in EXACT:
        return f"(?P<{piece.name}>{EXACT[piece.kind]})", 1
    if after is None and not ends:
        return f"(?P<{piece.name}>{LAST[piece.kind]})", 1
    if after is None:
        return f"(?>(?P<{piece.name}>{LAZY[piece.kind]})\\s*$)", 1
    if after.literal:
        return f"(?>(?P<{piece.name}>{LAZY[piece.kind]}){after.literal})", 2
    return f"(?P<{piece.name}>{LAZY[piece.kind]})", 1


def _gap(after: _Piece | None, third: _Piece | None) -> tuple[str, int]:
    """Anything in between. A placeholder after it must say by its own look where it begins."""
    if after is None:
        return ".*?", 1
    if after.literal:
        return f"(?>.*?{after.literal})", 2
    exact = EXACT.get(after.kind, LAST[""])
    if third is None:
        return f"(?>.*?\\s(?P<{after.name}>{exact}))", 2
    return f"(?>.*?\\s(?P<{after.name}>{exact}){third.literal})", 3


def _literals(text: str) -> tuple[str, str]:
    """What every text that fits begins with (its first word, if that is written out), and the
    longest run of signs that stands in it: found at once, where a pattern has to look."""
    plain = PIECE.sub(lambda found: " " if found["space"] else "\0 ", _bare(text)).lower()
    runs = plain.split(" ")
    first, _, _ = runs[0].partition("\0")
    return first, max((run.strip("\0") for run in runs), key=len, default="")


def _words(text: str) -> frozenset[str]:
    """Whole words of the text that touch no placeholder."""
    plain = PIECE.sub(lambda found: "\0" if found["name"] else " ", text)
    return frozenset(
        found.group().lower()
        for found in WORD.finditer(plain)
        if plain[found.start() - 1 : found.start()] != "\0"
        and plain[found.end() : found.end() + 1] != "\0"
    )
