"""Logs of two ends, of any makers: what one of them knows explains the other."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import pytest

from culvert.cli.main import run
from culvert.explain import explain, explain_ends
from culvert.explain.marks import named
from culvert.explain.render import render
from explain.scoring import sample
from explain.test_renderings import logs, written

Lines = tuple[str, ...]

CLIENT = sample("ciscoclient-04-xauth-rejected").lines
COOKIES = "70c2d1a8e55f0b3d:92b4a07d1166c8ef"
GATEWAY = sample("asa-06-group-lock").lines


def at(time: str) -> Lines:
    """The gateway's log as if that had been the time (it is of another day)."""
    return tuple(line.replace("Sep 14 2016 13:05:44", time) for line in GATEWAY)


def racoon() -> Lines:
    """A gateway that wants another group for new keys, at quite another time."""
    return tuple(
        line.replace("0011223344556677:8899aabbccddeeff", COOKIES)
        for line in sample("racoon-03-p2-pfs").lines
    )


def test_what_a_gateway_of_another_maker_knows_explains_the_client() -> None:
    alone = explain(CLIENT).diagnoses[0].id
    ends = ("client.log", CLIENT), ("asa.log", at("Jun 19 2008 08:12:10"))
    for first, second in permutations(ends):
        told = explain_ends(first, second)
        assert told is not None
        assert told.outcome == "failed"
        assert told.diagnoses[0].id == "xauth.group-lock" != alone
        assert told.diagnoses[0].evidence[0].text.startswith("asa.log: ")
        assert len(told.attempts) == 1
        assert "at the same time" in told.attempts[0].timeline[0].says


def test_steps_of_both_stand_in_order_of_time_with_line_and_file() -> None:
    told = explain_ends(("c", CLIENT), ("g", at("Jun 19 2008 08:12:08")))
    assert told is not None
    steps = told.attempts[0].timeline[1:]
    assert {step.says[:3] for step in steps} == {"c: ", "g: "}
    assert [step.at for step in steps] == sorted(step.at for step in steps)
    for step in steps:
        lines = CLIENT if step.says.startswith("c") else GATEWAY
        assert 1 <= step.line <= len(lines)


def test_cookies_join_whatever_the_clocks_say() -> None:
    told = explain_ends(("c", CLIENT), ("g", racoon()))
    assert told is not None
    assert "cookies or SPIs in common" in told.attempts[0].timeline[0].says
    assert "p2.pfs-mismatch" in {one.id for one in told.diagnoses}
    assert explain_ends(("c", CLIENT), ("g", sample("racoon-03-p2-pfs").lines)) is None


@pytest.mark.parametrize(
    ("time", "same"), [("06:12:03", True), ("13:42:01", True), ("08:31:00", False)]
)
def test_a_time_zone_is_no_obstacle_but_other_times_are(time: str, same: bool) -> None:
    told = explain_ends(("c", CLIENT), ("g", at(f"Jun 19 2008 {time}")))
    assert (told is not None) is same


def test_our_own_log_joins_with_one_of_another_maker() -> None:
    client, gateway = logs("wrong password")
    cookie = next(str(one) for entry in client if (one := entry.field("cookies")))
    initiator, _, responder = cookie.partition("/")
    foreign = tuple(
        line.replace(COOKIES.split(":", maxsplit=1)[0].upper(), initiator.upper()).replace(
            COOKIES.split(":")[1].upper(), responder.upper()
        )
        for line in CLIENT
    )
    told = explain_ends(("ours", written(gateway, "json")), ("cisco", foreign))
    assert told is not None
    assert told.diagnoses[0].id == explain(written(gateway, "json")).diagnoses[0].id


def test_two_logs_of_our_own_and_a_rotated_log_are_left_to_be_read_as_one() -> None:
    client, gateway = (written(of, "json") for of in logs("good"))
    assert explain_ends(("a", client), ("b", gateway)) is None
    whole = racoon()
    assert explain_ends(("log.1", whole[:3]), ("log", whole[3:])) is None


def test_spis_are_found_as_logs_print_them() -> None:
    assert named(["CHILD_SA hq{5} established with SPIs c7aa10f2_i 3b5210c9_o and TS"]) == {
        "sc7aa10f2",
        "s3b5210c9",
    }
    assert named(["IPsec-SA established: ESP/Tunnel spi=55443322(0x34dff6a)"]) == {"s034dff6a"}
    assert named(["Inbound SPI = 0x0c7aa10f, cookie 0000000000000000"]) == {"s0c7aa10f"}


def test_the_command_joins_two_files_and_reads_others_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, lines in (("c.log", CLIENT), ("g.log", at("Jun 19 2008 08:12:10"))):
        (tmp_path / name).write_text("\n".join(lines))
    files = [str(tmp_path / name) for name in ("c.log", "g.log")]
    assert run(["explain", "--json", *files]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["diagnoses"][0]["id"] == "xauth.group-lock"
    assert len(document["attempts"]) == 1
    assert run(["explain", "--lang", "de", *files]) == 0
    assert "erzählen wohl von derselben Verbindung" in capsys.readouterr().out
    assert run(["explain", "--json", *files, files[0]]) == 0
    assert len(json.loads(capsys.readouterr().out)["attempts"]) > 1


def test_of_two_logs_none_is_here() -> None:
    """What is offered stands under the name of the log that offers it."""
    lines = (
        "05[IKE] initiating IKE_SA o[1] to 192.0.2.1",
        "14[CFG] received proposals: IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_1024",
        "14[CFG] configured proposals: IKE:AES_CBC_128/HMAC_SHA1_96/PRF_HMAC_SHA1/MODP_2048",
        "14[IKE] no proposal found",
    )
    client = ("vpnc: response was invalid [1]:  (ISAKMP_N_NO_PROPOSAL_CHOSEN)(14)",)
    told = explain_ends(("client.log", client), ("gateway.log", lines))
    assert told is not None
    found = told.attempts[0].proposals
    assert found.ends == ("client.log", "gateway.log")
    assert "MODP_1024" in found.local[0]
    assert found.smallest_change[0].startswith("gateway.log: ")
    text = render(told)
    assert "  client.log: " in text
    assert "  here: " not in text
