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


def firsts(lines: list[str]) -> list[str]:
    """The ids of a Cisco client's log, each where it stands for the first time."""
    found = (re.search(r"Sev=\w+/\d\s+(\w+/0x\w{8})$", line) for line in lines)
    return list(dict.fromkeys(one[1] for one in found if one))


@pytest.mark.requirement("S4-51", part="emitted")
def test_a_normal_connect_emits_all_ids_of_the_sample_in_its_order() -> None:
    """With what the sample has: a firewall, and a gateway whose lifetime is shorter."""
    ends = BothEnds(
        wishes={"firewall_claim": True},
        options="phase1_lifetime = 3600",
    )
    ends.connect(100.0)
    ends.disconnect()
    text = (SAMPLES / "ciscoclient-01-printed-natt-established.log").read_text()
    sample = firsts(text.splitlines())
    emitted = firsts(written(ends.at_client.rings.latest().entries, "cisco"))
    ours = [id for id in emitted if not id.endswith("F000")]
    assert set(sample) - set(ours) == NEVER | NOT_HERE
    assert set(ours) <= set(sample)
    elsewhere = NEVER | NOT_HERE | OUT_OF_TURN
    assert [id for id in ours if id not in elsewhere] == [
        id for id in sample if id not in elsewhere
    ]
    for part in (DRIVER, LIFE):
        assert [id for id in ours if id in part] == [id for id in sample if id in part]


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
"""A ping on the IPsec SA: RFC 3706 asks on the IKE SA, and so does this client."""

NOT_HERE = {"CM/0x63100022"}
"""A second pair of SAs: that client made one for the gateway's own address and one for all else;
this one puts everything into one pair, and has a second only where a peer opens it."""

DRIVER = {"IPSEC/0x63700010", "IPSEC/0x6370000F"}
LIFE = {"IKE/0x63000044", "IKE/0x63000046"}
OUT_OF_TURN = DRIVER | LIFE | {"IPSEC/0x63700014", "IKE/0x63000071"}
"""What tells its moment and no step. The sample's driver is another program that reloads its keys a
second later, wiping them before: here keys are there at once, and wiped at the end. NAT is known
from the second message on and said then, not after XAUTH. The life of the IKE SA arrives when our
gateway sends it, which is after the first pair of SAs."""


@pytest.mark.parametrize("code", ["quick.established"])
def test_a_second_pair_of_sas_is_told_in_the_products_words(code: str) -> None:
    """What `NOT_HERE` leaves out is written nevertheless where it happens."""
    fields = dict.fromkeys(vocabulary()[code].fields, "1")
    event = LogEvent(code, {**fields, "connection": "office", "additional": True})
    text = CiscoClient().render(EventLog().record(event, at=BEGAN, now=0.0))
    assert set(firsts(text.splitlines())) > NOT_HERE


@pytest.mark.requirement("S4-62", part="emitted")
def test_the_ids_that_the_gateway_emits_equal_the_table() -> None:
    """Both ends behind an address translator, so that both keep it awake; heartbeats asked for."""
    ends = BothEnds(gateway_inside="10.0.0.5", options="vpn3000_vendor_id = true")
    ends.connect(200.0)
    lines = written(ends.at_gateway.rings.latest().entries, "vpn3000")
    told = re.findall(r"SEV=\d+ (\w+/\d+) ", "\n".join(lines))
    emitted = {id for id in told if not id.endswith("/999")}
    assert emitted | IN_THE_KERNEL == {row.id for row in gateway_events() if row.emitted}
    assert not emitted & IN_THE_KERNEL
    again = explain(lines)
    assert (again.family, again.outcome, again.unknown_lines) == ("culvert", "ok", 0)


IN_THE_KERNEL = {"IPSECDBG/17"}
"""A keepalive that arrives: the kernel drops it at the socket (`culvert.netio.udp`), because a
thousand idle clients send fifty a second; no program of ours ever sees one."""


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


def shown(lines: list[str]) -> list[int]:
    """The numbers of the course's messages that a trace has, in its order."""
    forms = {
        number: re.compile(".*?".join(map(re.escape, PLACEHOLDER.split(row.text)[::3])) + "$")
        for number, row in course().items()
    }
    found = [number for line in lines for number, form in forms.items() if form.search(line)]
    return list(dict.fromkeys(found))


ANY_TIME = {4, 5}
"""The rules are there once the address is known, before or after the other end has called."""


@pytest.mark.requirement("S3-10", part="emitted")
def test_our_own_trace_emits_every_message_of_the_normal_course_in_its_order() -> None:
    normal = shown(written(logs("good")[0], "lancom"))
    assert [number for number in normal if number not in ANY_TIME] == [
        number for number in sorted(normal) if number not in ANY_TIME
    ]
    refused = shown(written(logs("no common phase 1")[1], "lancom"))
    assert refused == sorted(refused)
    assert 12 in refused
    assert 13 not in refused
    # Dynamic VPN: who has a new address sends 2 and 3, and 10 is what the other end makes of it.
    world = World(1)
    client = world.client(behind=None)
    client.connect()
    assert world.decided(client)
    gateway = world.gateway
    assert gateway.link is not None
    world.network.move(gateway.link, "172.16.172.99", None)
    gateway.do(gateway.core.announce(now=world.now))
    world.run(1.0)
    announced = shown(written(of_world(world, gateway), "lancom"))
    heard = shown(written(of_world(world, client), "lancom"))
    assert [number for number in announced if number in {2, 3, 10}] == [2, 3]
    assert [number for number in heard if number in {2, 3, 10}] == [10]
    assert {*normal, *refused, *announced, *heard} == set(course())


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
