"""The printed traces read as the requirements say, in English and in German."""

from __future__ import annotations

import pytest

from culvert.explain import explain
from culvert.explain.explanation import Attempt
from culvert.explain.render import render
from culvert.tables.texts.lancom import lancom_errors
from explain.scoring import sample

SILENT = "VPN: connection for X (192.0.2.1) timed out: no response"


def told(name: str, language: str = "en") -> Attempt:
    return explain(sample(name).lines, language=language).attempts[0]


@pytest.mark.requirement("S3-10", part="explained")
def test_the_good_lancom_trace_has_23_steps() -> None:
    attempt = told("lancom-01-printed-established")
    assert len(attempt.timeline) == 23
    assert attempt.duration == pytest.approx(6.86)
    assert attempt.diagnoses[0].why == (
        "Every step succeeded. Main mode; phase 1 accepted blowfish-cbc/md5 (weak) with local "
        "proposal 3; connected 6.9 s after start."
    )


@pytest.mark.requirement("S3-40", part="German and English")
def test_the_good_lancom_trace_in_german() -> None:
    attempt = told("lancom-01-printed-established", "de")
    assert len(attempt.timeline) == 23
    assert attempt.timeline[0].says == "Eine Verbindung zu BUGFIX (213.23.254.24) beginnt."
    assert attempt.timeline[-1].says == "Verbunden; die Leitung wird alle 30 s geprüft."
    assert attempt.diagnoses[0].why == (
        "Jeder Schritt ist gelungen. Main Mode; Phase 1 nahm blowfish-cbc/md5 an (schwach), mit "
        "dem eigenen Vorschlag 3; verbunden 6,9 s nach dem Beginn."
    )


def test_the_good_lancom_trace_in_dutch() -> None:
    attempt = told("lancom-01-printed-established", "nl")
    assert attempt.timeline[0].says == "Er begint een verbinding met BUGFIX (213.23.254.24)."


@pytest.mark.requirement("S4-56", part="the client's sample")
def test_the_cisco_client_sample_in_short() -> None:
    attempt = told("ciscoclient-01-printed-natt-established")
    assert attempt.diagnoses[0].why == (
        "Every step succeeded. Aggressive mode, group key; XAUTH took 17.0 s of user time; client "
        "is behind NAT, gateway is not; NAT-T on UDP 4500; address 40.1.1.1; two SAs; connected 18 "
        "s after start."
    )


def test_the_cisco_client_sample_in_short_in_german() -> None:
    attempt = told("ciscoclient-01-printed-natt-established", "de")
    assert attempt.diagnoses[0].why == (
        "Jeder Schritt ist gelungen. Aggressive Mode, Gruppenschlüssel; XAUTH brauchte 17,0 s für "
        "den Benutzer; der Client steht hinter NAT, das Gateway nicht; NAT-T auf UDP 4500; Adresse "
        "40.1.1.1; zwei SAs; verbunden 18 s nach dem Beginn."
    )


@pytest.mark.requirement("S4-56", part="the concentrator's note")
def test_the_concentrator_notes_a_heart_beat_that_was_not_agreed() -> None:
    attempt = told("vpn3000-01-printed-natt-established")
    assert "heart-beat is not of the negotiated type" in attempt.diagnoses[0].why


@pytest.mark.requirement("S4-54", part="the explainer")
def test_both_spellings_of_an_spi_lead_to_the_same_sa() -> None:
    steps = [step.says for step in told("ciscoclient-01-printed-natt-established").timeline]
    loaded = next(says for says in steps if "0x02CC3526" in says)
    added = next(says for says in steps if "driver has the key of SPI 0x02CC3526" in says)
    assert loaded != added


@pytest.mark.requirement("S4-53", part="the explainer")
@pytest.mark.parametrize("alive", [18])
def test_the_lifetime_rule_is_told_as_it_is_printed(alive: int) -> None:
    steps = [step.says for step in told("ciscoclient-01-printed-natt-established").timeline]
    assert f"This SA is {alive} s old and ends in {86400 - alive} s." in steps


@pytest.mark.requirement("S3-02", part="read")
@pytest.mark.parametrize(
    "lines",
    [
        ["2004/01/20 15:18:34,500", "VPN: connection for X (192.0.2.1) timed out: no response"],
        ["2004/01/20 15:18:34,500 VPN: connection for X (192.0.2.1) timed out:", "no response"],
        [f"[VPN-Status] 2007/12/04 14:37:57,210  {SILENT}"],
        ["[VPN-Status] 2007/12/04 14:37:57,210", SILENT],
    ],
)
def test_both_time_stamp_styles_and_wrapped_messages(lines: list[str]) -> None:
    attempt = explain(lines).attempts[0]
    assert attempt.diagnoses[0].id == "p1.no-response"
    assert attempt.started in {"2004-01-20 15:18:34.500", "2007-12-04 14:37:57.210"}


@pytest.mark.requirement("S3-02", part="several records on one line")
def test_several_records_on_one_line() -> None:
    line = (
        "[VPN-Status] 2007/12/04 14:37:27,210 VPN: connecting to X (192.0.2.1) "
        f"[VPN-Status] 2007/12/04 14:37:57,210 {SILENT}"
    )
    attempt = explain([line]).attempts[0]
    assert attempt.duration == 30.0


