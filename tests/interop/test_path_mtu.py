"""The client finds the MTU of its tunnel by itself: on narrow paths it sends no fragment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.tables.presets import preset_values
from interop.matrix.names import SWITCHES
from interop.ours import OurClient, OurGateway, until
from interop.test_plain_esp import captured, seen

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

WAYS = {
    "esp": ("pub", {}),
    "nat-t": ("client1", {}),
    "udp": ("client1", {"nat_traversal": "off", "ipsec_over_udp": True}),
    "tcp": ("client1", {"ipsec_over_tcp": True}),
}
FRAGMENTS = f"(ip[6:2] & 0x3fff) != 0 and not src host {topology.GATEWAY}"
SUITES = ("aes128gcm16", "aes256-sha2_256")


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    general = {"ipsec_over_udp": True, "ipsec_over_tcp": True}
    phase2 = (*NAMES, *SUITES)
    with OurGateway(lab, general=general, phase2=phase2, legacy=SWITCHES) as running:
        yield running


@contextmanager
def narrow(lab: Lab, where: str, mtu: int) -> Iterator[None]:
    """The way is narrow behind the first router, where only ICMP tells of it."""
    router, link = ("inet", "gw") if where == "pub" else ("pat", topology.PAT_OUTLINK)
    change = ["ip", "-n", lab.ns(router), "link", "set", link, "mtu"]
    namespace.call([*change, str(mtu)])
    try:
        yield
    finally:
        namespace.call([*change, "1500"])
        for end in (where, "pub", "client1"):
            namespace.call(["ip", "-n", lab.ns(end), "route", "flush", "cache"])


PATHS = (1500, 1492, 1400, 1280)
NAMES = cast("list[str]", preset_values("cisco-4.6-exact")["phase2"])
"""The sixteen of S0-51. With each way every one of them is seen, four by four on each path; that
the figures fit with all of them on all paths is shown by tests/datapath/test_mtu.py."""


def suites(way: str, mtu: int) -> list[str]:
    start = [*WAYS].index(way) + PATHS.index(mtu)
    return [NAMES[(start + step * len(PATHS)) % len(NAMES)] for step in range(len(PATHS))]


def test_with_each_way_every_suite_is_seen() -> None:
    assert len(NAMES) == 16
    for way in WAYS:
        assert sorted(name for mtu in PATHS for name in suites(way, mtu)) == sorted(NAMES)


@pytest.mark.requirement("S0-10", part="found in the lab")
@pytest.mark.parametrize("mtu", PATHS)
@pytest.mark.parametrize("way", WAYS)
def test_on_no_path_the_client_sends_a_fragment(
    lab: Lab, gateway: OurGateway, way: str, mtu: int
) -> None:
    where, keys = WAYS[way]
    with (
        narrow(lab, where, mtu),
        captured(lab, f"narrow-{way}-{mtu}") as file,
        OurClient(lab, where, {**keys, "legacy": SWITCHES}) as client,
    ):
        for suite in (*suites(way, mtu), SUITES[mtu in (1492, 1280)]):
            with client.connected(phase2=[suite]) as row:
                assert row["transport"] == way
                full_packets(lab, where, client.tunnel.interface)
                assert lab.fetch(where, "1M.bin").identical
        gateway.wait_until_empty()
        time.sleep(0.3)
    assert seen(file, FRAGMENTS) == 0


@pytest.mark.requirement("S0-13", part="inner MTU 1300")
@pytest.mark.parametrize("way", WAYS)
def test_with_an_inner_mtu_of_1300_nothing_is_cut(lab: Lab, gateway: OurGateway, way: str) -> None:
    where, keys = WAYS[way]
    profile = {**keys, "legacy": SWITCHES, "mtu": 1300}
    with captured(lab, f"enough-{way}") as file, OurClient(lab, where, profile) as client:
        for suite in (*suites(way, 1500), SUITES[1]):
            with client.connected(phase2=[suite]):
                full_packets(lab, where, client.tunnel.interface)
                assert lab.fetch(where, "1M.bin").identical
        gateway.wait_until_empty()
        time.sleep(0.3)
    assert seen(file, FRAGMENTS) == 0


@pytest.mark.requirement("S0-13", part="larger ones are warned about")
@pytest.mark.parametrize(("mtu", "warned"), [(1300, False), (1301, True)])
def test_a_larger_mtu_in_a_profile_is_warned_about_at_each_connect(
    lab: Lab, gateway: OurGateway, mtu: int, warned: bool
) -> None:
    with OurClient(lab, "pub", {"mtu": mtu}) as client:
        done = client.try_up()
        assert done.status == 0
        said = " ".join(done.err.split())
        assert (f"{mtu} is more than 1300: IPsec makes packets bigger" in said) is warned
        assert ("cut into fragments, which many firewalls drop" in said) is warned
        client.down()
    gateway.wait_until_empty()


def full_packets(lab: Lab, where: str, interface: str) -> None:
    """Packets as long as the tunnel's device takes get there and back."""
    told = namespace.call(["ip", "-n", lab.ns(where), "-o", "link", "show", interface])
    mtu = int(told.split(" mtu ")[1].split()[0])
    words = [namespace.tool("ping"), "-n", "-q", "-M", "do", "-s", str(mtu - 28), "-c", "3"]
    words += ["-i", "0.05", "-W", "2", topology.SERVER]

    def all_back() -> bool:
        return " 0% packet loss" in lab.run(where, words, check=False).stdout

    # A busy machine drops one now and then; what is too long for the path never comes.
    until(f"packets of {mtu} octets come back", all_back, seconds=20)


def test_a_larger_mtu_by_hand_is_cut_on_the_way(lab: Lab, gateway: OurGateway) -> None:
    """What the others would see if the client did not ask the way."""
    keys = {"phase2": [SUITES[1]], "mtu": 1410}
    with narrow(lab, "client1", 1400), captured(lab, "too-wide") as file:
        with OurClient(lab, "client1", keys) as client, client.connected():
            full_packets(lab, "client1", client.tunnel.interface)
        gateway.wait_until_empty()
        time.sleep(0.3)
    assert seen(file, FRAGMENTS) > 0
