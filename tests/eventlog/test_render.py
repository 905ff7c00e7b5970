"""Our own line and JSON lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from culvert.errors import ConfigError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.vocabulary import vocabulary
from culvert.eventlog.wording import fill, one_line
from eventlog.samples import BEGAN, GOOD, client

fields = st.one_of(
    st.text(),
    st.integers(),
    st.booleans(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.lists(st.text()).map(tuple),
)
names = sorted({name for row in vocabulary().values() for name in row.fields})
events = st.builds(
    LogEvent,
    st.sampled_from(sorted(vocabulary())) | st.text(),
    st.dictionaries(st.sampled_from([*names, "connection", "session"]), fields),
)
entries = st.builds(
    Entry,
    st.integers(1, 10**9),
    st.just(BEGAN),
    st.floats(0, 1e9).map(lambda seconds: round(seconds, 6)),
    events,
    st.integers(1, 10**6),
)


@given(entries)
def test_a_line_is_safe_to_print(entry: Entry) -> None:
    line = own.render(entry)
    assert line.isprintable()
    assert json_lines.render(entry).isprintable()


@given(entries)
def test_what_json_lines_say_is_read_back(entry: Entry) -> None:
    assert json_lines.parse(json_lines.render(entry)) == entry


@given(st.text())
@example("{" * 100_000)
@example('{"number": 1, "at": "2026-07-02T10:00:00Z", "now": NaN, "code": "a", "fields": {}}')
@example(
    '{"number": 1, "at": "2026-07-02T10:00:00Z", "now": %s, "code": "a", "fields": {}}' % 10**400
)
@example('{"number": 1, "at": "0001-01-01T00:00:00+23:59", "now": 0, "code": "a", "fields": {}}')
@example('{"number": 1, "at": "2026-07-02", "now": 0, "code": "a", "fields": {}}')
@example(
    '{"number": 1, "at": "2026-07-02T10:00:00Z", "now": 0, "code": "a", "fields": {"b": null}}'
)
def test_what_is_no_entry_is_refused(line: str) -> None:
    with pytest.raises(ConfigError):
        json_lines.parse(line)


def test_a_torn_last_line_does_not_hide_the_others() -> None:
    kept = client(*GOOD)
    lines = [json_lines.render(entry) for entry in kept]
    lines[-1] = lines[-1][:-10]
    assert json_lines.read(lines) == (kept[:-1], 1)


def test_our_own_line() -> None:
    up = client(*GOOD)[-1]
    assert own.render(up) == (
        "2026-07-02T10:00:18.000Z info client.up [office ~11223344] "
        "office is up: address 40.1.1.1, after 18.0 s"
    )


def test_a_json_line_has_the_documented_keys() -> None:
    found = json.loads(json_lines.render(client(*GOOD)[-1]))
    assert found == {
        "schema": 1,
        "number": len(GOOD),
        "at": "2026-07-02T10:00:18.000Z",
        "now": 5018.0,
        "repeat": 1,
        "code": "client.up",
        "class": "CLIENT",
        "severity": 4,
        "text": "office is up: address 40.1.1.1, after 18.0 s",
        "fields": {
            "connection": "office",
            "cookies": "1122334455667788/99aabbccddeeff00",
            "profile": "office",
            "address": "40.1.1.1",
            "seconds": 18.0,
        },
    }


def test_terminal_tricks_are_written_out() -> None:
    assert one_line("a\x1b[2Jb\nc\u202ed\x9be") == "a\\x1b[2Jb\\nc\\u202ed\\x9be"


@pytest.mark.parametrize(
    ("wording", "said"),
    [
        ("{spi:hex}", "0x02cc3526"),
        ("{names:list}", "a, b"),
        ("{empty:list}", "none"),
        ("{seconds:seconds}", "17.0"),
        ("{reason:ending}", "The login was refused."),
        ("{authentication:word}", "group key"),
        ("{yes} {absent} {not a placeholder}", "yes (unknown) {not a placeholder}"),
        ("{tricky}", "{spi:hex}"),
    ],
)
def test_styles_of_placeholders(wording: str, said: str) -> None:
    fields: dict[str, str | int | float | bool | tuple[str, ...]] = {
        "spi": 0x02CC3526,
        "names": ("a", "b"),
        "empty": (),
        "seconds": 17,
        "reason": "auth-rejected",
        "authentication": "psk",
        "yes": True,
        "tricky": "{spi:hex}",
    }
    assert fill(wording, fields) == said
