"""Writes docs/reference/events.md and diagnoses.md from the tables; ``--check`` only compares."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template

from culvert.eventlog import ring
from culvert.eventlog.diagnosis import Condition, DiagnosisRow, diagnoses
from culvert.eventlog.event import Field
from culvert.eventlog.levels import USUAL
from culvert.eventlog.log import LONGEST_FIELD
from culvert.eventlog.severity import word
from culvert.eventlog.vocabulary import EventRow, classes, vocabulary
from culvert.store import eventfile

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "reference"

EVENTS_HEAD = """\
# Events

Everything that culvert says has happened is one of these events; the log, `culvert log`,
`culvert why`, the status and the files are made of them. This page is written by
`tools/generate_docs.py` from the event table; codes and fields are public and stay.

**Severity** 1 somebody must act now · 2-3 warning · 4-5 life of a session · 6-8 steps of a
dialogue · 9-13 octets. The line of the log names the band: `fault`, `warning`, `info` (4-6),
`debug` (7-13).

**Correlation** `session` (number), `connection` (name) and `cookies` (both cookies of the
negotiation, in hex) may stand on every event, whichever of them is known.

## As text

    2026-07-02T10:00:18.000Z info client.up [office] office is up: address 40.1.1.1, after 18.0 s

Time (UTC), band, code, connection or `#` and session, what happened. Always one line: control
characters and signs that turn the direction of writing, which a peer may have put into a name,
are written out (`\\x1b`). A field longer than $field characters loses its middle and says so.

## As JSON lines

    {"schema": 1, "number": 44, "at": "2026-07-02T10:00:18.000Z", "now": 5018.0, "repeat": 1,
     "code": "client.up", "class": "CLIENT", "severity": 4, "text": "office is up: …",
     "fields": {"connection": "office", …}}

One object per line. `number` rises by one per event since the start of the process, `repeat`
counts the events of this code; `now` are seconds that never go back and count suspension, for
durations. `fields` holds texts, numbers, truth values and lists of texts. `schema` rises when a
key disappears or changes its meaning; new keys do not raise it.

## Files

| file | what | limit |
|---|---|---|
| `events.jsonl` | events up to severity $written, JSON lines | $rotate MiB, then `.1` to `.$keep` |
| `faultlog.txt` | events of severity 1: time, class, code, what happened, what to do | \
$fault MiB, then `.1` |
| `Log-yyyy-MM-dd-hh-mm-ss.txt` | one session, every event, local start time; `-2`, `-3` in the \
same second | $session MiB each, the newest $logs are kept |

All may be read by owner and group only. A disk that is full stops nothing: lines that could not
be written are counted, and the file says how many as soon as it can be written again.

In memory are the newest $latest events, and for up to $stories sessions and connections the first
$first and the last $last events of each; negotiations that never became a session are kept
apart ($strangers), so that a flood of them pushes out no session.

## The story as JSON

`culvert why --json` prints `schema`, `side` (client or gateway), `about`, `began`, `outcome`
(failed, ended, impaired, working, unfinished), `diagnosis` (`id`, `what`, `why`, `causes`,
`actions` with `text` and `who`), `summary`, `steps` (`after` seconds, `text`, `code`, `count`),
`comparisons` of refused proposals (`phase`, `remote_number`, `local_number`, `attribute`,
`remote`, `local`, `fits`), `left_out` (events no longer in memory) and `gap_after` (where they
are missing, in seconds). The diagnoses are in [diagnoses.md](diagnoses.md).

## Codes

Columns: the severity with its band, the text, the fields the event always has, and the same
event in other logs: class and number of the VPN 3000 event log, module and id of the Cisco VPN
Client, message of the LANCOM VPN-Status trace.
"""

DIAGNOSES_HEAD = """\
# Diagnoses

What `culvert why` can say about a connection, decided from its [events](events.md). This page
is written by `tools/generate_docs.py` from the table of diagnoses; the ids are public and stay.

