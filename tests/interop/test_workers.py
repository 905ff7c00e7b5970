"""A gateway with two workers and eight clients behind one PAT (docs/decisions/0157)."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from culvert.lab import namespace, topology
from culvert.lab.process import Spawned
from interop.crowd import Crowded, clients
from interop.ours import OurClient, OurGateway, Row, until
from interop.pat import forgotten_in_mid_transfer, received
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(300)]

COUNT = 8
POOL = f"40.1.1.1-40.1.1.{COUNT}"
"""As many addresses as clients: who has none left at its worker borrows."""
WATCHFUL = {"dpd_delay": 2, "dpd_timeout": 10}
PHASE1_SECONDS = 60
"""The shortest life a profile may ask for; renewed after 48 to 54."""
VOLUME = 20_000
"""Kilobytes of a pair; a download of 100 MB renews it five times."""
GOES_ON = 20.0
PATIENCE = 90.0
"""Seconds for what takes ten on a machine that does nothing else."""


@dataclass(frozen=True)
class Eight:
    gateway: OurGateway
    clients: Sequence[OurClient]

    def named(self, user: str) -> OurClient:
        return next(one for one in self.clients if one.user == user)


@pytest.fixture(scope="module")
def lab(swept: None) -> Iterator[Crowded]:
    with Crowded(f"w{os.getpid()}", COUNT) as standing:
        yield standing


@pytest.fixture(scope="module")
def running(lab: Crowded) -> Iterator[Eight]:
    gateway = OurGateway(
        lab, general={"workers": 2}, group={"max_logins": 1}, pool=POOL, users=lab.names
    )
    with gateway, clients(lab, lab.names, WATCHFUL) as made:
        yield Eight(gateway, made)


@pytest.fixture
def eight(running: Eight) -> Eight:
    """All of them are connected."""
    there = numbers(running.gateway.sessions)
    missing = [one for one in running.clients if one.user not in there]
    hang_up(missing)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.up(), missing))
    return running


def hang_up(made: Sequence[OurClient]) -> None:
    """Whatever they are doing."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda one: one.culvert("down", "--all"), made))


@pytest.fixture
def other(lab: Crowded, running: Eight) -> Iterator[OurGateway]:
    """Another one in its place, for clients of other kinds."""
    hang_up(running.clients)
    running.gateway.stop()
    gateway = OurGateway(
        lab, general={"workers": 2}, users=(*lab.names, *sorted(set(USERS.values())))
    )
    with gateway:
        yield gateway
    running.gateway.start()


def status(gateway: OurGateway) -> Row:
    return gateway.culvert("gateway", "status", "--json").document


def pinging(lab: Crowded, where: str, count: int, every: float) -> Spawned:
    words = ["-n", "-q", "-i", str(every), "-c", str(count), topology.SERVER]
    return lab.spawn(where, [namespace.tool("ping"), *words], label=f"ping-{where}")


def unanswered(ping: Spawned) -> int:
    assert ping.wait(timeout=PATIENCE)
    found = re.findall(r"(\d+) packets transmitted, (\d+) received", ping.said)
    assert found, ping.said
    sent, back = map(int, found[-1])
    return sent - back


def numbers(rows: Sequence[Row]) -> dict[str, int]:
    return {row["user"]: row["number"] for row in rows}


def workers(rows: Sequence[Row]) -> dict[str, int]:
    return {row["user"]: row["worker"] for row in rows}


def test_eight_clients_share_two_workers(lab: Crowded, eight: Eight) -> None:
    gateway = eight.gateway
    shown, rows = status(gateway), gateway.sessions
    assert shown["workers"] == 2
    assert sum(shown["worker_sessions"]) == shown["active"] == shown["peak"] == COUNT
    assert min(shown["worker_sessions"]) >= COUNT // 4
    assert set(numbers(rows)) == set(lab.names)
    found = [row["number"] for row in rows]
    assert found == sorted(set(found))
    assert {row["assigned_ip"] for row in rows} == {f"40.1.1.{n}" for n in range(1, 1 + COUNT)}
    for one in eight.clients:
        prove_data(lab, one.where)
    for row in {row["worker"]: row for row in rows}.values():
        answered = gateway.culvert("gateway", "ping", str(row["number"]))
        assert "3 of 3 answered" in answered.out, answered
    refused = gateway.culvert("gateway", "restart").err
    assert "not restarted: it has several workers" in refused
    assert set(numbers(gateway.sessions)) == set(lab.names)


