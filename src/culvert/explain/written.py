"""Our own event log read back: JSON lines, our text, and the words of older products.

A rendering in another product's words is known as ours by the records that have our own event code
in them: whatever that product has no words for. Its own records say nothing of the connection they
belong to; they go to the one told of next to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import Field, LogEvent
from culvert.eventlog.render import cisco_client, json_lines, lancom, vpn3000
from culvert.eventlog.render.foreign import Record, records
from culvert.eventlog.vocabulary import vocabulary
from culvert.explain.carrier import plain, uncontained, unwrapped
from culvert.explain.grammar.template import Template

JSON_LINE = re.compile(r'\{"schema":\d{1,3},"number":\d{1,12},"at":"')
CODE = r"(?P<code>[a-z0-9]{2,16}\.[a-z0-9-]{2,40})(?: \[(?P<key>[^\]]{1,100})\])? (?P<text>.*)"
OURS = re.compile(CODE)
TEXT_LINE = re.compile(
    rf"(?:(?P<at>\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{{3}}Z) )?(?P<word>[a-z]{{4,10}}) {CODE}"
)
CLOCK = r"(?P<time>\d\d:\d\d:\d\d[.,]\d{3})"
HEADS = {
    cisco_client.STYLE: re.compile(
        rf"\d{{1,9}}\s+{CLOCK}\s+(?P<date>\d\d/\d\d/\d\d)\s+Sev=\w{{4,8}}/\d\s+"
        r"(?P<id>[A-Z]{2,8}/0x[0-9A-F]{8})$"
    ),
    vpn3000.STYLE: re.compile(
        rf"\d{{1,9}} (?P<date>\d\d/\d\d/\d{{4}}) {CLOCK} SEV=\d{{1,2}} "
        r"(?P<id>[A-Z]{2,10}/\d{1,4}) RPT=\d{1,9}(?: (?P<peer>[0-9a-fA-F.:]{2,45}))?$"
    ),
    lancom.STYLE: re.compile(
        rf"(?:\[VPN-Status\] )?(?P<date>\d{{4}}/\d\d/\d\d) {CLOCK} "
        r"(?P<text>(?:VPN:|VpnIpm: info;) .*)$"
    ),
}
DATES = {cisco_client.STYLE: "%m/%d/%y", vpn3000.STYLE: "%m/%d/%Y", lancom.STYLE: "%Y/%m/%d"}
SPEAKER = re.compile(r"(?:VPN:|VpnIpm: info;) ")
WHO = re.compile(r"Group \[(?P<group>[^\]]{0,100})\](?: User \[(?P<user>[^\]]{0,100})\])?$")
NO_TIME = "1970-01-01T00:00:00.000+00:00"
LONGEST_RECORD = 16
"""Lines of one record; ours have at most seven."""
WAITING = 200
"""Records that wait for one that says whom they concern."""
NAMELESS = "client"
"""The connection of a log that names none."""
RAW = "_raw"
"""Where an entry keeps the lines it was read from, if they are not how it is shown."""
AGAIN = "_again"
"""A name that stands twice in a wording has its value twice; one is enough."""
STYLE = re.compile(r"\{([a-z_0-9]+)(?::[a-z]+)?\}")


@dataclass(slots=True)
class Written:
    """Reads lines to entries. An entry's number is that of its line."""

    lines: int = 0
    unknown: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    missed: int = 0
    _open: _Head | None = None
    _waiting: list[Entry] = field(default_factory=list[Entry])
    _key: Mapping[str, Field] = field(default_factory=dict[str, Field])
    _by_peer: dict[str, Mapping[str, Field]] = field(default_factory=dict[str, Mapping[str, Field]])

    def entries(self, lines: Iterable[str]) -> Iterator[Entry]:
        for number, line in enumerate(lines, start=1):
            self.lines = number
            yield from self._line(number, line)
        yield from self._close()
        for entry in self._waiting:
            yield _told_of(entry, self._key or {"connection": NAMELESS})
        self._waiting = []

    def _line(self, number: int, line: str) -> Iterator[Entry]:
        line = uncontained(line.rstrip("\r\n"))
        if not line.strip():
            yield from self._close()
            return
        entry = read(line, number)
        if entry is not None:
            yield from self._close()
            yield from self._placed(entry, "")
            return
        bare = plain(line)
        head = _head(bare, number) or _head(unwrapped(bare).text, number)
        if head is not None:
            yield from self._close()
            self._open = head
        elif self._open is not None and _goes_on(self._open, line):
            self._open.texts.append(bare.strip())
            self._open.raw.append(bare)
        else:
            self._miss(number, bare)

    def _miss(self, number: int, line: str) -> None:
        self.missed += 1
        self.unknown.append((number, line))
        del self.unknown[20:]

    def _note(self, peer: str, key: Mapping[str, Field]) -> None:
        """Whom a peer's records concern from now on; a negotiation has become a session."""
        if peer:
            self._by_peer[peer] = key
            if len(self._by_peer) > WAITING:
                del self._by_peer[next(iter(self._by_peer))]
        elif cookies := key.get("cookies"):
            same = [one for one, of in self._by_peer.items() if of.get("cookies") == cookies]
            self._by_peer |= dict.fromkeys(same, key)

    def _close(self) -> Iterator[Entry]:
        head, self._open = self._open, None
        if head is None:
            return
        understood, event = _event(head)
        if not understood:
            self._miss(head.number, " ".join(head.raw))
        if event is not None:
            entry = Entry(head.number, head.at, head.at.timestamp(), event)
            yield from self._placed(entry, head.peer)

    def _placed(self, entry: Entry, peer: str) -> Iterator[Entry]:
        """The entry with whom it concerns; those before it that wait for it go first."""
        key = {
            name: value
            for name in ("connection", "session", "cookies")
            if (value := entry.event.fields.get(name))
        }
        if RAW not in entry.event.fields:
            yield entry
            return
        if entry.side == "gateway" and entry.row.event_class == "SYSTEM":
            # It concerns all of them; of a gateway that starts again nobody is known yet.
            yield from (_told_of(before, self._key) for before in self._waiting if self._key)
            self._waiting, self._key, self._by_peer = [], {}, {}
            yield entry
            return
        if not key:
            known = self._by_peer.get(peer) if peer else None
            begins = entry.code == "client.connecting"
            if begins or (not known and not self._key) or self._waiting:
                if begins:
                    self._key = {}
                self._waiting.append(entry)
                if len(self._waiting) > WAITING:
                    yield _told_of(self._waiting.pop(0), {"connection": NAMELESS})
                return
            yield _told_of(entry, known or self._key)
            return
        self._key = key
        self._note(peer, key)
        for before in self._waiting:
            yield _told_of(before, key)
        self._waiting = []
        yield entry


