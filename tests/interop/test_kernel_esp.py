"""The kernel's own IPsec as engine, where the kernel has ESP: `make xfrm` brings one along."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from culvert.driver.engine import kernel_ipsec
from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, traces, until
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from requirements.plugin import FIGURES

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert"), pytest.mark.timeout(900)]

TIMES = 10
"""Files of a mebibyte, each compared octet by octet."""
ONE = 1 << 20
WHOLE = TIMES * ONE
SECONDS = 120.0
GCM, CBC = ("aes128gcm16",), ("aes256-sha2_256",)
RENEWED_AFTER = 4096
"""Kilobytes: the transfer goes over it twice."""


@pytest.fixture(scope="module", autouse=True)
def able() -> None:
    if why := kernel_ipsec():
        pytest.skip(why)


@pytest.fixture(autouse=True)
def told(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    """What passed here is written down with the kernel that carried it."""
    began, failed = time.monotonic(), request.session.testsfailed
    yield
    if request.session.testsfailed == failed:
        seconds = time.monotonic() - began
        record_property(FIGURES, f"passed on Linux {os.uname().release} in {seconds:.0f} s")


@dataclass(frozen=True)
class Ends:
    gateway: OurGateway
    client: OurClient


@contextmanager
def ends(
    lab: Lab, gateway: str, client: str, where: str = "client1", **profile: object
) -> Iterator[Ends]:
    """Connected; afterwards both are as they were, the kernel's tables empty."""
    before = {place: left(lab, place) for place in ("gw", where)}
    assert before["gw"]["SAs"] == before["gw"]["policies"] == ""
    with (
        OurGateway(lab, options=("--engine", gateway)) as running,
        OurClient(lab, where, profile=profile, service=("--engine", client)) as connected,
    ):
        connected.up()
        yield Ends(running, connected)
        connected.down()
        running.wait_until_empty()
        assert left(lab, where) == before[where]
    assert {place: left(lab, place) for place in ("gw", where)} == before


def left(lab: Lab, where: str) -> Mapping[str, str]:
    tables = {"SAs": "state", "policies": "policy"}
    kept = {name: lab.run(where, ["ip", "xfrm", of]).stdout for name, of in tables.items()}
    return {**traces(lab, where), **kept}


def transfer(lab: Lab, where: str = "client1") -> None:
    prove_data(lab, where)
    for _ in range(TIMES):
        assert lab.fetch(where, "1M.bin").identical


def engines(both: Ends) -> tuple[str, str]:
    told = both.gateway.culvert("gateway", "status", "--json").document
    return str(told["engine"]), str(both.client.row["engine"])


@pytest.mark.parametrize("suite", [GCM, CBC], ids=["gcm", "cbc"])
def test_both_ends_in_the_kernel_carry_10_mb_behind_a_nat(lab: Lab, suite: tuple[str, ...]) -> None:
    with ends(lab, "xfrm", "xfrm", phase2=suite) as both:
        assert engines(both) == ("xfrm", "xfrm")
        states = lab.run("gw", ["ip", "xfrm", "state"]).stdout
        assert states.count("proto esp") == 2
        assert states.count("espinudp sport") == 2
        transfer(lab)
        until(
            "both ends have counted the transfer",
            lambda: (
                both.client.row["bytes_in"] > WHOLE
                and both.gateway.session_of(USERS["client1"])["bytes_out"] > WHOLE
            ),
            seconds=10,
        )


@pytest.mark.parametrize("suite", [GCM, CBC], ids=["gcm", "cbc"])
@pytest.mark.parametrize(("gateway", "client"), [("xfrm", "user"), ("user", "xfrm")])
def test_the_kernel_and_user_space_understand_each_other(
    lab: Lab, gateway: str, client: str, suite: tuple[str, ...]
) -> None:
    with ends(lab, gateway, client, phase2=suite) as both:
        assert [one == "xfrm" for one in engines(both)] == [gateway == "xfrm", client == "xfrm"]
        transfer(lab)


def test_plain_esp_where_no_nat_is_in_between(lab: Lab) -> None:
    with ends(lab, "xfrm", "xfrm", where="pub") as both:
        assert engines(both) == ("xfrm", "xfrm")
        states = lab.run("gw", ["ip", "xfrm", "state"]).stdout
        assert states.count("proto esp") == 2
        assert "encap" not in states
        transfer(lab, "pub")


def test_keys_are_renewed_by_volume_and_no_file_is_harmed(lab: Lab) -> None:
    with ends(lab, "xfrm", "xfrm", phase2_volume=RENEWED_AFTER) as both:
        transfer(lab)
        until(
            "the pair has been renewed",
            lambda: bool(both.client.heard("quick.rekeying")),
            seconds=20,
        )
        transfer(lab)
        until(
            "only the youngest pair is left",
            lambda: lab.run("client1", ["ip", "xfrm", "state"]).stdout.count("proto esp") == 2,
            seconds=60,
        )
        counted = both.client.row["bytes_in"]
        assert counted > 2 * WHOLE


def test_what_does_not_fit_is_told_to_whoever_sent_it(lab: Lab) -> None:
    """The kernel lowers no MSS of what it forwards; senders hear what fits, as on any path."""
    with ends(lab, "xfrm", "xfrm") as both:
        to = str(both.client.row["assigned_ip"])
        told = full_packet(lab, "server", to, 1500)
        fits = int(re.findall(r"mtu ?= ?(\d+)", told)[0])
        assert 1280 <= fits < 1500
        assert " 0% packet loss" in full_packet(lab, "server", to, fits)
        assert " 0% packet loss" in full_packet(lab, "client1", topology.SERVER, fits)


def full_packet(lab: Lab, where: str, to: str, octets: int) -> str:
    """One that may not be cut, and what `ping` says."""
    words = ["ping", "-n", "-M", "do", "-s", str(octets - 28), "-c", "2", "-W", "5", to]
    done = lab.run(where, words, check=False)
    return done.stdout + done.stderr


def test_what_the_kernel_cannot_do_is_done_in_user_space_and_said(lab: Lab) -> None:
    with ends(lab, "xfrm", "auto", topology="everywhere", legacy=["aggressive-psk"]) as both:
        assert both.client.row["engine"] != "xfrm"
        notes = [str(event) for event in both.client.heard("client.machine-note")]
        assert any("fail_closed" in note for note in notes)
        prove_data(lab, "client1")


def test_a_killed_service_leaves_what_repair_takes_away(lab: Lab) -> None:
    before = left(lab, "client1")
    with (
        OurGateway(lab, options=("--engine", "xfrm")),
        OurClient(lab, "client1", service=("--engine", "xfrm")) as client,
    ):
        client.up()
        prove_data(lab, "client1")
        client.kill()
        assert "proto esp" in lab.run("client1", ["ip", "xfrm", "state"]).stdout
        client.repair()
        assert left(lab, "client1") == before


def test_a_worker_that_dies_takes_its_sas_with_it(lab: Lab) -> None:
    with ends(lab, "xfrm", "xfrm") as both:
        prove_data(lab, "client1")
        for child in _children(both.gateway.running.pid):
            if b"culvert.gateway.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(child, signal.SIGKILL)
        until(
            "nothing of the worker is left in the kernel",
            lambda: not lab.run("gw", ["ip", "xfrm", "state"]).stdout,
            seconds=30,
        )


def _children(parent: int) -> list[int]:
    told = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    return [int(one) for one in told.split()]
