"""The reasons a session can end with, against the printed table they come from."""

from __future__ import annotations

import pytest

from culvert.errors import MisuseError
from culvert.session.ending import (
    closing_words,
    delete_reasons,
    delete_text,
    ending,
    endings,
    heard,
    openings,
)
from culvert.tables.loader import document

# Cisco VPN Client 4.6 administrator guide, table 8-1, in its order.
PRINTED = {
    "IKE_DELETE_SERVER_SHUTDOWN": "Peer has been shut down",
    "IKE_DELETE_SERVER_REBOOT": "Peer has been rebooted.",
    "IKE_DELETE_MAX_CONNECT_TIME": "Maximum configured connection time exceeded.",
    "IKE_DELETE_BY_USER_COMMAND": "Manually disconnected by administrator.",
    "IKE_DELETE_BY_ERROR": "Connectivity to Client lost.",
    "IKE_DELETE_NO_ERROR": "Unknown error.",
    "IKE_DELETE_IDLE_TIMEOUT": "Maximum idle time for session exceeded.",
    "IKE_DELETE_P2_PROPOSAL_MISMATCH": "Policy negotiation failed",
    "IKE_DELETE_FIREWALL_MISMATCH": "Firewall policy mismatch.",
    "IKE_DELETE_CERT_EXPIRED": "Certificates used with this connection entry have expired.",
    "IKE_DELETE_BY_EXPIRED_LIFETIME": "Maximum configured lifetime exceeded.",
}

# What the cores end sessions with; a core that uses another id fails in `ending`.
USED = [
    "by-user",
    "by-administrator",
    "peer-shutdown",
    "peer-reboot",
    "max-connect-time",
    "idle-timeout",
    "lifetime-expired",
    "lost-peer",
    "no-answer",
    "proposal-refused",
    "phase2-refused",
    "group-mismatch",
    "auth-rejected",
    "auth-silence",
    "no-address",
    "session-limit",
    "duplicate-limit",
    "outside-hours",
    "mode-refused",
    "id-refused",
    "replaced",
    "machine-failed",
    "resolve-failed",
    "protocol-error",
    "half-open-timeout",
    "error",
]


@pytest.mark.requirement("S0-20")
def test_the_eleven_printed_reasons_are_ours_character_for_character() -> None:
    ours = {row.name: row.text for row in delete_reasons().values() if row.printed}
    assert ours == PRINTED
    assert [n for n, text in PRINTED.items() if not text.endswith(".")] == [
        "IKE_DELETE_SERVER_SHUTDOWN",
        "IKE_DELETE_P2_PROPOSAL_MISMATCH",
    ]


@pytest.mark.requirement("S0-20")
def test_an_unknown_reason_reads_as_unknown_error_with_its_number() -> None:
    assert delete_text(99) == "Unknown error. (99)"
    assert delete_text(9) == "Peer has been rebooted."


def test_every_id_the_cores_use_has_a_row() -> None:
    assert set(USED) <= endings().keys()


def test_an_id_without_a_row_is_a_bug() -> None:
    with pytest.raises(MisuseError, match="no-such"):
        ending("no-such")


def test_ids_and_codes_are_used_once() -> None:
    for heading, key in (("ending", "id"), ("delete_reason", "code"), ("delete_reason", "name")):
        values = [row[key] for row in document("endings.toml")[heading]]
        assert len(values) == len(set(values)), (heading, key)


def test_sentences_are_whole_and_every_row_says_what_to_do() -> None:
    for row in endings().values():
        assert row.sentence[0].isupper() and row.sentence.endswith("."), row.id
        assert row.action[0].isupper() and row.action.endswith("."), row.id
        assert row.who in {"user", "administrator", "network", "nobody"}, row.id
        assert row.side in {"client", "gateway", "either"}, row.id
        assert 1 <= row.severity <= 13, row.id


def test_codes_and_endings_point_at_each_other() -> None:
    for row in endings().values():
        if row.delete_code:
            reason = delete_reasons()[row.delete_code]
            assert reason.printed or row.id == "client-not-allowed"
            assert row.delete_text == reason.text
    for reason in delete_reasons().values():
        assert reason.ending in endings()
        assert not reason.ending_from_client or reason.ending_from_client in endings()


def test_a_reason_that_would_help_a_guesser_is_never_told() -> None:
    for id in ("group-mismatch", "id-refused", "half-open-timeout"):
        assert not ending(id).tell_peer
        assert not ending(id).delete_code


def test_manually_disconnected_means_the_administrator_only_from_a_gateway() -> None:
    assert heard(2, from_client=False).id == "by-administrator"
    assert heard(2, from_client=True).id == "by-user"


def test_a_plain_delete_is_the_user_or_unexplained() -> None:
    assert heard(0, from_client=True).id == "by-user"
    assert heard(0, from_client=False).id == "peer-deleted"
    assert heard(99, from_client=True).id == "peer-deleted"


@pytest.mark.requirement("S0-21", part="writing")
def test_what_ends_here_opens_with_the_clients_words() -> None:
    assert closing_words("by-user") == (
        "Secure VPN Connection terminated locally by the Client",
        "Reason: The user ended the connection.",
    )


@pytest.mark.requirement("S0-22")
@pytest.mark.parametrize("address", ["172.16.172.50", "2001:db8::50"])
def test_what_the_gateway_ends_opens_with_its_address(address: str) -> None:
    assert closing_words("peer-shutdown", peer=address, code=5) == (
        f"Secure VPN Connection terminated by Peer {address}",
        "Reason: Peer has been shut down",
    )


def test_what_the_gateway_ends_has_the_text_of_the_number_that_it_gave() -> None:
    for code, reason in delete_reasons().items():
        assert closing_words(reason.ending, peer="192.0.2.1", code=code) == (
            "Secure VPN Connection terminated by Peer 192.0.2.1",
            f"Reason: {reason.text}",
        )
    assert closing_words("peer-deleted", peer="192.0.2.1", code=99)[1] == (
        "Reason: Unknown error. (99)"
    )


def test_a_reason_that_our_own_kind_tells_without_a_number_is_said_in_our_words() -> None:
    assert closing_words("outside-hours", peer="192.0.2.1")[1] == (
        f"Reason: {ending('outside-hours').sentence}"
    )


def test_without_a_reason_only_the_opening_is_said() -> None:
    assert closing_words("peer-deleted", peer="192.0.2.1") == (
        "Secure VPN Connection terminated by Peer 192.0.2.1",
    )


def test_foreign_spellings_are_kept_for_reading_and_never_written() -> None:
    read_only = [row.text for row in openings() if not row.written]
    assert read_only == [
        "Secure VPN Connection terminated terminated locally by the client",
        "Reason {number}: {text}",
        "Connection terminated on: {date}   Duration: {days} day(s), {time}",
    ]
