"""kill -9 at every single step of setting up and taking down: all is as before after the repair.

Real routes, addresses, devices and name-server files in namespaces of their own.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from culvert.changes.plan import ServedNetwork
from culvert.effects import TunnelSettings
from culvert.netio.machine import Machine
from culvert.netio.resolver import PlainFile
from netio.dying import lives_through
from netio.namespaces import inside, ip, namespace

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

WORK = TunnelSettings(
    connection="work",
    address="10.77.0.5",
    prefix_length=32,
    mtu=1300,
    routes=("0.0.0.0/0", "2001:db8:77::/48", "198.51.100.0/24"),
    excluded=("203.0.113.0/24",),
    dns_servers=("10.77.0.1", "10.77.0.2"),
    search_domains=("corp.example",),
    split_domains=(),
    gateway="192.0.2.50",
)
HOME = TunnelSettings(
    connection="home",
    address="10.88.0.9",
    prefix_length=24,
    mtu=1400,
    routes=("192.0.2.0/24",),
    excluded=(),
    dns_servers=("10.88.0.1",),
    search_domains=(),
    split_domains=(),
    gateway="192.0.2.50",
)
SERVED = ServedNetwork("gateway", 1400, ("10.99.0.0/24", "10.98.0.0/16"), "10.99.0.1", 24)


@contextmanager
def computer(suffix: str) -> Generator[str]:
    """One network card, a default route, a local network of the tunnel's numbers."""
    with namespace(suffix) as name:
        ip("-n", name, "link", "add", "eth0", "type", "veth", "peer", "name", "switch")
        ip("-n", name, "link", "set", "switch", "up")
        for interface in ("eth0", "switch"):  # no addresses that come by themselves
            ip("-n", name, "link", "set", interface, "addrgenmode", "none")
        ip("-n", name, "addr", "add", "198.51.100.7/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "route", "add", "default", "via", "198.51.100.1", "metric", "100")
        yield name


# A device keeps the queue it got when it was first brought up; operstate and carrier follow the
# flags in their own time.
LOOK = r"""
ip -j addr | sed -E 's/"(qdisc|operstate)":"[^"]*",//g; s/,?"(LOWER_UP|NO-CARRIER)"//g'
ip route show table all; ip -6 route show table main; ip rule
cat /proc/sys/net/ipv4/ip_forward
"""


def picture(etc: Path) -> object:
    """Everything a change could be seen by, in the namespace we are in."""
    network = subprocess.run(("sh", "-c", LOOK), check=True, capture_output=True, text=True)
    files = {
        entry.name: (
            str(entry.readlink()) if entry.is_symlink() else entry.read_bytes(),
            entry.lstat().st_mode,
            entry.lstat().st_uid,
            entry.lstat().st_gid,
        )
        for entry in etc.iterdir()
    }
    return network.stdout, files


def client_life(machine: Machine) -> None:
    tun = machine.open_tun()
    machine.apply(WORK, tun.name)
    machine.restore("work")
    machine.close_tun(tun)


def two_connections_life(machine: Machine) -> None:
    first, second = machine.open_tun(), machine.open_tun()
    machine.apply(WORK, first.name)
    machine.apply(HOME, second.name)
    machine.restore("work")
    machine.restore("home")
    machine.close_tun(second)
    machine.close_tun(first)


def gateway_life(machine: Machine) -> None:
    tun = machine.open_tun("cvmgw")
    machine.serve(SERVED, tun.name)
    machine.close()
    tun.close()


def closed_life(machine: Machine) -> None:
    tun = machine.open_tun()
    machine.apply(replace(WORK, closed=True, local_lan=True), tun.name)
    machine.apply(replace(WORK, closed=True, address="10.77.0.6"), tun.name)
    machine.restore("work")
    machine.close_tun(tun)


def plain(etc: Path) -> None:
    file = etc / "resolv.conf"
    file.write_text("# the house's\nnameserver 198.51.100.1\nsearch lan\noptions edns0\n")
    file.chmod(0o640)
    os.chown(file, 7, 8)


def symlink(etc: Path) -> None:
    (etc / "stub.conf").write_text("nameserver 127.0.0.53\n")
    (etc / "resolv.conf").symlink_to("stub.conf")


def absent(etc: Path) -> None:
    assert not list(etc.iterdir())


@pytest.mark.parametrize(
    ("life", "files", "stride"),
    [
        pytest.param(client_life, plain, 1, id="client"),
        pytest.param(client_life, symlink, 2, id="client, resolv.conf is a link"),
        pytest.param(two_connections_life, absent, 3, id="two connections, no resolv.conf"),
        pytest.param(gateway_life, plain, 1, id="gateway"),
        pytest.param(closed_life, plain, 3, id="closed"),
    ],
)
def test_killed_at_every_step_the_repair_restores_all(
    life: Callable[[Machine], None], files: Callable[[Path], None], stride: int, tmp_path: Path
) -> None:
    etc, directory = tmp_path / "etc", tmp_path / "changes"
    etc.mkdir()
    files(etc)

    def new() -> Machine:
        return Machine(directory=directory, resolver=PlainFile(etc / "resolv.conf"))

    def repair() -> None:
        new().recover()

    with computer("k") as name, inside(name):
        before = picture(etc)
        step = changed = 0
        while not lives_through(lambda: life(new()), step):
            changed += picture(etc) != before
            # The repair is killed too, a little later each time, before it may end.
            lives_through(repair, step % 31)
            recovered = new().recover()
            assert recovered.failed == ()
            assert picture(etc) == before, f"killed at step {step}"
            assert not directory.is_dir() or not any(directory.iterdir())
            step += stride
        assert picture(etc) == before
        print(f"killed at {step // stride} steps; {changed} times the machine was not as before")
        assert changed > 5
