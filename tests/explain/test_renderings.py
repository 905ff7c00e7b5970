"""Our own logs in all renderings, of both ends: each says from itself alone what went wrong."""

from __future__ import annotations

import re
from datetime import timedelta
from functools import cache

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.eventlog.render.cisco_client import CiscoClient, scaled
from culvert.eventlog.render.foreign import TABLE, Record
from culvert.eventlog.render.lancom import Lancom
from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.render.vpn3000 import Vpn3000
from culvert.eventlog.vocabulary import vocabulary
from culvert.eventlog.wording import PLACEHOLDER
from culvert.explain import explain
from culvert.tables.loader import rows
from culvert.tables.texts.cisco_client import client_events
from culvert.tables.texts.lancom import course, failures
from culvert.tables.texts.vpn3000 import gateway_events
from eventlog.both_ends import BothEnds
from eventlog.samples import BEGAN
from simulation.cases import REFUSED, Outcome
from simulation.ends import End
from simulation.journal import Told
from simulation.test_causes import TERMS
from simulation.world import PASSWORD, USERS, World

LEVELS = (13, 7)
"""All of it, and what a daemon writes into its file."""


def refusing(word: str) -> BothEnds:
    def judge(asked: Judge) -> tuple[Judged, str]:
        return Judged(asked.ticket, accepted=False, reason="auth-rejected", cause=word), word

    return BothEnds(judge=judge)


FAULTS = {
    "good": BothEnds,
    "unknown group": lambda: BothEnds(group="sale"),
    "wrong group key": lambda: BothEnds(group_key="grup-key"),
    "no common phase 1": lambda: BothEnds(phase1=("aes128-sha1-modp1024",)),
    "gateway silent": lambda: BothEnds(silent=True),
    "unknown user": lambda: refusing("unknown-user"),
    "wrong password": lambda: refusing("wrong-password"),
    "locked": lambda: refusing("locked"),
    "disabled": lambda: refusing("disabled"),
    "not in the group": lambda: refusing("not-in-group"),
}
AT_GATEWAY = {
    "good": "ok.established",
    "unknown group": "p1.group-unknown",
    "wrong group key": "p1.psk-mismatch",
    "no common phase 1": "p1.no-proposal",
    "unknown user": "xauth.user-unknown",
    "wrong password": "xauth.failed",
    "locked": "xauth.locked",
    "disabled": "xauth.disabled",
    "not in the group": "xauth.group-lock",
}
AT_CLIENT = {
    "good": "ok.established",
    "unknown group": "p1.psk-mismatch",
    "wrong group key": "p1.psk-mismatch",
    "no common phase 1": "p1.no-proposal",
    "gateway silent": "p1.no-response",
    "unknown user": "xauth.failed",
    "wrong password": "xauth.failed",
    "locked": "xauth.failed",
    "disabled": "xauth.failed",
    "not in the group": "xauth.failed",
}


@cache
def logs(fault: str) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """What the client and the gateway wrote."""
    ends = FAULTS[fault]()
    ends.connect(200.0)
    return ends.at_client.rings.latest().entries, ends.at_gateway.rings.latest().entries


def written(entries: tuple[Entry, ...], style: str, level: int = 13) -> list[str]:
    render = STYLES[style]()
    shown = (render(entry) for entry in entries if entry.row.severity <= level)
    return "\n".join(shown).splitlines()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", AT_CLIENT)
def test_a_client_log_explains_itself(fault: str, style: str, level: int) -> None:
    told = explain(written(logs(fault)[0], style, level))
    assert told.family == "culvert"
    assert told.unknown_lines == 0
    assert told.diagnoses[0].id == AT_CLIENT[fault]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("fault", AT_GATEWAY)
def test_a_gateway_log_explains_itself(fault: str, style: str, level: int) -> None:
    told = explain(written(logs(fault)[1], style, level))
    assert told.family == "culvert"
    assert told.unknown_lines == 0
    assert told.diagnoses[0].id == AT_GATEWAY[fault]


def of_world(world: World, end: End) -> tuple[Entry, ...]:
    log = EventLog()
    for told in world.network.journal:
        if isinstance(told, Told) and told.name == end.name:
            at = BEGAN + timedelta(seconds=told.at)
            event = told.event
            if end is not world.gateway:
                event = event.with_fields(connection="office")
            log.record(event, at=at, now=told.at)
    return log.rings.latest().entries


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("outcome", TERMS)
def test_what_policy_refuses_is_told_from_either_log(outcome: Outcome, style: str) -> None:
    world = World(1, TERMS[outcome])
    client = world.client(person=(USERS[0], PASSWORD), behind=world.nat)
    if outcome is not Outcome.OUTSIDE_HOURS:
        user = USERS[0] if outcome is Outcome.DUPLICATE_LIMIT else "occupant"
        occupant = world.client(person=(user, PASSWORD))
        occupant.connect()
        assert world.decided(occupant)
    client.connect()
    assert world.decided(client)
    assert client.reason == REFUSED[outcome].client
    for end in (client, world.gateway):
        entries = of_world(world, end)
        told = explain(written(entries, style))
        assert told.unknown_lines == 0
        found = {one.diagnoses[0].id for one in told.attempts if one.outcome == "failed"}
        assert found == {told.diagnoses[0].id}
        assert found == {EXPECTED[outcome]}


