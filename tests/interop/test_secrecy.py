"""What is inside the tunnel is on no wire between the peers, not even in part (S1-01)."""

from __future__ import annotations

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import VPNC_LEGACY, OurClient, OurGateway, until

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

WORD = b"in no clear word"  # as long as ping repeats a pattern
PINGS = 20


@pytest.mark.requirement("S1-01", part="secrecy")
@pytest.mark.parametrize("where", ["client1", "pub"], ids=["in UDP", "plain ESP"])
@pytest.mark.parametrize("suite", ["aes128gcm16", "aes128-sha1", "3des-md5"])
def test_no_octet_of_a_packet_is_seen_between_the_peers(lab: Lab, where: str, suite: str) -> None:
    wire, behind = (lab.state / f"{suite}-{where}-{name}.pcap" for name in ("wire", "lan"))
    profile = {"phase2": [suite], "legacy": list(VPNC_LEGACY)}
    with (
        OurGateway(lab, phase2=(suite,)),
        OurClient(lab, where, profile=profile) as client,
        client.connected(),
    ):
        sniffing = [
            lab.capture("inet", wire, "udp or ip proto 50"),
            lab.capture("server", behind, "icmp"),
        ]
        try:
            words = ["-n", "-c", str(PINGS), "-i", "0.02", "-s", "1000", "-p", WORD.hex()]
            lab.run(where, [namespace.tool("ping"), *words, topology.SERVER])
            until(
                "the server's capture has them",
                lambda: behind.read_bytes().count(WORD) > PINGS,
                seconds=5,
            )
        finally:
            for one in sniffing:
                one.stop()
    carried = wire.read_bytes()
    assert len(carried) > PINGS * 1000  # they are in there …
    assert WORD not in carried
    for start in range(len(WORD) - 4):
        assert (WORD * 2)[start : start + 12] not in carried  # … and no part of them
