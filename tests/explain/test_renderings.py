"""Our own logs in all renderings, of both ends: each says from itself alone what went wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from culvert.effects import Judge, Judged
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.log import EventLog
from culvert.eventlog.render.cisco_client import CiscoClient, scaled
from culvert.eventlog.render.cisco_client import head as cisco_head
from culvert.eventlog.render.foreign import TABLE, Record
from culvert.eventlog.render.lancom import Lancom
from culvert.eventlog.render.styles import STYLES
from culvert.eventlog.render.vpn3000 import Vpn3000
from culvert.eventlog.render.vpn3000 import head as gateway_head
from culvert.eventlog.vocabulary import vocabulary
from culvert.eventlog.wording import PLACEHOLDER
from culvert.explain import explain
from culvert.tables.loader import rows
from culvert.tables.texts.cisco_client import client_events, client_levels, client_modules
from culvert.tables.texts.lancom import course, failures
from culvert.tables.texts.vpn3000 import GatewayEvent, gateway_events
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


def polling_records() -> list[tuple[str, tuple[str]]]:
    """What LANCOM says of a missed poll: several of its wordings one after the other."""
    made = {
        "poll-timeout": ("poll-timeout", "poll-faster", "retries-left", "poll-frame"),
        "retries-left": ("poll-timeout", "retries-left", "poll-frame"),
        "no-retries-left": ("poll-timeout", "no-retries-left"),
    }
    return [
        (id, (" ".join(failures()[part].text for part in parts),)) for id, parts in made.items()
    ]


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
            *polling_records(),
        ],
    }[record.style]
    wanted = "error" if record.id.startswith("0x1") else record.id
    forms = [
        [re.compile(".*?".join(map(re.escape, PLACEHOLDER.split(line)[::3]))) for line in lines]
        for id, lines in products
        if id == wanted
    ]
    assert record.code in vocabulary()
    lines = record.lines if record.style != "lancom" else (" ".join(map(str.strip, record.lines)),)
    plain = [PLACEHOLDER.sub("x", line) for line in lines]
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


SAMPLES = Path(__file__).parent / "samples"


def at(date: str, clock: str, form: str) -> datetime:
    return datetime.strptime(f"{date} {clock}", f"{form} %H:%M:%S.%f").replace(tzinfo=UTC)


@pytest.mark.requirement("S4-50")
def test_the_79_records_of_the_clients_sample_go_round() -> None:
    text = (SAMPLES / "ciscoclient-01-printed-natt-established.log").read_text()
    numbers: list[int] = []
    for line in text.splitlines():
        found = re.match(r"(\d+)\s+(\S+)\s+(\S+)\s+Sev=(\w+)/(\d)\s+(\w+/0x[0-9A-F]{8})$", line)
        if found is None:
            assert "Sev=" not in line
            continue
        number, clock, date, word, level, id = found.groups()
        numbers.append(int(number))
        written = cisco_head(int(number), at(date, clock, "%m/%d/%y"), int(level), id)
        assert written.split() == line.split()
        assert client_levels()[int(level)].word == word
        assert client_modules()[id.partition("/")[0]].prefix == id[-8:-4]
    assert numbers == [*range(1, 5), *range(42, 117)]
    told = explain(text.splitlines(), family="cisco-client")
    assert told.unknown_lines == 0


@pytest.mark.requirement("S4-60")
def test_the_records_of_the_gateways_sample_go_round() -> None:
    text = (SAMPLES / "vpn3000-01-printed-natt-established.log").read_text()
    form = re.compile(r"(\d+) (\S+) (\S+) SEV=(\d+) (\w+/\d+) RPT=(\d+)(?: (\S+))?$")
    heads = [found for line in text.splitlines() if (found := form.match(line))]
    assert len(heads) == text.count("SEV=") > 10
    for found in heads:
        sequence, date, clock, severity, id, repeat, peer = found.groups()
        when = at(date, clock, "%m/%d/%Y")
        written = gateway_head(int(sequence), when, int(severity), id, int(repeat), peer or "")
        assert written == found.string
    sequences = [int(found[1]) for found in heads]
    assert sequences == sorted(set(sequences))
    assert explain(text.splitlines(), family="vpn3000").unknown_lines == 0


@pytest.mark.requirement("S4-51", part="emitted")
def test_a_normal_connect_emits_the_ids_in_the_samples_order() -> None:
    def firsts(lines: list[str]) -> list[str]:
        found = (re.search(r"Sev=\w+/\d\s+(\w+/0x\w{8})$", line) for line in lines)
        return list(dict.fromkeys(one[1] for one in found if one))

    sample = firsts(
        (SAMPLES / "ciscoclient-01-printed-natt-established.log").read_text().splitlines()
    )
    milestones = [id for id in sample if id.startswith(("DIALER", "CM")) or id in PHASES]
    ours = [id for id in firsts(written(logs("good")[0], "cisco")) if id in milestones]
    assert ours == [id for id in milestones if id in ours]
    assert set(milestones) - set(ours) <= NOT_HERE


@pytest.mark.requirement("S4-51", part="table")
def test_the_client_writes_the_ids_texts_and_levels_of_its_table_and_no_others() -> None:
    table = client_events()
    rendered = [row for row in rows(TABLE, "record", Record) if row.style == "cisco_client"]
    assert {row.id for row in rendered} == table.keys() - NEVER
    made, log = CiscoClient(), EventLog()
    for row in rendered:
        assert any(_is(text, row.lines[0]) for text in table[row.id].texts), row
        fields = dict.fromkeys(vocabulary()[row.code].fields, "1")
        event = LogEvent(row.code, {**fields, "connection": "office", **row.when})
        text = made.render(log.record(event, at=BEGAN, now=0.0))
        level = table[row.id].level
        head = rf"Sev={client_levels()[level].word}/{level}\s+{row.id}$"
        assert re.search(head, text, re.MULTILINE), row


def _is(wording: str, line: str) -> bool:
    """Is the line the table's wording, with something in its gaps?"""
    form = ".*?".join(map(re.escape, PLACEHOLDER.split(wording)[::3]))
    return re.fullmatch(form, PLACEHOLDER.sub("x", line)) is not None