def test_a_logout_reaches_any_worker_and_limits_hold_across_them(
    lab: Crowded, eight: Eight
) -> None:
    gateway = eight.gateway
    before = gateway.sessions
    gone = next(row for row in before if row["worker"] == 2)
    at_one = next(row for row in before if row["worker"] == 1)
    with OurClient(lab, "client1", {"user": "nobody-yet"}) as ninth:
        ninth.profile = {"user": at_one["user"]}
        assert ninth.try_up().status, "this user is here"
        done = gateway.culvert("gateway", "logout", str(gone["number"]))
        assert done.out == f"session {gone['number']} ({gone['user']}) logged out\n"
        until("it is gone", lambda: len(gateway.sessions) == COUNT - 1, seconds=GOES_ON)
        assert gone["number"] not in numbers(gateway.sessions).values()
        again = gateway.culvert("gateway", "logout", str(gone["number"]))
        assert "there is no session" in again.err
        # The other worker has fewer now, so that is where the same user is refused.
        assert ninth.try_up().status, "this user is at the other worker"
        reasons = [one["reason"] for one in gateway.refusals]
        assert reasons[-2:] == ["duplicate-limit", "duplicate-limit"]
        ninth.profile = {"user": gone["user"]}
        ninth.up()
        row = gateway.session_of(gone["user"])
        assert row["assigned_ip"] == gone["assigned_ip"], "the last one that was free"
        assert lab.ping("client1", topology.SERVER, count=2)
        ninth.down()
        until("it has gone", lambda: len(gateway.sessions) == COUNT - 1, seconds=GOES_ON)


def test_the_death_of_a_worker_is_noticed_by_its_own_clients_only(
    lab: Crowded, eight: Eight
) -> None:
    gateway = eight.gateway
    rows = gateway.sessions
    lost = {user for user, worker in workers(rows).items() if worker == 1}
    kept = {user: number for user, number in numbers(rows).items() if user not in lost}
    ups = {user: len(eight.named(user).events("client.up")) for user in lost}
    before = status(gateway)["worker_processes"]
    pings = {user: pinging(lab, user, 60, 0.1) for user in kept}
    os.kill(before[0], signal.SIGKILL)
    keep = [pinging(lab, user, 10_000, 0.2) for user in lost]
    assert {user: unanswered(ping) for user, ping in pings.items()} == dict.fromkeys(kept, 0)
    until(
        "they are back",
        lambda: all(len(eight.named(user).events("client.up")) > ups[user] for user in lost),
        seconds=PATIENCE,
    )
    for ping in keep:
        ping.stop()
    after = status(gateway)["worker_processes"]
    assert after[1] == before[1]
    assert after[0] not in (0, before[0])
    now = gateway.sessions
    assert set(numbers(now)) == set(lab.names)
    assert {user: numbers(now)[user] for user in kept} == kept
    assert set(workers(now).values()) == {1, 2}, "the new one takes clients, too"
    for one in eight.clients:
        prove_data(lab, one.where)


def test_renewals_by_time_and_volume_stay_with_their_worker(
    lab: Crowded, other: OurGateway
) -> None:
    keys = {"phase1_lifetime": PHASE1_SECONDS, "remote_networks": [topology.PRIVATE]}
    with (
        clients(lab, ("pub", "client2"), keys) as calm,
        OurClient(lab, "client1", {**keys, "phase2_volume": VOLUME}) as busy,
    ):
        calm[0].profile = {**keys, "user": lab.names[0]}
        made = (busy, *calm)
        for one in made:
            one.up()
        before = other.sessions
        assert lab.fetch(busy.where, "100M.bin").identical
        pings = [pinging(lab, one.where, 600, 0.1) for one in made]
        until(
            "phase 1 is renewed everywhere",
            lambda: all(one.events("ike.renewed") for one in made),
            seconds=PHASE1_SECONDS + PATIENCE,
        )
        assert [unanswered(ping) for ping in pings] == [0, 0, 0]
        assert len(busy.events("quick.rekeying")) >= 3
        after = other.sessions
        assert numbers(after) == numbers(before)
        assert workers(after) == workers(before)
        assert set(workers(after).values()) == {1, 2}


@pytest.mark.peer("vpnc")
def test_vpnc_goes_on_after_its_nat_forgot_it_at_either_worker(
    lab: Crowded, other: OurGateway
) -> None:
    with Vpnc(lab, "client1"), Vpnc(lab, "client2"):
        rows = other.sessions
        assert set(workers(rows).values()) == {1, 2}
        before = {row["user"]: row["public_port"] for row in rows}
        for where in ("client1", "client2"):
            forgotten_in_mid_transfer(
                lab, where, lambda w=where: received(lab, w, "tun0"), silence=GOES_ON
            )
        after = other.sessions
        assert numbers(after) == numbers(rows)
        assert all(before[row["user"]] != row["public_port"] for row in after)
