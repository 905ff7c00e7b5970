"""What ESP travels in, besides plain ESP and NAT traversal: Cisco's own UDP; long IKE messages in
fragments."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from culvert.lab import namespace
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import USERS
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc
from interop.test_plain_esp import captured, seen

pytestmark = [pytest.mark.root, pytest.mark.peer("vpnc")]

OVER_UDP = {"nat_traversal": "off", "ipsec_over_udp": True}
IN_UDP = "udp port 10000"
OVER_TCP = {"ipsec_over_tcp": True}


@pytest.fixture(scope="module", params=["kernel", "python"])
def gateway(lab: Lab, request: pytest.FixtureRequest) -> Iterator[OurGateway]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CULVERT_ENGINE", request.param)
        general = {"ipsec_over_udp": True, "ipsec_over_tcp": True}
        with OurGateway(lab, general=general) as running:
            yield running


@pytest.fixture(autouse=True)
def nobody_left(gateway: OurGateway) -> Iterator[None]:
    yield
    gateway.wait_until_empty()


@pytest.mark.cell("udp", "vpnc")
@pytest.mark.parametrize("where", ["pub", "client1"])
def test_vpnc_has_esp_in_ciscos_own_udp(lab: Lab, gateway: OurGateway, where: str) -> None:
    with captured(lab, f"vpnc-udp-{where}") as file:
        with Vpnc(lab, where, natt="cisco-udp"):
            prove_data(lab, where)
            row = gateway.session_of(USERS[where])
            assert (row["transport"], row["tunnel_port"]) == ("udp", 10000)
        time.sleep(0.5)
    assert seen(file, IN_UDP) > 30  # trains of datagrams count once
    assert seen(file, "udp port 4500 or ip proto 50") == 0


@pytest.mark.cell("udp", "ourselves")
@pytest.mark.parametrize("where", ["pub", "client1"])
def test_our_client_has_esp_in_ciscos_own_udp(lab: Lab, gateway: OurGateway, where: str) -> None:
    with (
        captured(lab, f"ours-udp-{where}") as file,
        OurClient(lab, where, OVER_UDP) as client,
    ):
        with client.connected() as row:
            assert (row["transport"], row["tunnel_port"]) == ("udp", 10000)
            prove_data(lab, where)
            assert gateway.session_of(client.user)["transport"] == "udp"
            assert client.row["problem"] is None
        time.sleep(0.5)
    assert seen(file, IN_UDP) > 30  # trains of datagrams count once
    assert seen(file, "udp port 4500 or ip proto 50") == 0


@contextmanager
def no_udp(lab: Lab, where: str) -> Iterator[None]:
    """As in a hotel: only TCP leaves."""
    nft = namespace.tool("nft")
    lab.run(where, [nft, "add", "table", "ip", "hotel"])
    hook = "{ type filter hook output priority 0; }"
    lab.run(where, [nft, "add", "chain", "ip", "hotel", "out", hook])
    rule = ["add", "rule", "ip", "hotel", "out", "oif", "!=", "lo", "meta", "l4proto"]
    lab.run(where, [nft, *rule, "{ udp, esp }", "drop"])
    try:
        yield
    finally:
        lab.run(where, [nft, "delete", "table", "ip", "hotel"])


@pytest.mark.cell("tcp", "ourselves")
@pytest.mark.parametrize("where", ["pub", "client1"])
def test_where_only_tcp_leaves_our_client_has_a_tunnel_all_the_same(
    lab: Lab, gateway: OurGateway, where: str
) -> None:
    with (
        no_udp(lab, where),
        OurClient(lab, where, OVER_TCP) as client,
        client.connected() as row,
    ):
        assert (row["transport"], row["tunnel_port"]) == ("tcp", 10000)
        prove_data(lab, where)
        assert gateway.session_of(client.user)["transport"] == "tcp"
        assert client.row["problem"] is None


def test_a_gateway_without_tcp_is_called_over_udp(lab: Lab, gateway: OurGateway) -> None:
    profile = {**OVER_TCP, "tcp_port": 10001}
    with OurClient(lab, "client1", profile) as client, client.connected() as row:
        assert row["transport"] == "nat-t"
        failed = client.events("client.tcp-failed")[-1]
        assert failed["fields"]["problem"]


HOLDER = """
import socket, time
held = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
for one, port in zip(held, (500, 4500)):
    one.bind(("0.0.0.0", port))
print("held", flush=True)
time.sleep(60)
"""


def test_where_another_program_has_the_ports_the_tunnel_comes_up_from_others(
    lab: Lab, gateway: OurGateway
) -> None:
    holder = lab.spawn("client1", [sys.executable, "-c", HOLDER], label="holder")
    try:
        until("the ports are taken", lambda: "held" in holder.said, seconds=10.0)
        with OurClient(lab, "client1") as client, client.connected() as row:
            assert row["transport"] == "nat-t"
            prove_data(lab, "client1")
    finally:
        holder.stop()