@pytest.mark.requirement("S3-03")
def test_a_source_never_seen_is_kept() -> None:
    lines = [
        *sample("lancom-02-printed-no-response").lines,
        "[VPN-Status] 2007/12/04 14:37:58,000  VpnNew: hello",
    ]
    explanation = explain(lines)
    assert explanation.unknown_lines == 1
    assert "VpnNew: hello" in explanation.unknown[0].text
    assert "VpnNew: hello" in render(explanation)


FAILURES = {
    "lancom-02-printed-no-response": ("p1.no-response", "trace"),
    "lancom-03-printed-polling-failed": ("live.poll-failed", "polling table"),
    "lancom-04-printed-no-poll-entry": ("live.no-poll-entry", "polling entry"),
}


@pytest.mark.requirement("S3-40", part="the three error samples")
@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_three_failures_have_meaning_causes_actions_and_proof(name: str, language: str) -> None:
    first = told(name, language).diagnoses[0]
    assert first.id == FAILURES[name][0]
    assert first.why
    assert first.causes
    assert first.evidence
    assert all(action.text and action.who for action in first.actions)
    if language == "en":
        assert FAILURES[name][1] in " ".join(action.text for action in first.actions).lower()


@pytest.mark.requirement("S3-40", part="mixed and cut files")
def test_a_mixed_log_tells_every_connection() -> None:
    lines = [*sample("lancom-02-printed-no-response").lines, *sample("asa-02-psk-mismatch").lines]
    found = {attempt.diagnoses[0].id for attempt in explain(lines).attempts}
    assert {"p1.no-response", "p1.psk-mismatch"} <= found


@pytest.mark.requirement("S3-40", part="mixed and cut files")
@pytest.mark.parametrize("name", FAILURES)
def test_a_log_that_is_cut_off_claims_no_more_than_it_shows(name: str) -> None:
    lines = sample(name).lines
    whole = FAILURES[name][0]
    for cut in range(len(lines) + 1):
        first = explain(lines[:cut]).diagnoses[0].id
        assert first == whole or first.startswith(("unknown.", "ok."))
        last = explain(lines[cut:]).diagnoses[0].id
        assert last in {whole, "live.delete-unspecified"} or last.startswith("unknown.")
    halves = [line[: len(line) // 2] for line in lines]
    assert explain(halves).lines == len(lines)


@pytest.mark.requirement("S3-40", part="shuffled files")
def test_a_shuffled_log_is_put_in_order_by_its_times() -> None:
    one = sample("charon-03-no-answer")
    told_shuffled = explain([*one.lines[5:], *one.lines[:5]]).attempts[0]
    assert [step.says for step in told_shuffled.timeline] == [
        step.says for step in told("charon-03-no-answer").timeline
    ]


SPELLINGS = (
    "Secure VPN Connection terminated locally by the Client",
    "Secure VPN Connection terminated locally by the client",
    "Secure VPN Connection terminated terminated locally by the client",
    "Secure VPN Connection terminated locally by the Client.",
)


@pytest.mark.requirement("S0-21", part="reading")
@pytest.mark.parametrize("line", SPELLINGS)
def test_every_spelling_of_the_opening_words_is_read(line: str) -> None:
    told_ = explain([line, "Reason: Failed to establish a TCP connection."])
    assert told_.unknown_lines == 0
    assert told_.diagnoses[0].id == "net.tcp10000-blocked"


VENDORS = {
    "12F5F28C457168A9702D9FE274CC0100": "Cisco Unity",
    "09002689DFD6B712": "XAUTH",
    "AFCAD71368A1F1C96B8696FC77570100": "DPD",
    "90CB80913EBB696E086381B5EC427B1F": "NAT-T draft-02 (with newline)",
    "4048B7D56EBCE88525E7DE7F00D6C2D3C0000000": "IKE fragmentation",
    "1F07F70EAA6514D3B0FA96542A500306": "Cisco VPN 3000 concentrator",
}


@pytest.mark.requirement("S4-52", part="the explainer names each")
@pytest.mark.parametrize("octets", VENDORS)
def test_the_six_vendor_ids_of_the_sample_have_names(octets: str) -> None:
    (step,) = explain([f"Vendor ID payload = {octets}"]).attempts[0].timeline
    assert step.says == f"The other side's vendor ID says: {VENDORS[octets]}"


def test_the_six_names_are_six() -> None:
    assert len(set(VENDORS.values())) == 6


@pytest.mark.requirement("S3-11", part="the explainer")
def test_known_and_unknown_vendor_ids_in_one_trace() -> None:
    lines = ["Vendor ID payload = 09002689DFD6B712", "Vendor ID payload = DEADBEEF00112233"]
    steps = [step.says for step in explain(lines).attempts[0].timeline]
    assert len(steps) == 1
    assert "XAUTH" in steps[0]
    assert "DEADBEEF00112233" in steps[0]


@pytest.mark.requirement("S3-26", part="read")
@pytest.mark.parametrize("code", lancom_errors())
def test_every_listed_error_code_has_meaning_causes_and_actions(code: str) -> None:
    line = f"[VPN-Status] 2007/12/04 14:37:57,210 VPN: Error: UNNAMED ({code}) for X (192.0.2.1)"
    first = explain([line]).diagnoses[0]
    assert first.why
    assert first.causes
    assert first.actions
