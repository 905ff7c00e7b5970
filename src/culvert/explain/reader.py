"""Lines to facts: families are told apart, records joined, and every row that fits speaks."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from culvert.explain.carrier import FOREIGN, Bare, is_foreign, plain, unwrapped
from culvert.explain.explanation import Evidence
from culvert.explain.facts import SIGN, Fact, Value, quoted
from culvert.explain.grammar.family import SILENT, Family, Reading, families
from culvert.explain.grammar.index import Hit, bare_index, index_of
from culvert.explain.stamp import Clock, Moment
from culvert.ike.vendor import recognise

LINES_OF_RECORD = 48
"""Lines that one record may have; the longest seen (a decoded IKE header) has twelve."""

BEGINNING = 40
"""Signs of a line in which a program that tells times has told it."""
SHORT = 12
"""Records of a log that may be an excerpt: of these one line that is understood is enough."""

FRAMED = 2
"""Records in the frame of a family that show a VPN log, however much else it holds."""

SHARE = 8
"""Without frames one record in so many has to be understood."""

UNKNOWN_KEPT = 20
HEX_SPI = 8
FRAME_WEIGHT = 0.5
"""A line that merely looks like a family tells less than one that is understood."""

UNDERSTOOD = 2.0


@dataclass(slots=True)
class Tally:
    """What was read: for the verdict on the family, and so that nothing is lost silently."""

    lines: int = 0
    unknown: int = 0
    understood: int = 0
    """Records of a family that a row of it reads, if only as of no consequence."""
    records: int = 0
    bare: int = 0
    """Records without any frame that a row reads, and that say more than that they are known."""
    distinct: int = 0
    """Records whose frame nothing but their family prints."""
    kept: list[Evidence] = field(default_factory=list[Evidence])
    families: defaultdict[str, float] = field(
        default_factory=lambda: defaultdict[str, float](float)
    )

    def missed(self, record: _Record) -> None:
        self.unknown += len(record.texts)
        if len(self.kept) < UNKNOWN_KEPT:
            self.kept.append(Evidence(record.line, quoted(record.raw)))

    @property
    def is_vpn(self) -> bool:
        """A few words that also a VPN log may hold make no VPN log of a text."""
        return (
            self.distinct > 0
            or self.understood >= FRAMED
            or (self.records <= SHORT and self.bare + self.understood > 0)
            or (self.understood + self.bare) * SHARE >= self.records > 0
        )

    @property
    def family(self) -> str:
        best = max(self.families, key=self.families.__getitem__, default="")
        return best if best and self.families[best] > 0 else "unknown"


@dataclass(slots=True)
class _Record:
    """Lines that belong together. ``raw`` is what is quoted, ``texts`` what is understood."""

    family: Family | None
    line: int
    texts: list[str]
    raw: list[str]
    bare: Bare
    frame: Mapping[str, str]


class Reader:
    """Reads line after line; holds one record, never the file."""

    def __init__(self, family: str = "") -> None:
        self.tally = Tally()
        self._forced = families()[family] if family else None
        self._current: Family | None = self._forced
        self._open: _Record | None = None
        self._clock = Clock()
        self._tells_time = False
        self._made: list[Fact] = []

    def facts(self, lines: Iterable[str]) -> Iterator[Fact]:
        made = self._made
        for line in lines:
            self._line(line)
            if made:
                yield from made
                made.clear()
        self._close()
        yield from made

    def _line(self, line: str) -> None:
        self.tally.lines += 1
        raw = plain(line)
        current = self._current or _splitting(raw)
        splits = current.splits if current is not None else None
        if splits is None:
            self._piece(raw)
            return
        for piece in splits.split(raw):
            self._piece(piece)

    def _piece(self, raw: str) -> None:
        """A line, or what one record has of a line that holds several."""
        if not raw or raw.isspace():
            if self._open is not None and self._has_text(self._open):
                self._close()
            return
        bare = unwrapped(raw)
        text = bare.text
        if bare.printed and not text.strip():
            self._piece("")
            return
        if (
            self._current is not None
            and (shown := self._current.head.quotes)
            and (text.startswith(shown))
        ):
            return
        family, frame = self._framed(text, bare.process)
        if self._continues(bare) if family is None else self._waits(family, frame):
            self._join(text, raw)
            return
        if self._open is not None:
            self._close()
        if family is not None and family.head.weight >= 1:
            self._current = family
        groups = _groups(frame) if frame else {}
        self._open = _Record(family, self.tally.lines, [text], [raw], bare, groups)
        if family is None or not family.head.joins:
            self._close()

    def _has_text(self, record: _Record) -> bool:
        """Is there more than the head of a record? A time stamp alone waits for its text."""
        if len(record.texts) > 1 or record.family is None:
            return True
        found = record.family.framed(record.texts[0])
        return found is None or bool(record.texts[0][found.end() :].strip())

    def _continues(self, bare: Bare) -> bool:
        record = self._open
        return (
            record is not None
            and record.family is not None
            and record.family.head.joins
            and (bare.printed or not bare.stamp)
            and len(record.texts) < LINES_OF_RECORD
        )

    def _waits(self, family: Family, frame: re.Match[str] | None) -> bool:
        """Does the open record stand without text yet, and is this its text?"""
        record = self._open
        return (
            record is not None
            and record.family is family
            and frame is not None
            and frame.re in family.bodies
            and not self._has_text(record)
        )

    def _join(self, text: str, raw: str) -> None:
        if self._open is not None:
            self._open.texts.append(text)
            self._open.raw.append(raw)

    def _framed(self, text: str, process: str) -> tuple[Family | None, re.Match[str] | None]:
        """The family whose record begins here: by the program that wrote it, else by its look."""
        if self._forced is not None:
            return self._forced_frame(text, process)
        if process and (named := by_process().get(process)):
            return _of_process(named, text)
        if self._current is not None and (found := self._current.framed(text)):
            return self._current, found
        if not _may_begin(text):
            return None, None
        for family in families().values():
            if found := family.framed(text):
                return family, found
        return None, None

    def _forced_frame(self, text: str, process: str) -> tuple[Family | None, re.Match[str] | None]:
        forced = self._forced
        if forced is None:
            return None, None
        found = forced.framed(text)
        own = bool(process) and process in forced.head.processes
        return (forced, found) if found or own or not forced.frames else (None, None)

    def _close(self) -> None:
        record, self._open = self._open, None
        if record is None:
            return
        text = record.texts[0] if len(record.texts) == 1 else " ".join(record.texts)
        hits = self._hits(record, text)
        self.tally.records += 1
        self.tally.bare += record.family is None and any(_telling(hit[0]) for hit in hits)
        name = record.family.name if record.family else ""
        if name:
            self.tally.families[name] += FRAME_WEIGHT * _weight(name)
            head = families()[name].head
            self.tally.distinct += head.distinct or record.bare.process in head.processes
        if not hits:
            self.tally.missed(record)
            return
        self._said(record, hits)

    def _hits(self, record: _Record, text: str) -> list[Hit]:
        if record.family is not None:
            return index_of(record.family.name).hits(text)
        if self._forced is not None:
            return index_of(self._forced.name).hits(text)
        if _of_another(record.bare):
            return []
        current = self._current
        if current is not None and (own := index_of(current.name).hits(text)):
            return own
        return _of_one_family(bare_index().hits(text))

    def _moment(self, record: _Record) -> Moment | None:
        """A program in a container is asked before the container, if it tells times at all."""
        bare = record.bare
        if not bare.printed:
            return self._clock.read(bare.stamp or record.raw[0])
        if found := self._clock.read(record.texts[0][:BEGINNING]):
            self._tells_time = True
            return found
        return None if self._tells_time else self._clock.read(bare.stamp)

    def _said(self, record: _Record, hits: list[Hit]) -> None:
        raw = tuple(record.raw)
        if record.family is not None and record.family.head.weight >= 1:
            self.tally.understood += 1
        at: Moment | None = None
        read = False
        for reading, found in hits:
            family = reading.family
            self.tally.families[family] += UNDERSTOOD * _weight(family)
            if self._current is None and _weight(family) >= 1:
                self._current = families()[family]
            if reading.silent:
                continue
            if not read:
                at, read = self._moment(record), True
            self._made.append(_fact(reading, found, record, raw, at))


def _fact(
    reading: Reading,
    found: re.Match[str],
    record: _Record,
    raw: tuple[str, ...],
    at: Moment | None,
) -> Fact:
    row = reading.row
    values: dict[str, Value] = dict(record.frame)
    if found.re.groups:
        for name, value in found.groupdict().items():
            if value:
                values[name] = value.strip(" '\",;.")
    values.update(row.set)
    if (swapped := str(values.get("spi_swapped", ""))) and len(swapped) >= HEX_SPI:
        values["spi"] = _swapped(swapped)
    if row.sign:
        values["of"] = row.sign
    if octets := str(values.get("hex", "")):
        values["product"] = _vendor(octets)
    keys = tuple((name, str(values[name])) for name in reading.keys if values.get(name))
    return Fact(
        row.fact or SIGN,
        reading.family,
        record.line,
        raw,
        at,
        values,
        reading.says,
        row.strength if row.sign else 0,
        keys,
    )


def _swapped(spi: str) -> str:
    """An SPI that was printed in the byte order of the machine, in network order (S4-54)."""
    return f"0x{bytes.fromhex(spi[-HEX_SPI:])[::-1].hex().upper()}"


@cache
def _vendor(octets: str) -> str:
    """Whose vendor id it is; an unknown one stays what it is."""
    try:
        known = recognise(bytes.fromhex(octets.replace(":", "").removeprefix("0x")))
    except ValueError:
        return octets
    return known.name if known is not None else octets


def _groups(frame: re.Match[str]) -> dict[str, str]:
    """What the head of a record tells; ``peer2`` is a second place for ``peer``."""
    return {name: value for group, name in _named(frame.re) if (value := frame[group])}


@cache
def _named(frame: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
    return tuple((group, group.rstrip("0123456789")) for group in frame.groupindex)


def _telling(reading: Reading) -> bool:
    return bool(reading.row.sign) or reading.row.fact not in SILENT


def _of_another(bare: Bare) -> bool:
    """Did a program write it that has nothing to do with VPNs? Then it says what it says."""
    if bare.host and bare.process and bare.process not in by_process():
        return is_foreign(bare.process)
    return FOREIGN.match(bare.text) is not None


def _of_one_family(hits: list[Hit]) -> list[Hit]:
    """A line without frame may fit rows of several families: those of the first are heard.

    The family with the most rows that fit; of equals the one that is asked first.
    """
    if len(hits) < 2:
        return hits
    count = Counter(reading.family for reading, _ in hits)
    order = list(families())
    best = max(count, key=lambda name: (count[name], _weight(name), -order.index(name)))
    return [hit for hit in hits if hit[0].family == best]


def _splitting(text: str) -> Family | None:
    """The family of a first line that may hold several records."""
    for family in families().values():
        if family.splits is not None and family.framed(text):
            return family
    return None


@cache
def by_process() -> Mapping[str, tuple[Family, ...]]:
    """The families whose program has this name in syslog."""
    found: dict[str, tuple[Family, ...]] = {}
    for family in families().values():
        for process in family.head.processes:
            found[process] = (*found.get(process, ()), family)
    return found


def _of_process(named: tuple[Family, ...], text: str) -> tuple[Family, re.Match[str] | None]:
    """Several families may share a program's name: the first whose lines look like this one."""
    for family in named:
        if found := family.framed(text):
            return family, found
    return named[-1], None


@cache
def probe() -> re.Pattern[str]:
    """Does a line begin a record of any family? Asked before each of them is."""
    frames = [
        re.sub(r"\(\?P<\w+>", "(?:", frame)
        for family in families().values()
        if not family.head.needs
        for frame in (*family.head.frames, *family.head.bodies)
    ]
    return re.compile("|".join(f"(?:{frame})" for frame in frames) or r"(?!)")


@cache
def _needs() -> tuple[str, ...]:
    return tuple(word for family in families().values() for word in family.head.needs)


def _may_begin(text: str) -> bool:
    """Could a record of any family begin here?"""
    return any(word in text for word in _needs()) or probe().match(text) is not None


@cache
def _weight(name: str) -> float:
    return families()[name].head.weight
