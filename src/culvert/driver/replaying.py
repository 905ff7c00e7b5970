"""Running a recorded core again, input by input, and saying the first difference in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from culvert.driver.coordinator import Coordinator
from culvert.driver.message import OCTETS
from culvert.driver.record import Derived, Entry, Fed, Given, Told, shown
from culvert.effects import Effect

LONGEST_SHOWN = 160
"""Characters of a value that a difference quotes."""


@dataclass(frozen=True, slots=True)
class Difference:
    """``step``: the input after which it showed, counted from 1."""

    step: int
    at: float
    given: str
    sentence: str

    @property
    def text(self) -> str:
        return f"Input {self.step}, {self.given}, at second {self.at:.3f}: {self.sentence}"


def put(core: Coordinator, given: Given, commands: Iterable[str]) -> Sequence[Effect]:
    """Give the core one input. Raises ValueError for one that it does not know."""
    if given.name == "receive" and given.path is not None:
        return core.receive(given.octets, given.path, now=given.at)
    if given.name == "step" and given.answer is not None:
        return core.step(given.answer, now=given.at)
    if given.name == "tick" or given.name in commands:
        words = (given.word,) if given.word else ()
        made: Sequence[Effect] = getattr(core, given.name)(*words, now=given.at)
        return made
    raise ValueError(f"an input that is not known: {given.name!r}")


def run(
    core: Coordinator,
    fed: Fed,
    given: Given,
    draws: Iterable[bytes],
    derived: Iterable[Derived],
    commands: Iterable[str],
    told: Iterable[Told] = (),
) -> Entry:
    """The entry that this core makes of the input with this chance."""
    chance, keys, answers = tuple(draws), tuple(derived), tuple(told)
    fed.feed(chance, keys, answers)
    out: tuple[object, ...] = ()
    raised = ""
    try:
        out = tuple([shown(one) for one in put(core, given, commands)])
    except Exception as error:  # a defect that is to be reproduced is one of the outputs
        raised = type(error).__name__
    return Entry(given, chance, keys, out, core.deadline, raised, answers)


def replay(
    core: Coordinator,
    fed: Fed,
    entries: Iterable[Entry],
    commands: Iterable[str],
    seen: Callable[[Entry], None],
) -> tuple[int, Difference | None]:
    """How many inputs were the same, and the first difference. ``seen`` hears each as it is now."""
    count = 0
    for entry in entries:
        again = run(core, fed, entry.given, entry.draws, entry.derived, commands, entry.told)
        seen(again)
        if said := difference(entry, again, fed):
            given = entry.given
            return count, Difference(count + 1, given.at, named(given), said)
        count += 1
    return count, None


def named(given: Given) -> str:
    """The input in a few words."""
    if given.path is not None:
        host, port = given.path.remote
        return f"a datagram of {len(given.octets)} octets from {host} port {port}"
    if given.answer is not None:
        return f"an answer ({type(given.answer).__name__})"
    command = f"the command {given.name} {given.word}".rstrip()
    return {"tick": "the clock"}.get(given.name, command)


def difference(recorded: Entry, now: Entry, fed: Fed) -> str:
    """The first difference as a sentence; empty if there is none."""
    if fed.problem:
        return f"the code {fed.problem}."
    if recorded.raised != now.raised:
        before, after = recorded.raised or "nothing", now.raised or "nothing"
        return f"the record has {before} raised, the code raises {after}."
    for number, (was, became) in enumerate(zip(recorded.out, now.out, strict=False), start=1):
        if was != became:
            return f"output {number} differs: {_of_two(was, became)}."
    if len(recorded.out) != len(now.out):
        more = (recorded.out if len(recorded.out) > len(now.out) else now.out)[
            min(len(recorded.out), len(now.out))
        ]
        who = "the record" if len(recorded.out) > len(now.out) else "the code"
        return (
            f"the record has {len(recorded.out)} outputs, the code makes {len(now.out)}; "
            f"{who} goes on with {_quoted(more)}."
        )
    if fed.left:
        return "the code draws less chance, derives fewer keys or asks less, than the record has."
    if recorded.deadline != now.deadline:
        return (
            f"the outputs are the same, but the next timer is due at second {now.deadline}, in the "
            f"record at {recorded.deadline}."
        )
    return ""


def _of_two(before: object, after: object) -> str:
    one, two = _object(before), _object(after)
    if one is None or two is None or one.get("~") != two.get("~"):
        return f"the record has {_quoted(before)}, the code makes {_quoted(after)}"
    kind = str(one.get("~", ""))
    for key in sorted({*one, *two}):
        if one.get(key) != two.get(key):
            where = f"{key} of {kind}" if kind else key
            inner = (one.get(key), two.get(key))
            if _nested(inner[0]) and _nested(inner[1]):
                return f"in {where}, {_of_two(*inner)}"
            left, right = _octets(inner[0]), _octets(inner[1])
            if left is not None and right is not None:
                return f"{where}: {_octet_difference(left, right)}"
            return f"{where} is {_quoted(inner[0])} in the record, {_quoted(inner[1])} now"
    return "their contents differ"


def _object(found: object) -> dict[str, object] | None:
    return cast("dict[str, object]", found) if isinstance(found, dict) else None


def _nested(found: object) -> bool:
    return isinstance(found, dict) and OCTETS not in found


def _octets(found: object) -> bytes | None:
    if not isinstance(found, dict):
        return None
    text = cast("Mapping[str, object]", found).get(OCTETS)
    try:
        return bytes.fromhex(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _octet_difference(before: bytes, after: bytes) -> str:
    same = next(
        (i for i, (x, y) in enumerate(zip(before, after, strict=False)) if x != y),
        min(len(before), len(after)),
    )
    return (
        f"{len(before)} octets in the record, {len(after)} now, the first other one at {same} "
        f"({before[same : same + 8].hex() or 'end'} / {after[same : same + 8].hex() or 'end'})"
    )


def _quoted(value: object) -> str:
    text = str(value)
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
