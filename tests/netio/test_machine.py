"""The machine set up and restored for real, in a namespace: where packets go, who answers names."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from culvert.changes.change import LinkSet, RouteAdded, SysctlSet, TunMade
from culvert.errors import MisuseError, PlatformError
from culvert.netio import link, route, sysctl
from culvert.netio.machine import Machine
from culvert.netio.resolver import PlainFile
from culvert.netio.tun import Tun
from netio.namespaces import inside, ip
from netio.test_machine_killed import HOME, SERVED, WORK, computer, picture

pytestmark = pytest.mark.root


@pytest.fixture
def here() -> Generator[str]:
    with computer("m") as name, inside(name):
        yield name


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    found = tmp_path / "etc"
    found.mkdir()
    (found / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    return found


@pytest.fixture
def machine(here: str, etc: Path, tmp_path: Path) -> Machine:
    return Machine(directory=tmp_path / "changes", resolver=PlainFile(etc / "resolv.conf"))


@pytest.fixture
def tun(machine: Machine) -> Generator[Tun]:
    opened = machine.open_tun()
    yield opened
    machine.close_tun(opened)


def way_to(here: str, address: str) -> tuple[str, str]:
    [found] = json.loads(ip("-n", here, "-j", "route", "get", address))
    return found["dev"], found.get("gateway", "")


def test_everything_goes_through_the_tunnel_but_the_gateway_and_the_exceptions(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    before = picture(etc)
    applied = machine.apply(WORK, tun.name)
    assert applied.interface == tun.name
    assert way_to(here, "8.8.8.8") == (tun.name, "")
    assert way_to(here, "200.1.1.1") == (tun.name, "")
    assert way_to(here, "192.0.2.50") == ("eth0", "198.51.100.1")
    assert way_to(here, "203.0.113.9") == ("eth0", "198.51.100.1")
    assert way_to(here, "2001:db8:77::1") == (tun.name, "")
    # The local network has the tunnel's numbers: the tunnel has them now, and it is told.
    assert way_to(here, "198.51.100.77") == (tun.name, "")
    assert any("198.51.100.0/24 is in use here too" in note for note in applied.notes)
    assert link.see(tun.name).mtu == 1300
    assert "nameserver 10.77.0.1" in (etc / "resolv.conf").read_text()
    assert machine.restore("work").notes == ()
    assert picture(etc) == before


def test_a_connection_set_up_anew_leaves_nothing_of_the_former_one(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    before = picture(etc)
    machine.apply(WORK, tun.name)
    machine.apply(replace(HOME, connection="work"), tun.name)
    assert way_to(here, "8.8.8.8") == ("eth0", "198.51.100.1")
    assert "10.77" not in (etc / "resolv.conf").read_text()
    machine.restore("work")
    assert picture(etc) == before


def test_the_device_sends_nothing_of_its_own(here: str, machine: Machine, tun: Tun) -> None:
    machine.apply(WORK, tun.name)
    [found] = json.loads(ip("-n", here, "-j", "addr", "show", tun.name))
    assert [address["local"] for address in found["addr_info"]] == ["10.77.0.5"]
    machine.restore("work")


def test_a_set_up_that_fails_in_the_middle_leaves_the_machine_as_it_was(
    machine: Machine, tun: Tun, etc: Path
) -> None:
    before = picture(etc)
    (etc / "resolv.conf").unlink()
    (etc / "resolv.conf").mkdir()
    with pytest.raises(PlatformError, match="not a file of settings"):
        machine.apply(WORK, tun.name)
    (etc / "resolv.conf").rmdir()
    (etc / "resolv.conf").write_text("nameserver 198.51.100.1\n")
    with pytest.raises(PlatformError, match="MTU 3 of"):
        machine.apply(replace(WORK, mtu=3), tun.name)
    assert machine.restore("work").changes == ()
    assert picture(etc) == before


def test_an_administrators_route_of_the_same_shape_survives(
    here: str, machine: Machine, tun: Tun
) -> None:
    ip("-n", here, "route", "add", "192.0.2.50/32", "via", "198.51.100.2")
    machine.apply(WORK, tun.name)
    machine.restore("work")
    assert way_to(here, "192.0.2.50") == ("eth0", "198.51.100.2")


def test_our_undo_never_takes_a_route_another_made_like_ours(here: str) -> None:
    index = link.see("eth0").index
    ours = RouteAdded("192.0.2.1/32", "eth0", index, "198.51.100.1")
    ip("-n", here, "route", "add", "192.0.2.1/32", "via", "198.51.100.1")
    assert not route.add(ours)
    assert route.undo_add(ours) == ""
    assert "192.0.2.1 via" in ip("-n", here, "route")


def test_two_connections_share_the_way_to_their_gateway(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    second = machine.open_tun()
    before = picture(etc)
    machine.apply(WORK, tun.name)
    machine.apply(HOME, second.name)
    machine.restore("work")
    assert way_to(here, "192.0.2.50") == ("eth0", "198.51.100.1")
    assert way_to(here, "192.0.2.7") == (second.name, "")
    assert "nameserver 10.88.0.1" in (etc / "resolv.conf").read_text()
    machine.restore("home")
    assert picture(etc) == before
    machine.close_tun(second)


def test_a_gateway_forwards_and_stops_forwarding(machine: Machine, tun: Tun, etc: Path) -> None:
    before = picture(etc)
    machine.serve(SERVED, tun.name)
    assert sysctl.see("net/ipv4/ip_forward") == "1"
    assert {"10.99.0.0/24", "10.98.0.0/16"} <= {seen.destination for seen in route.see_routes()}
    machine.restore("gateway")
    assert picture(etc) == before


def test_a_setting_changed_by_another_since_is_left_and_told(here: str) -> None:
    change = SysctlSet("net/ipv4/ip_default_ttl", "64", "65")
    sysctl.put(change)
    sysctl.put(replace(change, after="66"))
    assert "left alone" in sysctl.undo_put(change)
    assert sysctl.see("net/ipv4/ip_default_ttl") == "66"


def test_a_living_process_is_not_repaired_away(
    here: str, machine: Machine, tun: Tun, tmp_path: Path
) -> None:
    machine.apply(WORK, tun.name)
    other = Machine(directory=tmp_path / "changes")
    assert other.recover().changes == other.leftovers() == ()
    assert way_to(here, "8.8.8.8") == (tun.name, "")
    machine.restore("work")


def test_a_device_that_a_child_of_the_dead_still_holds_is_deleted(
    here: str, machine: Machine, tun: Tun, tmp_path: Path
) -> None:
    seen = link.see(tun.name)
    assert link.delete_tun(TunMade(tun.name, seen.index + 1)) == ""
    assert link.see(tun.name) == seen
    assert link.delete_tun(TunMade(tun.name, seen.index)) == ""
    with pytest.raises(PlatformError, match=f"no interface {tun.name}"):
        link.see(tun.name)


def test_a_device_that_goes_while_it_is_being_undone_is_undone(here: str, machine: Machine) -> None:
    """A killed owner's device goes when the kernel likes, between our look and our act too."""
    for _ in range(60):
        tun = machine.open_tun()
        seen = link.see(tun.name)
        change = LinkSet(tun.name, seen.index, 1400, seen.mtu, up_before=False)
        link.set_up(change)
        closing = threading.Thread(target=tun.close)
        closing.start()
        assert link.undo_set_up(change) == ""
        assert link.delete_tun(TunMade(tun.name, seen.index)) == ""
        closing.join()


