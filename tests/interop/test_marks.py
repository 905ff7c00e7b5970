"""DSCP and ECN through our tunnel, both ways, on a path whose router marks (RFC 2983, RFC 6040)."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

EXPEDITED = 46 << 2
CAPABLE, CONGESTED = 2, 3
WAYS = {"esp": "pub", "nat-t": "client1"}
COUNT = 3
REQUESTS, REPLIES = "icmp[0] = 8", "icmp[0] = 0"
numbers = count()
OUTSIDE = "(ip proto 50 or udp port 4500) and not udp[8:4] = 0"


@pytest.fixture(scope="module", params=["kernel", "python"])
def gateway(request: pytest.FixtureRequest, lab: Lab) -> Iterator[OurGateway]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("CULVERT_ENGINE", request.param)
        with OurGateway(lab) as running:
            yield running


@dataclass
class Seen:
    """What passed the gateway and the client."""

    files: dict[str, Path]

    def marks(self, at: str, what: str) -> set[int]:
        """DSCP and ECN of the packets that fit."""
        read = [namespace.tool("tcpdump"), "-n", "-x", "-r", str(self.files[at]), what]
        done = subprocess.run(read, capture_output=True, text=True, check=True)
        rows = [line for line in done.stdout.splitlines() if "0x0000:" in line]
        return {int(line.split()[1][2:], 16) for line in rows}


@contextmanager
def watched(lab: Lab, where: str) -> Iterator[Seen]:
    number = next(numbers)
    seen = Seen({at: lab.state / f"marks{number}-{at}.pcap" for at in ("gw", where, "server")})
    with ExitStack() as stack:
        for at, file in seen.files.items():
            stack.callback(lab.capture(at, file, "icmp or udp or ip proto 50").stop)
        yield seen
        time.sleep(0.5)


@contextmanager
def marking(lab: Lab, towards: str, *, all_of_it: bool = False) -> Iterator[None]:
    """The router in the middle is full, and says so; with ``all_of_it`` it is broken, too, and
    marks what asked not to be marked."""
    nft = namespace.tool("nft")
    which = "" if all_of_it else "ip ecn ect0"
    rules = f"""table ip congestion {{ chain forward {{
        type filter hook forward priority mangle; policy accept;
        oifname "{towards}" meta l4proto {{ esp, udp }} {which} ip ecn set ce;
    }}; }};"""
    lab.run("inet", [nft, rules])
    try:
        yield
    finally:
        lab.run("inet", [nft, "delete", "table", "ip", "congestion"])


def ping(lab: Lab, where: str, mark: int) -> bool:
    words = ["-c", str(COUNT), "-i", "0.05", "-W", "1", "-Q", str(mark), topology.SERVER]
    return lab.run(where, [namespace.tool("ping"), *words], check=False).returncode == 0


@pytest.mark.parametrize("way", WAYS)
def test_marks_go_in_and_come_out_as_the_rfc_says(lab: Lab, gateway: OurGateway, way: str) -> None:
    where = WAYS[way]
    inside = topology.PAT_OUTSIDE if way == "nat-t" else topology.PUB
    up, down = f"{OUTSIDE} and src host {inside}", f"{OUTSIDE} and dst host {inside}"
    with OurClient(lab, where) as client, client.connected() as row:
        assert row["transport"] == way
        with watched(lab, where) as seen:
            assert ping(lab, where, EXPEDITED)
        assert EXPEDITED in seen.marks("gw", up) & seen.marks("gw", down)
        assert seen.marks("server", REQUESTS) == seen.marks(where, REPLIES) == {EXPEDITED}

        with marking(lab, "gw"), watched(lab, where) as seen:
            assert ping(lab, where, EXPEDITED | CAPABLE)
        assert EXPEDITED | CONGESTED in seen.marks("gw", up)
        assert seen.marks("server", REQUESTS) == {EXPEDITED | CONGESTED}

        back = "pub" if where == "pub" else "pat"
        with marking(lab, back), watched(lab, where) as seen:
            assert ping(lab, where, CAPABLE)
        assert seen.marks("server", REQUESTS) == {CAPABLE}
        assert CONGESTED in seen.marks(where, REPLIES)

        # A mark on what cannot carry one is a drop (RFC 6040 §4.2).
        dropped = gateway.session_of(client.user)["dropped_in"]
        with marking(lab, "gw", all_of_it=True):
            assert not ping(lab, where, 0)
        assert gateway.session_of(client.user)["dropped_in"] >= dropped + COUNT
        dropped = client.row["dropped_in"]
        with marking(lab, back, all_of_it=True):
            assert not ping(lab, where, 0)
        assert client.row["dropped_in"] >= dropped + COUNT
    gateway.wait_until_empty()


@pytest.mark.parametrize("way", WAYS)
def test_a_client_may_keep_its_marks_to_itself(lab: Lab, gateway: OurGateway, way: str) -> None:
    """And what was congested inside stays so."""
    where = WAYS[way]
    inside = topology.PAT_OUTSIDE if way == "nat-t" else topology.PUB
    up = f"{OUTSIDE} and src host {inside}"
    closed = {"copy_dscp": False, "copy_ecn": False}
    with OurClient(lab, where, closed) as client, client.connected():
        with watched(lab, where) as seen:
            assert ping(lab, where, EXPEDITED | CONGESTED)
        assert seen.marks("gw", up) == {0}
        assert seen.marks("server", REQUESTS) == {EXPEDITED | CONGESTED}
    gateway.wait_until_empty()