@dataclass(slots=True)
class _Head:
    style: str
    id: str
    number: int
    at: datetime
    peer: str
    texts: list[str]
    raw: list[str]


def is_own(lines: Sequence[str]) -> bool:
    """Do these first lines of a log say that we wrote it?"""
    framed = False
    for line in lines:
        if read(line, 1) is not None:
            return True
        bare = unwrapped(plain(line)).text
        head = _head(bare, 1)
        body = head.texts[0] if head and head.texts else bare
        found = OURS.match(SPEAKER.sub("", body))
        framed = framed or head is not None
        if framed and found is not None and found["code"] in vocabulary():
            return True
    return False


def read(line: str, number: int) -> Entry | None:
    """The entry of a line in JSON or in our own words."""
    line = uncontained(line)
    text = unwrapped(plain(line)).text if not line.startswith("{") else line
    if JSON_LINE.match(text):
        try:
            return replace(json_lines.parse(text), number=number)
        except ConfigError:
            return None
    found = TEXT_LINE.match(plain(line)) or TEXT_LINE.match(text)
    if found is None or found["code"] not in vocabulary():
        return None
    at = datetime.fromisoformat(found["at"] or NO_TIME)
    return Entry(number, at, at.timestamp(), _ours(found))


def _ours(found: re.Match[str], **more: Field) -> LogEvent:
    shown = _fields(found["code"], found["text"])
    return LogEvent(found["code"], {**more, **shown, **_key(found["key"] or "")})