The strongest diagnosis that holds is told: 1 a verdict of our own that names the cause, 2 one
that does not, 3 what the other side said, 4 the state at the end, 5 where the dialogue fell
silent, 6 and 7 less than that.
"""

MIB = 1024 * 1024

LIMITS = {
    "latest": ring.LATEST,
    "stories": ring.STORIES,
    "first": ring.FIRST_OF_STORY,
    "last": ring.LAST_OF_STORY,
    "strangers": ring.STRANGERS,
    "field": LONGEST_FIELD,
    "written": USUAL,
    "rotate": eventfile.ROTATE_OCTETS // MIB,
    "keep": eventfile.ROTATE_KEEP,
    "fault": eventfile.FAULT_OCTETS // MIB,
    "session": eventfile.SESSION_OCTETS // MIB,
    "logs": eventfile.SESSION_LOGS,
}


def main() -> int:
    """Write, or compare; 1 if something differs."""
    pages = {"events.md": events_page(), "diagnoses.md": diagnoses_page()}
    if "--check" in sys.argv[1:]:
        stale = [name for name, text in pages.items() if _read(FOLDER / name) != text]
        for name in stale:
            sys.stderr.write(f"{FOLDER / name} is stale: run tools/generate_docs.py\n")
        return 1 if stale else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


def events_page() -> str:
    lines = [Template(EVENTS_HEAD).substitute(LIMITS)]
    for one in classes():
        lines += ["", f"### {one.name}", "", f"{one.about}.", ""]
        rows = [row for row in vocabulary().values() if row.event_class == one.name]
        lines += table(("code", "severity", "text", "fields", "elsewhere"), map(event_cells, rows))
    return "\n".join(lines) + "\n"


def event_cells(row: EventRow) -> tuple[str, ...]:
    said = f"{row.text} — {row.action}" if row.action else row.text
    elsewhere = [*row.vpn3000, *row.cisco_client, *(f"LANCOM {number}" for number in row.lancom)]
    return (
        f"`{row.code}`",
        f"{row.severity} {word(row.severity)}",
        said,
        ", ".join(f"`{name}`" for name in row.fields),
        ", ".join(elsewhere),
    )


def diagnoses_page() -> str:
    lines = [DIAGNOSES_HEAD]
    for row in diagnoses():
        side = f" ({row.side} side)" if row.side else ""
        lines += ["", f"## {row.id}{side}", "", f"**{row.title}.** {row.why}.", ""]
        lines.append(f"Outcome {row.outcome}, strength {row.strength}. {when(row)}")
        lines += ["", *(f"- {cause}" for cause in row.causes)] if row.causes else []
        if row.actions:
            lines += ["", "What to do:", ""]
            lines += [f"- {action['text']} ({action['who']})" for action in row.actions]
    return "\n".join(lines) + "\n"


def when(row: DiagnosisRow) -> str:
    """The conditions of a diagnosis, in a sentence."""
    parts = [
        *([f"all of {conditions(row.all)}"] if row.all else []),
        *([f"any of {conditions(row.any)}"] if row.any else []),
        *([f"none of {conditions(row.none)}"] if row.none else []),
    ]
    stages = {"before-up": "the connection never came up", "after-up": "the connection had come up"}
    if row.stage:
        parts.append(stages[row.stage])
    return f"Holds when: {'; '.join(parts)}." if parts else "Holds always."


def conditions(listed: Sequence[Condition]) -> str:
    return ", ".join(condition(one) for one in listed)


def condition(wanted: Condition) -> str:
    if "end" in wanted:
        return "any end" if wanted["end"] == "*" else f"end `{wanted['end']}`"
    having = [f"{name} {shown(value)}" for name, value in wanted.items() if name != "code"]
    return f"`{wanted['code']}`" + (f" with {', '.join(having)}" if having else "")


def shown(value: Field) -> str:
    return str(value).lower() if isinstance(value, bool) else f"`{value}`"


def table(headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for cells in rows:
        escaped = (cell.replace("|", "\\|").replace("<", "&lt;") for cell in cells)
        yield f"| {' | '.join(escaped)} |"


def _read(path: Path) -> str:
    return path.read_text("utf-8") if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
