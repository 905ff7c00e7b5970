"""ESP without UDP where no NAT is in between (S4-11, S4-12), and where one is (S4-30, S4-31)."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import USERS, PeerFailure
from interop.peers.tunnel import carries_nothing, prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

SOON = 30.0  # S4-30
IN_UDP = "udp port 4500"
PLAIN = "ip proto 50"


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    with OurGateway(lab) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_left(gateway: OurGateway) -> Iterator[None]:
    yield
    gateway.wait_until_empty()


@contextmanager
def captured(lab: Lab, name: str) -> Iterator[Path]:
    file = lab.state / f"{name}.pcap"
    sniffing = lab.capture("gw", file, "udp or ip proto 50")
    try:
        yield file
    finally:
        sniffing.stop()


def seen(file: Path, what: str) -> int:
    """How many packets of a capture fit."""
    read = [namespace.tool("tcpdump"), "-n", "-r", str(file), what]
    done = subprocess.run(read, capture_output=True, text=True, check=True)
    return len(done.stdout.splitlines())


@contextmanager
def no_esp_through_the_pat(lab: Lab) -> Iterator[None]:
    """As the PIX of the note: what has no ports cannot be translated to one address."""
    nft = namespace.tool("nft")
    rule = ["meta", "l4proto", "esp", "drop"]
    lab.run("pat", [nft, "insert", "rule", "ip", "filter", "forward", *rule])
    try:
        yield
    finally:
        listed = lab.run("pat", [nft, "-a", "list", "chain", "ip", "filter", "forward"]).stdout
        handle = next(line.split()[-1] for line in listed.splitlines() if " drop #" in line)
        lab.run("pat", [nft, "delete", "rule", "ip", "filter", "forward", "handle", handle])


def asserts_plain(row: dict[str, object]) -> None:
    assert (row["transport"], row["tunnel_port"]) == ("esp", 0)
    assert row["problem"] is None


@pytest.mark.requirement("S4-11", part="none")
@pytest.mark.requirement("S4-12")
@pytest.mark.cell("esp", "ourselves")
@pytest.mark.cell("no-nat", "ourselves")
def test_without_a_nat_our_client_sends_plain_esp_and_no_keepalive(
    lab: Lab, gateway: OurGateway
) -> None:
    profile = {"keepalive_interval": 1}
    with captured(lab, "plain") as file:
        with OurClient(lab, "pub", profile) as client, client.connected() as row:
            prove_data(lab, "pub")
            time.sleep(2.5)  # a keepalive would have come
            asserts_plain(gateway.session_of(client.user))
            asserts_plain(row)
        time.sleep(0.5)  # the capture writes what it has
    assert seen(file, PLAIN) > 700  # a megabyte
    assert seen(file, IN_UDP) == 0


@pytest.mark.cell("esp", "vpnc")
@pytest.mark.parametrize("natt", ["natt", "none"])
def test_without_a_nat_vpnc_has_a_tunnel_in_plain_esp(
    lab: Lab, gateway: OurGateway, natt: str
) -> None:
    with captured(lab, f"vpnc-{natt}") as file:
        with Vpnc(lab, "pub", natt=natt):
            prove_data(lab, "pub")
            asserts_plain(gateway.session_of(USERS["pub"]))
        time.sleep(0.5)
    assert seen(file, PLAIN) > 700
    assert seen(file, IN_UDP) == 0


def test_forced_nat_traversal_needs_no_nat(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "pub") as client, client.connected(nat_traversal="force") as row:
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)
        assert gateway.session_of(client.user)["transport"] == "nat-t"
        prove_data(lab, "pub")
    detected = client.events("ike.nat-detected")[-1]["fields"]
    assert (detected["local"], detected["remote"]) == (False, False)


@pytest.mark.requirement("S4-11", part="client")
def test_behind_the_pat_esp_is_in_udp(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "client1") as client, client.connected() as row:
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)
        assert row["problem"] is None
        prove_data(lab, "client1")


@pytest.mark.requirement("S4-30", part="client")
@pytest.mark.requirement("S4-31")
def test_nat_traversal_off_at_the_client_is_told_at_both_ends(
    lab: Lab, gateway: OurGateway
) -> None:
    off = {"nat_traversal": "off"}
    with (
        no_esp_through_the_pat(lab),
        OurClient(lab, "client1", off) as client,
        client.connected() as row,
    ):
        nothing_back(lab, gateway, client, row)


@pytest.mark.requirement("S4-30", part="gateway")
def test_nat_traversal_off_at_the_gateway_is_told_at_both_ends(
    lab: Lab, gateway: OurGateway
) -> None:
    with (
        set_to(gateway, "off"),
        no_esp_through_the_pat(lab),
        OurClient(lab, "client1") as client,
        client.connected() as row,
    ):
        nothing_back(lab, gateway, client, row)


def test_vpnc_without_nat_traversal_behind_the_pat_is_told_of_at_the_gateway(
    lab: Lab, gateway: OurGateway
) -> None:
    with no_esp_through_the_pat(lab), Vpnc(lab, natt="none"):
        row = gateway.session_of(USERS["client1"])
        assert (row["transport"], row["problem"]["id"]) == ("esp", "ike.natt-missing")
        assert carries_nothing(lab, "client1")
        until(
            "the gateway says why",
            lambda: gateway.session_of(USERS["client1"])["problem"]["id"] == "data.no-natt",
            seconds=SOON,
        )


def test_a_gateway_that_forces_nat_traversal_refuses_vpnc_without_it(
    lab: Lab, gateway: OurGateway
) -> None:
    with set_to(gateway, "force"):
        client = Vpnc(lab, natt="none")
        with contextlib.suppress(PeerFailure):
            client.up()  # its device stands a moment before phase 2
        assert client.process is not None
        assert client.process.wait()
        assert "NO_PROPOSAL_CHOSEN" in client.log
        refused = gateway.heard("ike.proposal-refused")[-1]["fields"]
        assert "encapsulation tunnel" in refused["remote"]
        story = gateway.culvert("gateway", "why", str(refused["session"]))
        assert "Phase 2 was refused" in story.out


def test_a_gateway_that_forces_nat_traversal_has_it_from_our_client_without_a_nat(
    lab: Lab, gateway: OurGateway
) -> None:
    with set_to(gateway, "force"), OurClient(lab, "pub") as client, client.connected() as row:
        assert row["transport"] == "nat-t"
        prove_data(lab, "pub")


@contextmanager
def set_to(gateway: OurGateway, nat_traversal: str) -> Iterator[None]:
    kept = gateway.group
    try:
        gateway.stop()
        gateway.group = {**kept, "nat_traversal": nat_traversal}
        gateway.start()
        yield
        gateway.wait_until_empty()
    finally:
        gateway.stop()
        gateway.group = kept
        gateway.start()


def nothing_back(lab: Lab, gateway: OurGateway, client: OurClient, row: dict[str, object]) -> None:
    problem = row["problem"]
    assert isinstance(problem, dict)
    assert problem["id"] == "ike.natt-missing"
    newest_first = [one["code"] for one in reversed(client.events())]
    this_time = newest_first[: newest_first.index("client.connecting")]
    assert this_time.index("ike.natt-missing") > this_time.index("client.up")
    began = time.monotonic()
    assert carries_nothing(lab, "client1")
    for _ in range(12):
        lab.ping("client1", topology.SERVER, wait=0.1)

    def told() -> bool:
        rows = (client.row, gateway.session_of(client.user))
        return all((one["problem"] or {}).get("id") == "data.no-natt" for one in rows)

    until("both ends say why", told, seconds=SOON - (time.monotonic() - began))
    ours, theirs = client.row, gateway.session_of(client.user)
    assert (ours["transport"], ours["tunnel_port"], theirs["transport"]) == ("esp", 0, "esp")
    assert (ours["packets_out"], ours["packets_in"]) == (13, 0)
    assert (theirs["bytes_in"], theirs["bytes_out"]) == (0, 0)
    for one in (ours, theirs):
        words = f"{one['problem']['sentence']} {one['problem']['action']}"
        assert "Tunnel is up but nothing comes back: ESP is not passing the NAT" in words
        assert "Gateway: enable NAT-T; Client: enable transparent tunnelling" in words
        assert "Firewall: open UDP 4500" in words
    assert "13 packets went out, 0 came back" in ours["problem"]["sentence"]
    assert "nothing comes back" in client.culvert("why").out
    here = gateway.culvert("gateway", "why", str(theirs["number"])).out
    assert "nothing comes back" in here
