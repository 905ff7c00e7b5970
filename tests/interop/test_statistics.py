"""`culvert stats`: every figure of the statistics window, counted anew when asked (S4-21)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.matrix.names import SWITCHES
from interop.ours import OurClient, OurGateway, Row
from interop.peers.tunnel import carries_nothing
from interop.test_plain_esp import no_esp_through_the_pat

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

LZS = "aes256-sha1-lzs"
LAN = "10.10.10.0/24"
HERE = "10.10.10.1"


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    group = {"split_exclude": [LAN]}
    with OurGateway(lab, group=group, phase2=("aes256gcm16", LZS), legacy=SWITCHES) as running:
        yield running


@pytest.fixture(autouse=True)
def nobody_left(gateway: OurGateway) -> Iterator[None]:
    yield
    gateway.wait_until_empty()


def shown(client: OurClient, *words: str) -> Row:
    """`culvert stats --json`."""
    (found,) = client.culvert("stats", "--json", *words).document["connections"]
    row: Row = found
    return row


def lines(client: OurClient) -> dict[str, str]:
    """`culvert stats` as people read it."""
    told = client.culvert("stats", client.name)
    assert told.status == 0, told.err
    found: dict[str, str] = {}
    for line in told.out.splitlines()[1:]:
        name, _, value = line.strip().partition("  ")
        found[name] = value.strip()
    return found


@pytest.mark.requirement("S4-21", part="13 packets out, 0 in, port 0")
def test_thirteen_packets_out_none_in_and_no_tunnel_port(lab: Lab, gateway: OurGateway) -> None:
    with (
        no_esp_through_the_pat(lab),
        OurClient(lab, "client1", {"nat_traversal": "off"}) as client,
        client.connected(),
    ):
        assert carries_nothing(lab, "client1")
        for _ in range(12):
            lab.ping("client1", topology.SERVER, wait=0.1)
        told = lines(client)
        assert (told["packets encrypted"], told["packets decrypted"]) == ("13", "0")
        assert (told["bytes received"], told["tunnel port"]) == ("0", "0")
        assert told["transparent tunnelling"] == "inactive"


@pytest.mark.requirement("S4-21", part="every figure")
def test_behind_a_nat_every_figure_is_shown(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "client1") as client, client.connected():
        assert lab.ping("client1", topology.SERVER, count=3, wait=2.0)
        assert lab.ping("client1", HERE, count=3, wait=2.0)
        row, told = shown(client), lines(client)
    assert told["client address"] == row["client_address"] == "40.1.1.1"
    assert told["server address"] == row["server_address"] == topology.GATEWAY
    assert (row["packets_encrypted"], row["packets_decrypted"]) == (3, 3)
    assert row["bytes_in"] == row["bytes_out"] == int(told["bytes sent"]) == 3 * 84
    assert row["packets_discarded"] == int(told["packets discarded"]) == 0
    assert row["packets_bypassed"] >= 6
    assert int(told["packets bypassed"]) >= 6
    assert told["encryption"].startswith("AES-256")
    assert told["authentication"] == row["authentication"] != ""
    assert told["transparent tunnelling"] == "active on UDP port 4500"
    assert told["tunnel port"] == "4500"
    assert (told["local LAN"], told["compression"]) == ("disabled", "none")
    assert told["time connected"].startswith("0:00:")


@pytest.mark.requirement("S4-21", part="every figure")
def test_local_lan_and_compression_are_shown_where_they_are_on(
    lab: Lab, gateway: OurGateway
) -> None:
    keys = {"allow_local_lan": True, "phase2": [LZS], "legacy": SWITCHES}
    with OurClient(lab, "client1", keys) as client, client.connected():
        told = lines(client)
    assert (told["local LAN"], told["compression"]) == (LAN, "lzs")


@pytest.mark.requirement("S4-21", part="reset")
def test_after_a_reset_everything_is_counted_from_nought(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "client1") as client, client.connected() as before:
        assert lab.ping("client1", topology.SERVER, count=3, wait=2.0)
        assert lab.ping("client1", HERE, count=3, wait=2.0)
        reset = shown(client, "--reset")
        counted = ("packets_encrypted", "packets_decrypted", "bytes_in", "bytes_out")
        assert [reset[name] for name in counted] == [0, 0, 0, 0]
        assert reset["packets_bypassed"] < 6
        assert reset["since"] == before["since"] < reset["counted_since"]
        assert lab.ping("client1", topology.SERVER, count=2, wait=2.0)
        after = shown(client)
        assert [after[name] for name in counted] == [2, 2, 2 * 84, 2 * 84]
        assert client.row["packets_out"] == 5  # the status goes on counting
        assert "counted since" in lines(client)


def test_statistics_of_nobody_are_refused_by_name(lab: Lab, gateway: OurGateway) -> None:
    with OurClient(lab, "client1") as client:
        assert client.culvert("stats", "other").status == 6
        assert client.culvert("stats").out == "Nothing is connected.\n"
