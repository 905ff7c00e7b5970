"""Where an attempt begins and how it stands: several runs, countdowns, ends that are no failure."""

from __future__ import annotations

import pytest

from culvert.explain import explain, explain_ends
from culvert.explain.catalogue import LANGUAGES, catalogue, words
from culvert.explain.sentence import clause
from explain.scoring import sample

RUN = (
    "vpnc version 0.5.3",
    "S1 init_sockaddr",
    "S2 make_socket",
    "S3 setup_tunnel",
    "S4 do_phase1_am",
    "S4.3 AM packet_1",
    "vpnc: no response from target",
)
LANCOM = "[VPN-Status] 2007/12/04 14:37:"
PHASE_1 = "10[CFG] {} proposals: IKE:{}"


@pytest.mark.parametrize("skipped", [0, 1])
def test_five_runs_of_vpnc_are_five_attempts(skipped: int) -> None:
    """Also without the line that tells the version; none of the lines is a verdict of itself."""
    told = explain(RUN[skipped:] * 5)
    assert len(told.attempts) == 5
    assert {one.diagnoses[0].id for one in told.attempts} == {"p1.no-response"}
    assert told.unknown_lines == 0


def test_one_run_of_vpnc_is_one_attempt() -> None:
    assert len(explain(RUN).attempts) == 1


COUNTING = (
    f"{LANCOM}57,210 VPN: connecting to BUGFIX (192.0.2.254)",
    f"{LANCOM}58,100 VPN: BUGFIX (192.0.2.254) connected, set poll timer to 30 sec",
    f"{LANCOM}59,000 VPN: poll timeout for BUGFIX (192.0.2.254)",
    "set poll timer to 1 sec",
    "5 retries left, send poll frame to 192.168.3.254",
)
CUT = (
    f"{LANCOM}59,900 VPN: poll timeout for BUGFIX (192.0.2.254)",
    "no retries left, disconnect channel",
)


def test_polling_that_counts_down_at_the_end_of_the_log_is_a_limitation() -> None:
    told = explain(COUNTING)
    assert (told.outcome, told.diagnoses[0].id) == ("degraded", "live.poll-unanswered")
    assert told.unknown_lines == 0


def test_once_the_count_is_over_the_line_is_cut_and_that_is_a_failure() -> None:
    told = explain([*COUNTING, *CUT])
    assert (told.outcome, told.diagnoses[0].id) == ("failed", "live.poll-failed")


def test_connected_again_the_countdown_is_forgotten() -> None:
    told = explain([*COUNTING, COUNTING[1].replace("58,100", "59,500")])
    assert told.outcome == "ok"


ASA = (
    "%ASA-3-713119: Group = g, IP = 192.0.2.1, PHASE 1 COMPLETED",
    "%ASA-3-713120: Group = g, IP = 192.0.2.1, PHASE 2 COMPLETED (msgid=1)",
)


@pytest.mark.parametrize(
    "line",
    [
        "%ASA-3-713259: Group = g, IP = 192.0.2.1, Session is being torn down. "
        "Reason: User Requested",
        "%ASA-6-722037: Group <g> User <u> IP <192.0.2.1> SVC closing connection: User Requested.",
        "%ASA-4-113019: Group = g, Username = u, IP = 192.0.2.1, Session disconnected. "
        "Session Type: IPsec, Duration: 0h:42m:00s, Bytes rcv: 9, Reason: User Requested",
    ],
)
def test_the_users_own_end_is_no_failure(line: str) -> None:
    told = explain([*ASA, line])
    assert told.diagnoses[0].id == "ok.disconnected"
    assert told.outcome == "ok"


def test_a_changed_address_of_the_peer_is_no_dead_peer() -> None:
    line = "Group = g, IP = 192.0.2.1, Session disconnected. Reason: Peer Address Changed"
    told = explain([*ASA, f"%ASA-4-113019: {line}"])
    assert told.diagnoses[0].id == "live.address-changed"
    assert told.outcome == "ended"


