"""Logins that our gateway refuses: both ends name the cause, and the next attempt is unharmed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, Row, until
from interop.peers.credentials import GROUP, GROUP_KEY, PASSWORD, USERS, PeerFailure
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

WRONG_KEY = "wrong but of more than twenty characters"
HALF_OPEN = 30.0
"""Seconds until the gateway gives up one who never proved the key."""


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    # One address, and one login for each user: a second is one too many of either.
    with OurGateway(lab, pool="40.1.1.1-40.1.1.1", group={"max_logins": 1}) as running:
        yield running


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab) as running:
        yield running


@pytest.fixture(scope="module")
def second(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab, "client2") as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_left(gateway: OurGateway) -> Iterator[None]:
    yield
    gateway.wait_until_empty()


@dataclass(frozen=True)
class Case:
    """What the client has wrong; what the gateway's log, table and story say of it; and what the
    client hears: status of `up`, diagnosis of `why`, words of vpnc."""

    event: str
    cause: str
    story: str
    status: int
    diagnosis: str
    vpnc: str
    group: str = GROUP
    group_key: str = GROUP_KEY
    user: str = USERS["client1"]
    password: str = PASSWORD
    told_by_vpnc: bool = True
    """Whether the gateway can know it of vpnc, which goes away without a word when keys differ."""


BEFORE_LOGIN = {
    "unknown group": Case(
        "ike.group-unknown",
        "there is no group strangers",
        "p1.group-unknown",
        13,
        "p1.psk-mismatch",
        "hash comparison failed",
        group="strangers",
    ),
    "wrong group key": Case(
        "ike.group-key-mismatch",
        f"the caller's key is not that of group {GROUP}",
        "p1.psk-mismatch",
        13,
        "p1.psk-mismatch",
        "hash comparison failed",
        group_key=WRONG_KEY,
        told_by_vpnc=False,
    ),
}
LOGIN = {
    "unknown user": Case(
        "auth.unknown-user",
        "unknown-user",
        "xauth.user-unknown",
        14,
        "xauth.failed",
        "authentication unsuccessful",
        user="nobody",
    ),
    "wrong password": Case(
        "auth.wrong-password",
        "wrong-password",
        "xauth.failed",
        14,
        "xauth.failed",
        "authentication unsuccessful",
        password="wrong",
    ),
}


def refuse_both(lab: Lab, gateway: OurGateway, client: OurClient, case: Case) -> None:
    """Our client and vpnc try in turn; the gateway's log and story name the cause of each."""
    client.profile = {"group": case.group, "group_key": case.group_key, "user": case.user}
    client.password = case.password
    heard = len(gateway.events(case.event))
    refused = client.try_up()
    assert refused.status == case.status, refused.err
    assert client.why()["diagnosis"]["id"] == case.diagnosis
    until("the gateway's event", lambda: len(gateway.events(case.event)) > heard, seconds=5)
    assert gateway.culvert("gateway", "why", "--json").document["diagnosis"]["id"] == case.story
    heard = len(gateway.events(case.event))
    peer = Vpnc(
        lab,
        group=case.group,
        group_key=case.group_key,
        user=case.user,
        password=case.password,
    )
    with pytest.raises(PeerFailure, match=case.vpnc):
        peer.up()
    if case.told_by_vpnc:
        until("the gateway's event", lambda: len(gateway.events(case.event)) > heard, seconds=5)


def works(lab: Lab, client: OurClient) -> None:
    """The next attempt, with everything right, by our client and by vpnc."""
    client.profile, client.password = {}, PASSWORD
    with client.connected():
        prove_data(lab, client.where)
    with Vpnc(lab, client.where):
        prove_data(lab, client.where)


@pytest.mark.cell("xauth-refused", "ourselves")
@pytest.mark.cell("xauth-refused", "vpnc")
@pytest.mark.parametrize("case", LOGIN.values(), ids=LOGIN)
def test_a_wrong_login_is_named_at_the_gateway_and_not_to_the_client(
    lab: Lab, gateway: OurGateway, client: OurClient, case: Case
) -> None:
    before = len(gateway.refusals)
    refuse_both(lab, gateway, client, case)
    until("both are listed", lambda: len(gateway.refusals) == before + 2, seconds=5)
    for row in gateway.refusals[before:]:
        assert (row["reason"], row["cause"]) == ("auth-rejected", case.cause)
        assert (row["group"], row["user"]) == (GROUP, case.user)
    assert case.cause in gateway.culvert("gateway", "sessions").out
    works(lab, client)


def test_an_unknown_user_and_a_wrong_password_read_the_same_to_the_client(
    gateway: OurGateway, client: OurClient
) -> None:
    told: list[Row] = []
    for user, password in (("nobody", PASSWORD), (USERS["client1"], "wrong")):
        client.profile, client.password = {"user": user}, password
        client.try_up()
        story = client.why()
        steps = [(step["code"], step["text"].replace(user, "USER")) for step in story["steps"]]
        diagnosis = {**story["diagnosis"], "why": story["diagnosis"]["why"].replace(user, "USER")}
        told.append({"steps": steps, "diagnosis": diagnosis})
    assert told[0] == told[1]


@pytest.mark.timeout(120)
def test_an_unknown_group_and_a_wrong_key_are_told_apart_at_the_gateway_only(
    lab: Lab, gateway: OurGateway, client: OurClient
) -> None:
    before = len(gateway.refusals)
    for case in BEFORE_LOGIN.values():
        refuse_both(lab, gateway, client, case)
    works(lab, client)
    # The table has who said nothing more when the gateway has given up waiting for the proof.
    until("all are listed", lambda: len(gateway.refusals) == before + 4, seconds=HALF_OPEN + 10)
    rows = gateway.refusals[before:]
    unknown, wrong = (case.cause for case in BEFORE_LOGIN.values())
    missing = f"no proof of the key of group {GROUP} came"
    assert [(row["reason"], row["cause"]) for row in rows] == [
        ("group-mismatch", unknown),
        ("group-mismatch", unknown),
        ("group-mismatch", wrong),
        ("half-open-timeout", missing),  # vpnc went without a word
    ]


@pytest.mark.parametrize(
    ("user", "event", "reason"),
    [
        (USERS["client2"], "session.no-address", "no-address"),
        (USERS["client1"], "session.duplicate-limit", "duplicate-limit"),
    ],
)
def test_what_policy_refuses_is_told_to_both_ends_after_the_login(
    lab: Lab,
    gateway: OurGateway,
    client: OurClient,
    second: OurClient,
    user: str,
    event: str,
    reason: str,
) -> None:
    client.profile, client.password = {}, PASSWORD
    before = len(gateway.refusals)
    with client.connected():
        second.profile = {"user": user}
        refused = second.try_up()
        assert refused.status not in (0, 13, 14)
        assert second.why()["diagnosis"]["id"] != "ok.established"
        assert second.row["problem"]["id"] == reason
        assert any(step["code"] == "xauth.accepted" for step in second.why()["steps"])
        second.stop()
        with contextlib.suppress(PeerFailure):
            Vpnc(lab, "client2", user=user, patience=5.0).up()
        second.start()

        # Those who never proved a key are listed when they are given up, which may be now.
        def listed() -> int:
            return [row["reason"] for row in gateway.refusals[before:]].count(reason)

        until("both are listed", lambda: listed() == 2, seconds=5)
        assert len(gateway.events(event)) == 2
        assert gateway.session_of(USERS["client1"])["state"] == "up"
        prove_data(lab, "client1")
    second.profile = {}
    works(lab, second)