def test_the_end_of_a_process_undoes_all_of_it(machine: Machine, etc: Path, tmp_path: Path) -> None:
    before = picture(etc)
    tun = machine.open_tun()
    machine.apply(WORK, tun.name)
    assert len(machine.close().changes) > 5
    tun.close()
    assert picture(etc) == before
    assert list((tmp_path / "changes").iterdir()) == []


def test_a_gateway_nobody_can_reach_stops_before_any_change(
    here: str, machine: Machine, tun: Tun, etc: Path
) -> None:
    ip("-n", here, "route", "del", "default")
    before = picture(etc)
    with pytest.raises(PlatformError, match=r"no route to the gateway 192\.0\.2\.50"):
        machine.apply(WORK, tun.name)
    assert picture(etc) == before


def test_a_device_that_is_taken_leaves_no_record(machine: Machine, tun: Tun) -> None:
    made = TunMade(tun.name, link.see(tun.name).index)
    with pytest.raises(PlatformError, match="exists already"):
        machine.open_tun(tun.name)
    assert machine.close().changes == (made,)


def test_netlink_from_a_coroutine_is_our_own_mistake(here: str) -> None:
    async def see() -> None:
        link.see("eth0")

    with pytest.raises(MisuseError, match="from a thread"):
        asyncio.run(see())


def test_a_netlink_call_from_a_thread_of_a_loop_is_right(here: str, machine: Machine) -> None:
    async def see() -> int:
        return (await asyncio.to_thread(link.see, "lo")).index

    assert asyncio.run(see()) == 1


def test_a_borrowed_address_is_reached_through_its_borrower_until_it_is_given_back(
    here: str, machine: Machine, tun: Tun
) -> None:
    other = machine.open_tun()
    for one, pools in ((tun, ("10.9.0.0/25",)), (other, ("10.9.0.128/25", "10.9.1.1/32"))):
        machine.serve(replace(SERVED, name=one.name, pools=pools, address="", peers=()), one.name)
    devices = {one.name: link.see(one.name).index for one in (tun, other)}
    for address, borrower in (("10.9.0.7", other), ("10.9.1.1", tun)):
        owner = tun if borrower is other else other
        for behind in (borrower, owner, borrower):
            route.point(RouteAdded(f"{address}/32", behind.name, devices[behind.name]))
            assert way_to(here, address) == (behind.name, "")
    assert way_to(here, "10.9.0.8") == (tun.name, "")
    machine.close_tun(other)