EXPECTED = {
    Outcome.NO_ADDRESS: "cfg.no-address",
    Outcome.SESSION_LIMIT: "session.limit",
    Outcome.DUPLICATE_LIMIT: "session.duplicate-limit",
    Outcome.OUTSIDE_HOURS: "session.outside-hours",
}


@pytest.mark.parametrize(
    "record", rows(TABLE, "record", Record), ids=lambda row: f"{row.style} {row.id}"
)
def test_the_table_equals_the_products_words(record: Record) -> None:
    products = {
        "cisco_client": [
            (row.id, (text, *row.lines)) for row in client_events().values() for text in row.texts
        ],
        "vpn3000": [(row.id, (row.text, *row.lines)) for row in gateway_events() if row.emitted],
        "lancom": [
            *((str(number), (row.text,)) for number, row in course().items()),
            *((row.id, (row.text,)) for row in failures().values()),
        ],
    }[record.style]
    wanted = "error" if record.id.startswith("0x1") else record.id
    forms = [
        [re.compile(".*?".join(map(re.escape, PLACEHOLDER.split(line)[::3]))) for line in lines]
        for id, lines in products
        if id == wanted
    ]
    assert record.code in vocabulary()
    plain = [PLACEHOLDER.sub("x", line) for line in record.lines]
    assert any(
        all(any(form.fullmatch(line) for form in lines) for line in plain) for lines in forms
    ), plain


@pytest.mark.parametrize("number", range(1, 14))
@pytest.mark.requirement("S0-04")
def test_raising_the_level_never_removes_lines_of_a_lower_number(number: int) -> None:
    entries = logs("good")[0]
    assert scaled(number) == min(number, 6)
    coarse = written(entries, "own", number - 1)
    assert set(coarse) <= set(written(entries, "own", number))
    heads = "\n".join(written(entries, "cisco"))
    words = {"1": "Critical", "2": "Warning", "3": "Warning", "4": "Info", "5": "Info", "6": "Info"}
    for word, level in re.findall(r"Sev=(\w+)/(\d)", heads):
        assert words[level] == word


@pytest.mark.requirement("S4-54", part="our own log")
def test_our_own_log_prints_an_spi_in_network_order_only() -> None:
    (sa,) = [entry for entry in logs("good")[0] if entry.code == "quick.established"]
    spi = str(sa.field("spi_out")).removeprefix("0x")
    swapped = bytes.fromhex(spi)[::-1].hex()
    for style in STYLES:
        text = "\n".join(written(logs("good")[0], style)).lower()
        assert spi.lower() in text
        assert swapped.lower() not in text


def test_both_stamps_of_lancom_are_written() -> None:
    entry = logs("good")[0][0]
    assert (
        Lancom(2004).render(entry)
        == "2026/07/02 10:00:00,000 VPN: connecting to office (vpn.example.org)"
    )
    assert Lancom().render(entry).startswith("[VPN-Status] 2026/07/02 10:00:00,000 VPN: ")


def test_sequence_numbers_of_the_gateway_rise_by_the_lines_used() -> None:
    made = Vpn3000()
    text = "\n".join(made.render(entry) for entry in logs("good")[1])
    expected, counts = 1, dict[str, int]()
    for record in text.split("\n\n"):
        lines = record.strip("\n").splitlines()
        found = re.match(r"(\d+) .* (\w+/\d+) RPT=(\d+)", lines[0])
        assert found is not None
        counts[found[2]] = counts.get(found[2], 0) + 1
        assert (int(found[1]), int(found[3])) == (expected, counts[found[2]])
        expected += len(lines)


def test_what_a_peer_puts_into_a_field_makes_no_record_of_its_own() -> None:
    forged = "x\n2      10:00:00.000  07/02/26  Sev=Info/4 CM/0x6310001A\nOne secure connection"
    event = LogEvent(
        "ike.notify-received", {"name": forged, "peer": "192.0.2.1", "connection": "a"}
    )
    entry = EventLog().record(event, at=BEGAN, now=0.0)
    for made in (CiscoClient(), Vpn3000(), Lancom()):
        assert "\nOne secure" not in made.render(entry)
