"""What is read back from files: after a crash, from another version, or whatever a person gives.

undo_logs     what is to be undone
event_files   our own log, as JSON lines
logs          any log, as `culvert explain` takes it; two with FE FF FE FF between: of two ends
small_files   which (1), then one of the small files of a machine
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from culvert.changes.change import DamagedRecord, describe, parse_record, to_record
from culvert.changes.log import told
from culvert.client.remembered import ways_in
from culvert.errors import ConfigError
from culvert.eventlog.filter import filter_from
from culvert.eventlog.render import json_lines
from culvert.eventlog.render.story import render as render_story
from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.ring import Rings
from culvert.eventlog.story import tell
from culvert.explain import Explanation, explain, explain_ends
from culvert.explain.decode import lines
from culvert.explain.keys import read_keys
from culvert.explain.render import html, render
from culvert.netio.echo import echo_reply
from culvert.netio.firewall import closed_to, rules_of
from culvert.netio.resolv_conf import former_servers, with_tunnel, without_tunnel
from culvert.store.keychain_file import entries_of

PIECE = 999
BETWEEN = b"\xfe\xff\xfe\xff"


def undo_logs(octets: bytes) -> None:
    """What can be read of it can be said, and written again as it was."""
    try:
        log, damaged = told(Path("fuzz.changes"), octets)
    except DamagedRecord:
        return
    assert all(damaged)
    for entry in log.entries:
        assert describe(entry.change)
        assert parse_record(json.loads(json.dumps(to_record(entry.change)))) == entry.change


def event_files(octets: bytes) -> None:
    """Entries in every product's words, and the story of them; torn lines are counted."""
    given = octets.decode("utf-8", "replace").split("\n")
    entries, torn = json_lines.read(given)
    assert len(entries) + torn == len(given)
    rings = Rings()
    for entry in entries:
        filter_from({}).wants(entry)
        rings.add(entry)
        line = json_lines.render(entry)
        assert line.isascii()
        assert json_lines.render(json_lines.parse(line)) == line
    for style in STYLES.values():
        write = style()
        for entry in entries:
            _harmless(write(entry))
    for key in rings.keys():  # noqa: SIM118  # no dictionary
        story = tell(rings.story(key))
        json.dumps(story.document())
        _harmless(render_story(story))


def logs(octets: bytes) -> None:
    """Any text at all is explained, in words that move no cursor."""
    with suppress(ConfigError):  # packed, and damaged
        _explained(explain(lines(octets[at : at + PIECE] for at in range(0, len(octets), PIECE))))
        ends = [lines([end]) for end in octets.split(BETWEEN)]
        if len(ends) == 2:
            _explained(explain_ends(("one", ends[0]), ("other", ends[1])))


def _explained(found: Explanation | None) -> None:
    if found is not None:
        json.dumps(found.document())
        _harmless(render(found))
        html(found).encode()


def small_files(octets: bytes) -> None:
    """Read, or refused in words; nothing in them ends a program."""
    if octets:
        _SMALL[octets[0] % len(_SMALL)](octets[1:])


def _ways(octets: bytes) -> None:
    for networks in ways_in(octets).values():
        assert all(isinstance(way, str) for way in networks.values())


def _keychain(octets: bytes) -> None:
    found = entries_of(octets)
    assert found is None or all(isinstance(one, str) for one in found.values())


def _key_log(octets: bytes) -> None:
    with suppress(ConfigError):
        for cookie, key in read_keys(octets.decode("utf-8", "replace").splitlines()).items():
            assert (len(cookie), len(key)) >= (8, 8)


def _resolv_conf(octets: bytes) -> None:
    before = octets.decode("utf-8", "surrogateescape")
    former_servers(before)
    ours, _ = with_tunnel(before, ("192.0.2.53",), ("corp.example",))
    assert "nameserver 192.0.2.53\n" in ours
    without_tunnel(before, ours, "")
    without_tunnel(ours, ours, before)


def _ruleset(octets: bytes) -> None:
    rules = rules_of(octets)
    if rules is not None:
        closed_to(rules, 4500)


def _echo(octets: bytes) -> None:
    found = echo_reply(octets)
    assert found is None or octets.endswith(found.payload)


_SMALL: tuple[Callable[[bytes], None], ...] = (
    _ways,
    _keychain,
    _key_log,
    _resolv_conf,
    _ruleset,
    _echo,
)


def _harmless(said: str) -> None:
    assert all(sign == "\n" or sign.isprintable() for sign in said)
