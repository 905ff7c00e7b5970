"""What happened lately, in bounded memory: all entries, and the story of each connection.

A connection's story keeps its beginning as well as its end, so that ten hours of rekeying do not
push out how it came up. What falls out in between is counted.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from culvert.eventlog.entry import Entry
from culvert.eventlog.sentence import story_wording

LATEST = 2000
"""Entries kept whatever they are about: enough for the last minutes of a busy gateway (2 MB)."""

FIRST_OF_STORY = 96
LAST_OF_STORY = 48
"""A connection comes up in about 40 entries; one whose proposals are refused compares up to 64."""

STORIES = 2048
"""Sessions and connections whose story is kept: some 20 kB each at first, 70 kB after many rekeys,
so that a thousand sessions never take more than 70 MB."""

STRANGERS = 256
"""Negotiations that never became a session. Apart, so that a flood pushes out only its like."""

LEAST_TOLD = 7
"""Entries below this severity belong to a story only if they have a sentence in it."""


@dataclass(frozen=True, slots=True)
class Recent:
    """Entries in order; ``left_out`` fell out after the ``gap_after`` first ones."""

    entries: tuple[Entry, ...] = ()
    left_out: int = 0
    gap_after: int = 0


class Story:
    """The beginning and the end of what happened to one connection."""

    __slots__ = ("_first", "_last", "_left_out")

    def __init__(self) -> None:
        self._first: list[Entry] = []
        self._last: deque[Entry] = deque(maxlen=LAST_OF_STORY)
        self._left_out = 0

    def add(self, entry: Entry) -> None:
        if len(self._first) < FIRST_OF_STORY:
            self._first.append(entry)
            return
        if len(self._last) == LAST_OF_STORY:
            self._left_out += 1
        self._last.append(entry)

    def recent(self) -> Recent:
        return Recent((*self._first, *self._last), self._left_out, len(self._first))


class Rings:
    """Entries by number, and stories by key: a connection's name, a session's number, cookies."""

    def __init__(
        self, latest: int = LATEST, stories: int = STORIES, strangers: int = STRANGERS
    ) -> None:
        self._latest: deque[Entry] = deque(maxlen=latest)
        self._recorded = 0
        self._known: OrderedDict[str, Story] = OrderedDict()
        self._strange: OrderedDict[str, Story] = OrderedDict()
        self._stories = stories
        self._strangers = strangers
        self.forgotten_stories = 0
        self._moved = ""

    def add(self, entry: Entry) -> None:
        self._latest.append(entry)
        self._recorded += 1
        if entry.row.severity <= LEAST_TOLD or story_wording(entry):
            self._tell(entry)

    def clear(self) -> int:
        """Forget the newest entries; how many those were. Stories are kept: they are what explains
        a connection that still lives."""
        gone = len(self._latest)
        self._latest.clear()
        self._recorded = 0
        return gone

    def latest(self) -> Recent:
        """The newest entries of all; what fell out stood before them."""
        return Recent(tuple(self._latest), self._recorded - len(self._latest))

    def story(self, key: str) -> Recent:
        """What is kept of one connection, session or pair of cookies; empty if nothing is."""
        found = self._known.get(key) or self._strange.get(key)
        return found.recent() if found else Recent()

    def keys(self) -> tuple[str, ...]:
        """Whose stories are kept, strangers first, but the one that moved last at the end."""
        kept = (*self._strange, *self._known)
        if self._moved not in kept:
            return kept
        return (*(key for key in kept if key != self._moved), self._moved)

    def _tell(self, entry: Entry) -> None:
        cookies = str(entry.field("cookies"))
        known = key_of(entry)
        if not known:
            if cookies:
                self._into(self._strange, cookies, entry, self._strangers)
            return
        if known not in self._known and cookies in self._strange:
            self._known[known] = self._strange.pop(cookies)
        if entry.code == "client.connecting":
            self._known.pop(known, None)
        self._into(self._known, known, entry, self._stories)

    def _into(self, kept: OrderedDict[str, Story], key: str, entry: Entry, limit: int) -> None:
        story = kept.get(key)
        if story is None:
            story = kept[key] = Story()
        else:
            kept.move_to_end(key)
        story.add(entry)
        self._moved = key
        if len(kept) > limit:
            kept.popitem(last=False)
            self.forgotten_stories += 1


def key_of(entry: Entry) -> str:
    """The connection's name or ``#`` and the session's number; empty before there is either."""
    if name := entry.field("connection"):
        return str(name)
    session = entry.field("session")
    return f"#{session}" if session else ""
