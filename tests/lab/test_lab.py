"""The network itself, without any VPN."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from culvert.cli.lab import lab as command
from culvert.errors import MisuseError, PlatformError
from culvert.lab import lab as lab_module
from culvert.lab import namespace, process, topology
from culvert.lab.lab import OWNER, Lab, sweep

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]
numbers = count()


def prefix() -> str:
    return f"u{os.getpid()}n{next(numbers)}"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(prefix()) as standing:
        yield standing


def left_of(name: str) -> list[str]:
    places = [namespace.NETNS, namespace.ETC_NETNS, lab_module.STATE_ROOT]
    return [str(left) for place in places for left in place.glob(f"{name}*")]


@pytest.mark.parametrize("client", ["client1", "client2", "pub"])
def test_without_a_tunnel_the_gateway_answers_and_the_private_network_is_closed(
    lab: Lab, client: str
) -> None:
    assert lab.ping(client, topology.GATEWAY)
    assert not lab.ping(client, topology.SERVER, wait=0.3)
    assert not lab.ping(client, "40.1.1.1", wait=0.3)
    with pytest.raises(OSError, match=r"No route to host|unreachable|timed out|Permission"):
        lab.fetch(client, "index.html", silence=0.5)


def test_the_gateway_reaches_the_private_web_server(lab: Lab) -> None:
    fetched = lab.fetch("gw", "100M.bin")
    assert (fetched.octets, fetched.identical) == (100 << 20, True)


def test_a_changed_octet_is_noticed(lab: Lab, tmp_path: Path) -> None:
    octets = bytearray((lab.www / "1M.bin").read_bytes())
    octets[-1] ^= 1
    (tmp_path / "1M.bin").write_bytes(octets)
    other = Lab(lab.prefix)
    other.www = tmp_path
    assert not other.fetch("gw", "1M.bin").identical


def test_two_clients_on_one_port_get_ports_of_its_class_and_lose_them_with_a_flush(
    lab: Lab,
) -> None:
    lab.flush_nat()
    for client in ("client1", "client2"):
        for port in (500, 4500):
            send_from(lab, client, port)
    rows = lab.xlate().translations
    assert len(rows) == len({row.global_port for row in rows}) == 4
    for row in rows:
        assert row.global_port is not None
        assert (row.global_port < 512) == (row.local_port == 500)
        assert row.global_port != row.local_port
    lab.flush_nat()
    after = lab.xlate()
    assert (after.translations, after.most_used >= 4) == ((), True)


@pytest.mark.requirement("S4-02")
def test_the_table_has_the_pix_form_and_counts_what_conntrack_counts(lab: Lab) -> None:
    lab.flush_nat()
    for client in ("client1", "client2"):
        for port in (500, 4500):
            send_from(lab, client, port)
    listed = lab.run("pat", ["conntrack", "-L", "--src-nat"]).stdout.splitlines()
    head, *rows = str(lab.xlate()).splitlines()
    counts = re.fullmatch(r"(\d+) in use, (\d+) most used", head)
    assert counts
    assert int(counts[1]) == len(listed) == len(rows) == 4
    assert int(counts[2]) >= 4
    form = r"PAT Global 171\.69\.89\.78\(\d+\) Local 10\.10\.10\.[23]\((500|4500)\)"
    assert all(re.fullmatch(form, row) for row in rows)
    line = r" {6}(inside 10\.10\.10\.[23]|outside 171\.69\.88\.1) (\w{4}\.){2}\w{4}"
    neighbours = [str(row) for row in lab.arp()]
    assert len(neighbours) == 3
    assert all(re.fullmatch(line, row) for row in neighbours)


def send_from(lab: Lab, client: str, port: int) -> None:
    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outgoing:
            outgoing.bind(("", port))
            outgoing.sendto(b"x", (topology.GATEWAY, port))

    lab.inside(client, send)


def test_the_arp_table_knows_the_router_and_both_clients(lab: Lab) -> None:
    known = {(row.side, row.address) for row in lab.arp()}
    assert known >= {
        ("outside", topology.INET_PAT),
        ("inside", topology.CLIENT1),
        ("inside", topology.CLIENT2),
    }


def test_a_client_rewrites_its_own_resolv_conf_only(lab: Lab) -> None:
    outside = Path("/etc/resolv.conf").read_bytes()
    lab.run("client1", ["tee", "/etc/resolv.conf"], given="nameserver 192.168.2.10\n")
    assert lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout == "nameserver 192.168.2.10\n"
    assert "192.168.2.10" not in lab.run("client2", ["cat", "/etc/resolv.conf"]).stdout
    assert Path("/etc/resolv.conf").read_bytes() == outside


def test_a_private_run_is_seen_by_its_program_only(lab: Lab) -> None:
    write = [sys.executable, "-c", "open('/run/here.pid', 'w').write('1')"]
    ended = lab.spawn("client1", write, private_run=True, label="private")
    assert ended.wait()
    assert (lab.run_folder("private") / "here.pid").read_text() == "1"
    assert not Path("/run/here.pid").exists()


def test_a_program_is_found_by_a_later_process_and_stopped(lab: Lab) -> None:
    started = lab.spawn("client1", ["sleep", "600"])
    with pytest.raises(MisuseError, match="runs already"):
        lab.spawn("client1", ["sleep", "600"])
    found = {row.name: row for row in Lab(lab.prefix).running()}["sleep-client1"]
    assert (found.pid, found.alive) == (started.pid, True)
    found.stop()
    assert started.wait()
    assert started.status == -signal.SIGTERM


def test_waiting_for_words_that_never_come_shows_the_log(lab: Lab) -> None:
    spoken = lab.spawn("client1", ["echo", "something else"])
    with pytest.raises(PlatformError, match="something else"):
        spoken.wait_for("up")


def test_a_pulled_cable_carries_nothing_until_it_is_back(lab: Lab) -> None:
    lab.cut("client2")
    assert not lab.ping("client2", topology.GATEWAY, wait=0.3)
    lab.mend("client2")
    lab.inside(
        "client2",
        lambda: lab_module.wait_until_reached(topology.GATEWAY, time.monotonic() + 10),
    )


@pytest.mark.peer("tcpdump")
def test_a_capture_holds_the_packets(lab: Lab, tmp_path: Path) -> None:
    file = tmp_path / "udp.pcap"
    capture = lab.capture("gw", file, "udp port 4500")
    send_from(lab, "pub", 4500)
    end = time.monotonic() + 10
    while file.stat().st_size <= 24 and time.monotonic() < end:  # beyond the file's own header
        time.sleep(0.01)
    capture.stop()
    assert socket.inet_aton(topology.PUB) in file.read_bytes()


def test_it_comes_up_in_three_seconds_and_leaves_nothing() -> None:
    began = time.monotonic()
    lab = Lab(prefix())
    lab.up()
    took = time.monotonic() - began
    assert lab.is_up
    pids = [running.pid for running in lab.running()]
    assert pids
    lab.down()
    assert took < 3.0
    assert left_of(lab.prefix) == []
    assert all(namespace.is_zombie(pid) for pid in pids)


def test_a_crashed_process_leaves_a_lab_that_the_next_one_sweeps(tmp_path: Path) -> None:
    name = prefix()
    crash = (
        "import os, signal; from culvert.lab.lab import Lab; "
        f"lab = Lab({name!r}); lab.__enter__(); lab.spawn('gw', ['sleep', '600']); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    crashed = process.start("crash", [sys.executable, "-c", crash], folder=tmp_path)
    assert crashed.wait(timeout=20)
    assert (lab_module.STATE_ROOT / name / OWNER).exists(), crashed.said
    assert Lab(name).is_up
    assert name in sweep()
    assert left_of(name) == []


def test_two_labs_stand_side_by_side(lab: Lab) -> None:
    with Lab(prefix()) as other:
        other.run("client1", ["ip", "link", "set", "eth0", "down"])
        assert lab.ping("client1", topology.GATEWAY)


def test_the_command_line_builds_shows_and_removes_it() -> None:
    name = prefix()

    def say(*words: str) -> str:
        done = CliRunner().invoke(command, [*words, "--prefix", name], catch_exceptions=False)
        assert done.exit_code == 0
        return done.output

    try:
        assert "is up" in say("up")
        assert "http (pid" in say("status")
        assert say("xlate").startswith("0 in use, ")
        assert '"schema": 1' in say("arp", "--json")
    finally:
        assert "is down" in say("down")
    with pytest.raises(PlatformError, match=f"culvert lab up --prefix {name}"):
        say("xlate")
    assert left_of(name) == []


def test_an_impossible_name_is_a_bug_of_the_caller(lab: Lab) -> None:
    with pytest.raises(MisuseError, match="client1"):
        lab.ns("client9")
    with pytest.raises(MisuseError, match="prefix"):
        Lab("../x")


def test_a_missing_program_is_named_with_its_package() -> None:
    with pytest.raises(PlatformError, match="no-such-program"):
        namespace.tool("no-such-program")
