"""Sending again what was not answered, and answering again what was: for all exchanges.

A side that waits for an answer repeats its message after 1, 1.8, 3.2 … s (at most 10 s apart, 3 s
in phase 2 and renewals) until its patience is over. A side that answered keeps the
answer for byte-identical repeats, and gives it at most once every `REPEAT_AFTER` seconds
(VU#419128: repeats must not be worth an attack).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

FIRST_WAIT = 1.0
BACKOFF = 1.8
LONGEST_WAIT = 10.0
PHASE2_WAIT = 3.0
"""The same in phase 2, for both ends have proved themselves: a line that loses a third of all
packets each way swallows five tries in a row once in thirty times, and what stands must not end for
that."""
REPEAT_AFTER = 0.4
REMEMBERED = 16  # answers kept per IKE SA; exchanges run a handful at a time
REFUSED = 256  # refused first messages kept by an end, against being made to refuse at full rate


@dataclass(slots=True)
class Repeat:
    """One unanswered message. ``octets`` go out again until ``gives_up``."""

    octets: bytes
    gives_up: float
    began: float
    wait: float = FIRST_WAIT
    attempts: int = 1
    longest: float = LONGEST_WAIT

    def next(self, now: float) -> float | None:
        """Count an attempt; when the next one is due, or None when patience is over."""
        if now >= self.gives_up:
            return None
        self.attempts += 1
        self.wait = min(self.wait * BACKOFF, self.longest)
        return min(now + self.wait, self.gives_up)


@dataclass(slots=True)
class Kept:
    octets: bytes | None
    given: float


class Answers:
    """What was answered to which datagram, newest last; ``most`` are kept."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()

    def keep(self, request: bytes, answer: bytes | None, *, now: float) -> None:
        """``answer`` None: the request was handled, and a repeat of it is not to be handled."""
        mark = _mark(request)
        self._kept[mark] = Kept(answer, now)
        self._kept.move_to_end(mark)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def amend(self, request: bytes, answer: bytes) -> None:
        """The answer to a request that was kept without one."""
        if kept := self._kept.get(_mark(request)):
            kept.octets = answer

    def known(self, request: bytes) -> bool:
        return _mark(request) in self._kept

    def again(self, request: bytes, *, now: float) -> bytes | None:
        """The answer to a repeat, unless it has none or was given a moment ago."""
        kept = self._kept.get(_mark(request))
        if kept is None or kept.octets is None or now < kept.given + REPEAT_AFTER:
            return None
        kept.given = now
        return kept.octets


def _mark(request: bytes) -> bytes:
    return blake2b(request, digest_size=16).digest()
