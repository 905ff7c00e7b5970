"""Revocation: asks about certificates where they say, keeps the answers as long as they hold.

Only about certificates that already lead to a trusted authority: a stranger cannot make us fetch.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from culvert.errors import CulvertError
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.revocation import (
    Source,
    Standing,
    Status,
    decide,
    decide_list,
    sources,
)

MOST_OCTETS = 16_777_216
"""Of all answers kept; the largest list that is fetched at all has a third of that."""

MOST_ANSWERS = 1024
"""Answers kept: an OCSP answer has one or two KB."""

LONGEST = timedelta(days=1)
"""An answer is asked for again after this, however long it says it holds."""

PAUSE = timedelta(minutes=1)
"""How long nobody asks again where nothing of use came from."""

Fetch = Callable[[Source], bytes]
"""Fetches what a source has. Raises CulvertError with a plain sentence."""


@dataclass(frozen=True, slots=True)
class _Kept:
    octets: bytes
    until: datetime
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What is known, and what places that were asked just now had to say."""

    status: Status
    asked: tuple[tuple[str, Status], ...] = ()


class Revocation:
    """Knows or finds out. Safe to be called from several threads."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._lock = threading.Lock()
        self._kept: OrderedDict[Source, _Kept] = OrderedDict()
        self._octets = 0

    def standing(
        self,
        one: Certificate,
        issuer: Certificate,
        *,
        at: datetime,
        lists: Sequence[bytes] = (),
    ) -> Found:
        """The first answer that knows something about ``one``; what is at hand comes first."""
        for octets in lists:
            status = decide_list(octets, one, issuer, at=at)
            if status.standing is not Standing.UNKNOWN:
                return Found(status)
        asked: list[tuple[str, Status]] = []
        problems: list[str] = []
        for source in sources(one, issuer):
            known = self._known(source, one, issuer, at)
            status = known or self._ask(source, one, issuer, at)
            if known is None:
                asked.append((source.url, status))
            if status.standing is not Standing.UNKNOWN:
                return Found(status, tuple(asked))
            problems.append(f"{source.url}: {status.why}")
        why = "; ".join(problems) or "it names no place where to ask"
        return Found(Status(Standing.UNKNOWN, why=why), tuple(asked))

    def _known(
        self, source: Source, one: Certificate, issuer: Certificate, at: datetime
    ) -> Status | None:
        """What was fetched before says; None if it says nothing about ``one``."""
        kept = self._at_hand(source, at)
        if kept is None:
            return None
        if kept.problem:
            return Status(Standing.UNKNOWN, why=kept.problem)
        status = decide(source, kept.octets, one, issuer, at=at)
        return None if status.standing is Standing.UNKNOWN else status

    def _ask(self, source: Source, one: Certificate, issuer: Certificate, at: datetime) -> Status:
        try:
            octets = self._fetch(source)
            status = decide(source, octets, one, issuer, at=at)
        except CulvertError as error:
            octets, status = b"", Status(Standing.UNKNOWN, why=str(error))
        if status.standing is Standing.UNKNOWN:
            self._keep(source, _Kept(b"", at + PAUSE, status.why))
        else:
            until = min(status.until or at + PAUSE, at + LONGEST)
            self._keep(source, _Kept(octets, until))
        return status

    def _at_hand(self, source: Source, at: datetime) -> _Kept | None:
        with self._lock:
            kept = self._kept.get(source)
            if kept is None:
                return None
            if at >= kept.until:
                self._drop(source)
                return None
            self._kept.move_to_end(source)
            return kept

    def _keep(self, source: Source, kept: _Kept) -> None:
        with self._lock:
            self._drop(source)
            self._kept[source] = kept
            self._octets += len(kept.octets)
            while len(self._kept) > MOST_ANSWERS or self._octets > MOST_OCTETS:
                self._drop(next(iter(self._kept)))

    def _drop(self, source: Source) -> None:
        gone = self._kept.pop(source, None)
        if gone is not None:
            self._octets -= len(gone.octets)