def _key(shown: str) -> Mapping[str, Field]:
    whom, mark, cookie = shown.rpartition("~")
    made: dict[str, Field] = {"cookies": cookie} if mark else {}
    whom = whom.strip() if mark else shown
    if whom.startswith("#") and whom[1:].isdigit():
        made["session"] = int(whom[1:])
    elif whom:
        made["connection"] = whom
    return made


def _head(text: str, number: int) -> _Head | None:
    for style, form in HEADS.items():
        if found := form.match(text):
            groups = found.groupdict()
            clock = groups["time"].replace(",", ".")
            try:
                at = datetime.strptime(
                    f"{groups['date']} {clock}", f"{DATES[style]} %H:%M:%S.%f"
                ).replace(tzinfo=UTC)
            except ValueError:
                return None
            texts = [groups["text"]] if "text" in groups else []
            peer = groups.get("peer") or ""
            return _Head(style, groups.get("id") or "", number, at, peer, texts, [text])
    return None


def _goes_on(head: _Head, line: str) -> bool:
    """Whether the line belongs to the record that is open."""
    if len(head.texts) >= LONGEST_RECORD:
        return False
    return head.style != lancom.STYLE or line[:1].isspace()


def _event(head: _Head) -> tuple[bool, LogEvent | None]:
    """Is the record one of ours, and the event it stands for, if it stands for one."""
    more: dict[str, Field] = {RAW: " ".join(head.raw)}
    texts = head.texts
    if head.peer:
        more["peer"] = head.peer
    if texts and (who := WHO.match(texts[0])):
        more |= {name: value for name, value in who.groupdict().items() if value}
        texts = texts[1:]
    body = " ".join(texts)
    found = OURS.match(SPEAKER.sub("", body, count=1))
    if found is not None and found["code"] in vocabulary():
        return True, _ours(found, **more)
    for row, template in _templates(head.style):
        if (not head.id or row.id == head.id) and (told := template.pattern.match(body)):
            if not row.stands:
                return True, None
            shown = {name: _typed(value) for name, value in told.groupdict().items() if value}
            when = {name: value for name, value in row.when.items() if name != "side"}
            return True, LogEvent(row.code, {**more, **_wired(shown), **when})
    return False, None


def _wired(shown: Mapping[str, Field]) -> dict[str, Field]:
    """The fields of the event from those that a wording made up of them."""
    made = dict(shown)
    for name in ("peer_host", "peer_last"):
        if name in made:
            made["peer"] = made.pop(name)
    for name in ("spi_in", "spi_out"):
        if f"{name}_bare" in made:
            made[name] = f"0x{made.pop(f'{name}_bare')}".lower()
    if "mode_upper" in made:
        made["mode"] = str(made.pop("mode_upper")).lower()
    if "suite_cipher" in made:
        made["suite"] = f"{made.pop('suite_cipher')}-{made.pop('suite_hash', '')}"
    return made


def _told_of(entry: Entry, key: Mapping[str, Field]) -> Entry:
    return replace(entry, event=entry.event.with_fields(**key))


@cache
def _templates(style: str) -> tuple[tuple[Record, Template], ...]:
    every = [row for found in records(style).values() for row in found]
    return tuple((row, _template(" ".join(line.strip() for line in row.lines))) for row in every)


def _fields(code: str, text: str) -> Mapping[str, Field]:
    """The fields that a line of text still shows."""
    found = _template(vocabulary()[code].text).pattern.match(text)
    if found is None:
        return {}
    shown = found.groupdict().items()
    return {name: _typed(value) for name, value in shown if value and not name.endswith(AGAIN)}


def _typed(value: str) -> Field:
    if value.isdigit():
        return int(value)
    return {"yes": True, "no": False}.get(value, value)


@cache
def _template(wording: str) -> Template:
    seen: set[str] = set()

    def placeholder(found: re.Match[str]) -> str:
        again = AGAIN if found[1] in seen else ""
        seen.add(found[1])
        return f"{{{found[1]}{again}:text}}"

    return Template(STYLE.sub(placeholder, wording))