NEVER = {"IKE/0x63000054"}
"""A ping on the IPsec SA: this client asks on the IKE SA only."""

PHASES = {"IKE/0x6300003B", "IKE/0x63000013", "IKE/0x63000055", "IKE/0x63000058"}
NOT_HERE = {"CM/0x63100022", "CM/0x63100019"}
"""A second pair of SAs, and settings told one by one: this connect has neither."""


@pytest.mark.requirement("S4-62", part="emitted")
def test_the_gateway_emits_ids_of_the_table_only_and_each_that_its_events_have() -> None:
    text = "\n".join(written(logs("good")[1], "vpn3000"))
    emitted = {id for id in re.findall(r"SEV=\d+ (\w+/\d+) ", text) if not id.endswith("/999")}
    table = {row.id for row in gateway_events() if row.emitted}
    assert emitted <= table
    assert {"IKE/49", "IKE/120", "IKE/173", "IKEDBG/0", "IKEDBG/36"} <= emitted


@pytest.mark.requirement("S4-62", part="read")
@pytest.mark.parametrize("event", gateway_events(), ids=lambda row: row.text[:30])
def test_every_event_of_the_gateway_is_read(event: GatewayEvent) -> None:
    for text in (event.text, *event.spellings):
        body = "\n".join(PLACEHOLDER.sub("1", line) for line in (text, *event.lines))
        first = f"7 10/20/2002 20:22:42.390 SEV={event.severity} {event.id} RPT=1 192.0.2.1"
        assert explain([first, *body.splitlines()], family="vpn3000").unknown_lines == 0


@pytest.mark.requirement("S3-02", part="written")
@pytest.mark.parametrize("year", [2004, 2007])
def test_both_stamps_are_written_and_read_back(year: int) -> None:
    made = Lancom(year)
    lines = "\n".join(made.render(entry) for entry in logs("good")[0]).splitlines()
    assert all(line.startswith("[VPN-Status] ") == (year == 2007) for line in lines)
    assert explain(lines).outcome == "ok"


@pytest.mark.requirement("S3-10", part="emitted")
def test_our_own_trace_emits_the_messages_of_a_normal_course_in_their_order() -> None:
    lines = written(logs("good")[0], "lancom")
    shown: list[int] = []
    for line in lines:
        for number, row in course().items():
            parts = PLACEHOLDER.split(row.text)[::3]
            if re.search(".*?".join(map(re.escape, parts)) + "$", line):
                shown.append(number)
    firsts = list(dict.fromkeys(shown))
    assert [number for number in firsts if number not in {4, 5}] == [
        number for number in sorted(firsts) if number not in {4, 5}
    ]
    # 2, 3, 10: the announcement of an address of one's own (S3-30); 12: nothing differed.
    assert set(course()) - set(firsts) == {2, 3, 10, 12}


@pytest.mark.requirement("S3-11", part="our trace")
def test_our_trace_names_a_known_product_and_shows_an_unknown_one_in_hex() -> None:
    event = {"connection": "office", "peer": "192.0.2.1:500"}
    log = EventLog()
    shown = "\n".join(
        Lancom().render(log.record(LogEvent("ike.vendor-id", {**event, **of}), at=BEGAN, now=0.0))
        for of in (
            {"hex": "AFCAD71368A1F1C96B8696FC77570100", "name": "DPD"},
            {"hex": "00112233", "name": "00112233"},
        )
    )
    assert "is DPD" in shown
    assert "is 00112233" in shown