def test_proposals_of_the_two_phases_do_not_compete() -> None:
    """Phase 2 differs in one part and phase 1 in two: each has a change of its own."""
    lines = [
        f"{LANCOM}57,210 VPN: connecting to BUGFIX (192.0.2.254)",
        *(
            f"{LANCOM}57,{number}00 VpnIpm: info; phase-{phase} proposal failed; remote No 1 "
            f"{attribute} = {remote} <-> local No 1 {attribute} = {local}"
            for number, (phase, attribute, remote, local) in enumerate(
                (
                    (1, "encryption algorithm", "AES_CBC", "DES_CBC"),
                    (1, "hash algorithm", "SHA", "MD5"),
                    (2, "encryption algorithm", "BLOWFISH_CBC", "3DES_CBC"),
                ),
                start=3,
            )
        ),
    ]
    changes = explain(lines).attempts[0].proposals.smallest_change
    assert len(changes) == 3
    assert "AES_CBC" in changes[0]
    assert "BLOWFISH_CBC" in changes[2]


def test_a_phase_that_agreed_needs_no_change() -> None:
    lines = [
        "10[CFG] received proposals: IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048",
        "10[CFG] configured proposals: IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/"
        "MODP_2048, IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024",
        "12[CFG] received proposals: ESP:AES_CBC_256/HMAC_SHA1_96/NO_EXT_SEQ",
        "12[CFG] configured proposals: ESP:AES_CBC_256/HMAC_SHA2_256_128/NO_EXT_SEQ",
    ]
    found = explain(lines).attempts[0].proposals
    assert len(found.smallest_change) == 1
    assert "HMAC_SHA1_96" in found.smallest_change[0]
    assert "HMAC_SHA2_256_128" in found.smallest_change[0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_one_side_cannot_know_is_said_after_the_causes(language: str) -> None:
    said = clause("blind", language)
    blind = sample("ciscoclient-04-xauth-rejected")
    first = explain(blind.lines, language=language).diagnoses[0]
    assert catalogue()[first.id].blind
    assert first.causes[-1] == said
    assert first.causes.count(said) == 1
    sure = explain(["04[NET] name vpn.example.org could not be resolved"], language=language)
    assert said not in sure.diagnoses[0].causes


def test_with_both_logs_at_hand_it_is_not_said() -> None:
    """The other side is no longer unknown."""
    client = sample("ciscoclient-04-xauth-rejected").lines
    gateway = tuple(
        line.replace("Sep 14 2016 13:05:44", "Jun 19 2008 08:12:10")
        for line in sample("asa-06-group-lock").lines
    )
    told = explain_ends(("client.log", client), ("asa.log", gateway))
    assert told is not None
    joined = told.attempts[0]
    assert "asa.log" in joined.timeline[0].says
    assert all(clause("blind", "en") not in one.causes for one in joined.diagnoses)


def test_only_diagnoses_with_causes_are_blind() -> None:
    for row in catalogue().values():
        if row.blind:
            assert words(row.id, "en").causes, row.id


REFUSED = (
    "Nov 20 10:00:00 gw charon: 05[IKE] initiating Aggressive Mode IKE_SA office[1] to 192.0.2.1",
    "Nov 20 10:00:01 gw charon: 05[IKE] received NO_PROPOSAL_CHOSEN error notify",
)
HEADLESS = (
    "{} gw charon: 07[IKE] IKE_SA office[7] established between 192.0.2.9[ann]...192.0.2.1[gw]",
    "{} gw charon: 07[IKE] XAUTH authentication of 'ann' (myself) failed",
)


def test_a_log_behind_another_that_lost_its_beginning_is_an_attempt_of_its_own() -> None:
    later = [line.format("Nov 21 09:00:02") for line in HEADLESS]
    for lines in ([*REFUSED, *later], [*later, *REFUSED]):
        told = explain(lines)
        found = [one.diagnoses[0].id for one in told.attempts]
        assert found == ["xauth.failed", "p1.no-proposal"], lines
    assert [one.id for one in explain(later).diagnoses][:1] == ["xauth.failed"]


def test_what_fails_within_the_hour_after_a_refusal_is_the_same_attempt() -> None:
    soon = HEADLESS[1].format("Nov 20 10:10:02")
    assert len(explain([*REFUSED, soon]).attempts) == 1
