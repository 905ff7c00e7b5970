"""Gateway to gateway: networks behind both, one or both of them behind a NAT, either may call.

192.168.2.0/24 ── west 172.16.172.50 ── network ── [NAT 171.69.89.78] ── east ── three networks
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest

from culvert.gateway.config import load
from culvert.rng import SeededRandom
from culvert.secret import Secret
from culvert.session.session import Kind, Session, State
from simulation.ends import IKE_PORT, GatewayEnd
from simulation.nat import Nat
from simulation.network import Link
from simulation.world import BEGAN, GATEWAY, LAN, PAT, Terms, World, packet, profile

FAR = "198.51.100.200"
FAR_INSIDE = "10.10.10.200"
REMOTE = ("10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24")
KEY = "a key for two gateways only"


def toml(
    peer: str, local: tuple[str, ...], remote: tuple[str, ...], *, calls: bool, key: str, more: str
) -> str:
    return f"""
[[site]]
name = "other"
peer = "{peer}"
key = "{key}"
local_networks = {list(local)}
remote_networks = {list(remote)}
initiate = {str(calls).lower()}
{more}
"""


class Pair(World):
    """Two gateways; people may log in at the western one as well."""

    def __init__(
        self,
        *,
        far_calls: bool = True,
        west_calls: bool = False,
        behind: bool = False,
        far_key: str = KEY,
        more: str = "",
        bare_esp: bool = True,
    ) -> None:
        super().__init__(5, bare_esp=bare_esp)
        people = Terms().toml
        seen = PAT if behind else FAR
        west = toml(seen, (LAN,), REMOTE, calls=west_calls, key=KEY, more=more)
        self.gateway.config = load(people + west, "gateway.toml")
        self.gateway.reboot()
        general = Terms().toml.split("[[pool]]")[0].replace(LAN, REMOTE[0])
        other = toml(GATEWAY, REMOTE, (LAN,), calls=far_calls, key=far_key, more=more)
        self.far = GatewayEnd(
            "F",
            self.network,
            load(general + other, "gateway.toml"),
            SeededRandom(55),
            began=BEGAN,
            bare_esp=bare_esp,
        )
        nat: Nat | None = self.nat if behind else None
        self.far.link = self.network.join(Link(self.far, FAR_INSIDE if behind else FAR, behind=nat))
        for end in (self.gateway, self.far):
            end.do(end.core.tick(now=self.now))

    def joined(self, *, within: float = 30.0, pairs: int = len(REMOTE)) -> bool:
        def both() -> bool:
            return all(
                len(rows(end)) == 1 and len(rows(end)[0].spis) == pairs
                for end in (self.gateway, self.far)
            )

        done = self.run_until(both, within=within)
        self.run(1.0)
        return done

    def all_networks_talk(self) -> bool:
        """A packet each way for each of the three networks."""
        for number, network in enumerate(REMOTE):
            host = network.replace("0/24", "7")
            there = packet("192.168.2.10", host, number)
            back = packet(host, "192.168.2.10", number)
            self.gateway.carry(there)
            self.far.carry(back)
            self.run(1.0)
            if there not in self.far.inside or back not in self.gateway.inside:
                return False
        return True


def rows(end: GatewayEnd) -> list[Session]:
    return [row for row in end.table if row.kind is Kind.LAN_TO_LAN]


@pytest.mark.requirement("S1-174", part="three networks")
@pytest.mark.requirement("S1-171", part="simulated")
def test_three_networks_are_three_pairs_of_sas_under_one_ike_sa() -> None:
    world = Pair()
    with world.shown_if_wrong():
        assert world.joined()
        assert len(world.far.told("ike.phase1-established")) == 1
        assert len(world.far.told("quick.established")) == len(REMOTE)
        assert world.all_networks_talk()
        (ours,), (theirs,) = rows(world.gateway), rows(world.far)
        mirrored = {(spi.outbound, spi.inbound) for spi in theirs.spis}
        assert {(spi.inbound, spi.outbound) for spi in ours.spis} == mirrored


@pytest.mark.requirement("S4-04", part="gateway to gateway")
def test_a_gateway_behind_a_nat_calls_and_all_of_it_travels_on_4500() -> None:
    world = Pair(behind=True)
    with world.shown_if_wrong():
        assert world.joined()
        assert world.all_networks_talk()
        (row,) = world.gateway.table
        assert (row.transport, row.tunnel_port, row.state) == ("nat-t", 4500, State.UP)
        later = [seen for seen in world.network.seen if seen.source[1] == 0]
        assert later == [], "no plain ESP behind a NAT"


def test_either_may_call_and_both_at_once_end_with_one_of_them() -> None:
    for calls in ((False, True), (True, False), (True, True)):
        world = Pair(far_calls=calls[0], west_calls=calls[1])
        with world.shown_if_wrong():
            assert world.joined()
            world.run(120.0)
            assert world.all_networks_talk()
            assert len(rows(world.gateway)) == len(rows(world.far)) == 1


def test_another_key_comes_to_nothing_and_is_tried_ever_more_patiently() -> None:
    world = Pair(far_key="some other key entirely")
    with world.shown_if_wrong():
        world.run(600.0)
        assert rows(world.gateway) == rows(world.far) == []
        assert "ike.group-key-mismatch" in world.gateway.codes()
        calls = [seen.at for seen in world.network.seen if seen.name == "F"]
        assert len(world.far.told("ike.phase1-started")) > 3
        assert calls[-1] > 500.0, "it goes on"


def lost_power(world: Pair) -> None:
    world.gateway.reboot()
    world.gateway.do(world.gateway.core.tick(now=world.now))


def pulled_plug(world: Pair) -> None:
    world.gateway.unplug()
    world.run(120.0)
    assert rows(world.far) == [], "dead peer detection"
    world.gateway.plug()


@pytest.mark.parametrize("misfortune", [lost_power, pulled_plug])
def test_what_was_lost_comes_back_by_itself(misfortune: Callable[[Pair], None]) -> None:
    world = Pair()
    with world.shown_if_wrong():
        assert world.joined()
        misfortune(world)
        assert world.run_until(lambda: bool(rows(world.gateway)), within=300.0)
        assert world.joined(within=60.0)
        assert world.all_networks_talk()


def test_both_phases_are_renewed_in_time_without_a_gap() -> None:
    life = "phase1_lifetime = 1200\nphase2_lifetime = 300\n"
    world = Pair(behind=True, more=life)
    with world.shown_if_wrong():
        assert world.joined()
        session = next(iter(world.gateway.table)).number
        for _ in range(8):
            world.run(300.0)
            assert world.all_networks_talk()
        assert len(world.far.told("ike.phase1-established")) > 2
        assert next(iter(world.gateway.table)).number == session, "all of it one session"


def test_people_and_sites_do_not_get_in_each_others_way() -> None:
    world = Pair()
    with world.shown_if_wrong():
        client = world.client(profile())
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        assert world.joined()
        assert world.passes_both_ways(client)
        totals = world.gateway.table.totals
        assert (totals.lan_to_lan, totals.remote_access) == (1, 1)


def test_nobody_from_elsewhere_comes_in_with_a_sites_key() -> None:
    world = Pair(far_calls=False)
    with world.shown_if_wrong():
        thief = world.client(
            profile(
                authentication="psk",
                exchange_mode="main",
                group="",
                group_key=Secret(KEY),
                topology="site",
                provisioning="off",
                local_networks=(REMOTE[0],),
                remote_networks=(LAN,),
            )
        )
        thief.connect()
        assert world.decided(thief)
        assert thief.down
        assert len(world.gateway.table) == 0


def test_networks_that_were_not_agreed_are_refused() -> None:
    """A site asks for its own networks only; what else it sends does not come in."""
    world = Pair()
    with world.shown_if_wrong():
        assert world.joined()
        stranger = packet("10.4.0.7", "192.168.2.10", 1)
        world.far.carry(stranger)
        world.run(1.0)
        assert stranger not in world.gateway.inside


def test_a_client_profile_of_topology_site_joins_networks_as_a_gateway_does() -> None:
    world = Pair(far_calls=False)
    assert world.far.link is not None
    world.network.move(world.far.link, "198.51.100.201", None)
    with world.shown_if_wrong():
        client = world.client(
            profile(
                authentication="psk",
                exchange_mode="main",
                group="",
                group_key=Secret(KEY),
                topology="site",
                provisioning="off",
                local_networks=REMOTE,
                remote_networks=(LAN,),
            )
        )
        assert client.link is not None
        world.network.move(client.link, FAR, None)
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        world.run(5.0)
        assert len(client.told("quick.established")) == len(REMOTE)
        there, back = packet("10.2.0.9", "192.168.2.10", 3), packet("192.168.2.10", "10.2.0.9", 4)
        client.carry(there)
        world.gateway.carry(back)
        world.run(1.0)
        assert there in world.gateway.inside
        assert back in client.inside


def test_farewell_leaves_nothing_and_a_gateway_that_goes_down_calls_nobody() -> None:
    world = Pair(behind=True)
    with world.shown_if_wrong():
        assert world.joined()
        world.far.do(world.far.core.shutdown(now=world.now))
        world.run(300.0)
        assert world.left_over() == []
        assert rows(world.far) == []
        quiet = [seen for seen in world.network.seen if seen.at > world.now - 200.0]
        assert quiet == []


def test_the_waits_between_calls_grow() -> None:
    world = Pair(far_key="some other key entirely")
    world.gateway.unplug()
    world.run(600.0)
    starts = [
        seen.at for seen in world.network.seen if seen.name == "F" and seen.source[1] == IKE_PORT
    ]
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert max(gaps[-10:]) > max(gaps[:3])
