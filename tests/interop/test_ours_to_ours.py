"""Our client at our gateway: two at once behind one PAT, both ends' tables, and their ends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import DOMAIN, OurClient, OurGateway, Row, traces, until
from interop.pat import (
    ADDRESSES,
    BOTH,
    deaf_to_the_inside,
    forgotten_in_mid_transfer,
    mapped,
    ports_of,
    received,
)
from interop.peers.credentials import USERS
from interop.peers.tunnel import carries_nothing, prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

WHOLE = 100 << 20
GOES_ON = 10.0
"""Seconds of silence at most after the PAT has forgotten everything."""
TUN = "culvert0"


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


@pytest.fixture(scope="module")
def clients(lab: Lab) -> Iterator[dict[str, OurClient]]:
    with OurClient(lab, "client1") as first, OurClient(lab, "client2") as second:
        yield {"client1": first, "client2": second}


@pytest.fixture(autouse=True)
def nobody_left(lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]) -> Iterator[None]:
    """Whatever a test did, its machines are as they were before it."""
    before = {where: traces(lab, where) for where in BOTH}
    yield
    for client in clients.values():
        client.down()
    gateway.wait_until_empty()
    assert {where: traces(lab, where) for where in BOTH} == before


@pytest.fixture
def both(gateway: OurGateway, clients: dict[str, OurClient]) -> dict[str, OurClient]:
    for client in clients.values():
        client.up()
    return clients


@pytest.mark.cell("two-behind-one-pat", "ourselves")
@pytest.mark.cell("xauth", "ourselves")
@pytest.mark.cell("mode-config", "ourselves")
@pytest.mark.cell("split", "ourselves")
@pytest.mark.requirement("S4-01", part="own client")
@pytest.mark.requirement("S1-71", part="host to network")
def test_two_at_once_each_with_its_own_address_row_and_100_mb(
    lab: Lab, gateway: OurGateway, both: dict[str, OurClient]
) -> None:
    rows = {where: gateway.session_of(USERS[where]) for where in BOTH}
    assert {row["assigned_ip"] for row in rows.values()} == {"40.1.1.1", "40.1.1.2"}
    assert len({row["public_port"] for row in rows.values()}) == 2
    # Both came from source port 500; the PAT alone tells them apart.
    assert ports_of(lab, 500).keys() == set(ADDRESSES.values())
    assert len(set(ports_of(lab, 500).values())) == 2
    for where, client in both.items():
        assert client.row["assigned_ip"] == rows[where]["assigned_ip"] == client.tunnel.address
        assert client.tunnel.routes == [topology.PRIVATE]
        assert lab.ping(where, topology.SERVER, count=2)
        resolv = lab.run(where, ["cat", "/etc/resolv.conf"]).stdout
        assert f"nameserver {topology.SERVER}" in resolv
        assert DOMAIN in resolv
    with ThreadPoolExecutor() as pool:
        fetched = list(pool.map(lambda where: lab.fetch(where, "100M.bin"), BOTH))
    assert all(one.identical and one.octets == WHOLE for one in fetched)
    both["client1"].down()
    until("one row is left", lambda: len(gateway.sessions) == 1, seconds=5)
    prove_data(lab, "client2")
    assert carries_nothing(lab, "client1")
    assert both["client2"].row["state"] == "up"


@pytest.mark.requirement("S4-01", part="own client")
def test_both_reconnect_with_swapped_ports(
    lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]
) -> None:
    ports = {"client1": 1025, "client2": 1026}
    for given in (ports, {"client1": 1026, "client2": 1025}):
        with mapped(lab, given), ExitStack() as stack:
            for client in clients.values():
                stack.enter_context(client.connected())
            seen = {row["user"]: row["public_port"] for row in gateway.sessions}
            assert seen == {USERS[where]: port for where, port in given.items()}
            for where in BOTH:
                prove_data(lab, where)


@pytest.mark.cell("nat-rebinding", "ourselves")
@pytest.mark.requirement("S4-03")
def test_a_translation_table_flushed_in_mid_transfer_stops_nobody(
    lab: Lab, gateway: OurGateway, both: dict[str, OurClient]
) -> None:
    before = ports_of(lab, 4500)

    for where in BOTH:
        forgotten_in_mid_transfer(
            lab, where, lambda w=where: received(lab, w, TUN), silence=GOES_ON
        )
    moved = {row["user"] for row in gateway.sessions if row["public_port"] not in before.values()}
    assert moved == {USERS[where] for where in BOTH}


@pytest.mark.requirement("S4-03")
def test_a_download_whose_every_answer_was_lost_with_the_table_goes_on_too(
    lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]
) -> None:
    # Nothing of the client's is under way any more that would make the PAT know it again.
    with clients["client1"].connected(), ThreadPoolExecutor() as pool:
        began = received(lab, "client1", TUN)
        running = pool.submit(lab.fetch, "client1", "100M.bin", silence=GOES_ON)
        until("20 MB", lambda: received(lab, "client1", TUN) > began + 20e6, seconds=GOES_ON)
        with deaf_to_the_inside(lab):
            until("the stream stops", lambda: stands_still(lab, "client1"), seconds=5)
            lab.flush_nat()
        assert not running.done()
        assert running.result().identical


def stands_still(lab: Lab, where: str) -> bool:
    before = received(lab, where, TUN)
    time.sleep(0.1)
    return received(lab, where, TUN) == before


TEXT, NUMBER, TEXTS = "text", "number", "texts"
ROW = {
    "name": TEXT,
    "user": TEXT,
    "group": TEXT,
    "state": TEXT,
    "protocol": TEXT,
    "transport": TEXT,
    "tunnel_port": NUMBER,
    "assigned_ip": TEXT,
    "public_ip": TEXT,
    "encryption": TEXT,
    "authentication": TEXT,
    "method": TEXT,
    "exchange_mode": TEXT,
    "since": TEXT,
    "bytes_in": NUMBER,
    "bytes_out": NUMBER,
    "packets_in": NUMBER,
    "packets_out": NUMBER,
    "dropped_in": NUMBER,
    "dropped_out": NUMBER,
    "weak": TEXTS,
}


def fits(value: object, kind: str) -> bool:
    if kind == TEXTS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    if kind == TEXT:
        return isinstance(value, str)
    return isinstance(value, int) and not isinstance(value, bool)


def test_both_ends_show_the_documented_row_with_living_values(
    lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]
) -> None:
    with clients["client1"].connected(phase2=["aes128-sha2_256"]):
        prove_data(lab, "client1")
        told = clients["client1"].culvert("status", "--json").document
        listed = gateway.listing
    assert told["schema"] == listed["schema"] == 1
    (ours,), (theirs,) = told["connections"], listed["sessions"]
    for row in (ours, theirs):
        assert row.keys() > ROW.keys() | {"problem"}
        assert {key: kind for key, kind in ROW.items() if not fits(row[key], kind)} == {}
        assert row["problem"] is None
        assert (row["state"], row["protocol"]) == ("up", "IPSec")
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)
        assert (row["encryption"], row["authentication"]) == ("AES-128", "HMAC-SHA-256")
        assert (row["user"], row["group"]) == ("vpnclient1", "ciscovpn")
        assert row["assigned_ip"] == "40.1.1.1"
        assert row["weak"] == ["aggressive-psk"]
        assert (row["method"], row["exchange_mode"]) == ("xauth-psk", "aggressive")
        assert datetime.fromisoformat(row["since"]).utcoffset() is not None
    assert (ours["name"], theirs["name"]) == ("office", "vpnclient1")
    assert (ours["public_ip"], theirs["public_ip"]) == (topology.CLIENT1, topology.PAT_OUTSIDE)
    assert listed["summary"].keys() >= {"active", "peak", "limit", "cumulative"}


def quiet(client: OurClient) -> bool:
    """Whether nothing goes through any more: two looks at its counters are alike."""
    return amounts(client.row) == amounts(client.row)


def amounts(row: Row) -> tuple[int, int, int, int]:
    return row["bytes_in"], row["bytes_out"], row["packets_in"], row["packets_out"]


TCP_HEADERS = 20 + 20 + 40  # IPv4, TCP, its longest options


@pytest.mark.requirement("S4-64", part="byte counters")
def test_counters_are_those_of_the_devices_at_both_ends(
    lab: Lab, gateway: OurGateway, both: dict[str, OurClient]
) -> None:
    for where, client in both.items():
        before = received(lab, where, TUN)
        prove_data(lab, where)
        until("nothing flows", lambda c=client: quiet(c), seconds=5)
        ours, theirs = client.row, gateway.session_of(client.user)
        device = received(lab, where, TUN) - before
        if ours["engine"] == "python":
            assert ours["bytes_in"] == device
        else:  # segments that it joined share one header at the device
            headers = TCP_HEADERS * ours["packets_in"]
            assert device <= ours["bytes_in"] <= device + headers
        assert ours["bytes_in"] > 1 << 20
        # A megabyte is too little to lose packets of; so each end counts what the other does.
        heard_in, heard_out, packets_in, packets_out = amounts(theirs)
        assert amounts(ours) == (heard_out, heard_in, packets_out, packets_in)
    told = gateway.listing
    summary = told["summary"]
    assert summary["active"] == summary["remote_access"] == len(told["sessions"]) == 2
    assert summary["cumulative"] >= summary["peak"] >= summary["active"]


def test_what_a_session_carried_is_in_its_last_event(
    lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]
) -> None:
    with clients["client1"].connected():
        prove_data(lab, "client1")
    gateway.wait_until_empty()
    ended = gateway.events("session.ended")[-1]["fields"]
    assert ended["octets_out"] > 1 << 20
    assert ended["octets_in"] > 0


@pytest.mark.cell("logout-reason", "ourselves")
@pytest.mark.requirement("S4-45", part="logout")
def test_a_logout_is_told_with_its_reason_at_both_ends(
    lab: Lab, gateway: OurGateway, both: dict[str, OurClient]
) -> None:
    first, second = both["client1"], both["client2"]
    number = str(gateway.session_of(first.user)["number"])
    out = gateway.culvert("gateway", "logout", number)
    assert out.status == 0, out.err
    assert first.user in out.out
    until("the client hears of it", lambda: first.row["state"] == "down", seconds=5)
    assert first.row["problem"]["id"] == "by-administrator"
    assert "administrator" in first.row["problem"]["sentence"]
    assert "administrator" in first.culvert("why").out
    here = gateway.culvert("gateway", "why", number)
    assert "administrator" in here.out
    ended = gateway.events("session.ended")[-1]["fields"]
    assert (ended["user"], ended["reason"]) == (first.user, "by-administrator")
    prove_data(lab, "client2")
    assert second.row["state"] == "up"


@pytest.mark.requirement("S4-45", part="ping")
def test_the_gateway_pings_a_client_through_its_tunnel(
    gateway: OurGateway, both: dict[str, OurClient]
) -> None:
    for client in both.values():
        row = gateway.session_of(client.user)
        told = gateway.culvert("gateway", "ping", str(row["number"]), "--json").document
        assert told["address"] == client.row["assigned_ip"]
        assert (told["sent"], told["received"], len(told["milliseconds"])) == (3, 3, 3)
        assert gateway.session_of(client.user)["packets_in"] >= row["packets_in"] + 3


@pytest.mark.cell("several-phase2", "ourselves")
@pytest.mark.requirement("S4-55")
def test_a_second_pair_for_the_gateway_itself_is_told_as_additional(
    lab: Lab, gateway: OurGateway, clients: dict[str, OurClient]
) -> None:
    client = clients["client1"]
    with client.connected(use_two_phase2=True):
        prove_data(lab, "client1")
        row = gateway.session_of(client.user)
        assert {pair["local"] for pair in row["spis"]} == {f"{topology.GATEWAY}/32", "0.0.0.0/0"}
        assert {pair["remote"] for pair in row["spis"]} == {f"{row['assigned_ip']}/32"}
        for end in (client, gateway):
            made = [one["fields"] for one in end.events("quick.established")][-2:]
            assert [one["additional"] for one in made] == [False, True]
            assert len({one["message_id"] for one in made}) == 2
        exchanges = {
            one["fields"]["message_id"]
            for one in gateway.heard("ike.received")
            if one["fields"]["exchange"] == "QM" and one["fields"].get("session") == row["number"]
        }
        assert len(exchanges) == 2
