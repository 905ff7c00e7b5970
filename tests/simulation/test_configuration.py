"""Mode Config between our two ends: what a group hands out, asked for or pushed, and firewalls."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from culvert.gateway.config import GatewayConfig
from culvert.policy.group import Group
from simulation.ends import ClientEnd
from simulation.world import Terms, World, configuration, profile

SEED = 1
CPP = "deny any inbound"


def world_of(terms: Terms | None = None, **group: Any) -> World:
    """A gateway whose group has these beside the usual."""
    made = World(SEED)
    before = configuration(terms or Terms())
    groups = tuple([replace(each, **group) for each in before.live.groups])
    config: GatewayConfig = replace(before, live=replace(before.live, groups=groups))
    made.gateway.config = config
    made.gateway.reboot()
    return made


def connected(world: World, **changes: Any) -> ClientEnd:
    client = world.client(profile(**changes), behind=world.nat)
    client.connect()
    assert world.decided(client)
    return client


def handed_out(client: ClientEnd) -> dict[str, str]:
    told = client.told("config.attribute")
    return {str(each.fields["name"]): str(each.fields["value"]) for each in told}


@pytest.mark.requirement("S4-47")
def test_the_reply_of_the_sample_group_holds_exactly_what_the_sample_shows() -> None:
    world = world_of(split_include=())
    with world.shown_if_wrong():
        client = connected(world)
        assert client.up, client.reason
        assert handed_out(client) == {
            "INTERNAL_IP4_ADDRESS": "40.1.1.1",
            "MODECFG_UNITY_SAVEPWD": "0",
            "MODECFG_UNITY_PFS": "0",
            "APPLICATION_VERSION": "culvert",
            "MODECFG_UNITY_NATT_PORT": "4500",
        }


NETWORK = ip_network("10.1.0.0/16")
ATTRIBUTES: list[tuple[dict[str, Any], str, str]] = [
    ({"dns": ("192.168.2.10",)}, "INTERNAL_IP4_DNS", "192.168.2.10"),
    ({"nbns": ("192.168.2.11",)}, "INTERNAL_IP4_NBNS", "192.168.2.11"),
    ({"banner": "Welcome"}, "MODECFG_UNITY_BANNER", "Welcome"),
    ({"default_domain": "corp.test"}, "MODECFG_UNITY_DEFDOMAIN", "corp.test"),
    ({"split_include": (NETWORK,)}, "MODECFG_UNITY_SPLIT_INCLUDE", "10.1.0.0"),
    ({"split_exclude": (NETWORK,)}, "MODECFG_UNITY_LOCAL_LAN", "10.1.0.0"),
    ({"split_dns": ("a.test", "b.test")}, "MODECFG_UNITY_SPLITDNS_NAME", "a.test,b.test"),
    ({"save_password": True}, "MODECFG_UNITY_SAVEPWD", "1"),
    ({"pfs": True}, "MODECFG_UNITY_PFS", "1"),
    (
        {"backup_servers": ("192.0.2.7", "b.test")},
        "MODECFG_UNITY_BACKUP_SERVERS",
        "192.0.2.7,b.test",
    ),
]


@pytest.mark.requirement("S4-46", part="attributes handed out")
@pytest.mark.parametrize("push", [False, True])
@pytest.mark.parametrize(("group", "name", "value"), ATTRIBUTES)
def test_what_a_group_has_reaches_its_client(
    group: dict[str, Any], name: str, value: str, push: bool
) -> None:
    without, with_it = world_of(push=push, split_include=()), world_of(push=push, **group)
    given = []
    for world in (without, with_it):
        with world.shown_if_wrong():
            client = connected(world, remote_networks=("0.0.0.0/0",))
            assert client.up, client.reason
            given.append(handed_out(client).get(name, ""))
    assert given[1] == value
    assert given[0] in ("", "0")


def test_a_pushed_configuration_is_acknowledged_and_serves_like_one_asked_for() -> None:
    world = world_of(push=True, banner="Pushed", backup_servers=("192.0.2.7",))
    with world.shown_if_wrong():
        client = connected(world)
        assert client.up, client.reason
        assert client.core.snapshot["banner"] == "Pushed"
        assert len(client.told("client.up")) == 1
        assert len(world.gateway.table) == 1
        assert world.passes_both_ways(client)
        world.run(120.0)
        assert client.up, "nobody waits for an answer any more"
        client.disconnect()
        world.run(300.0)
        assert world.left_over() == []


def test_a_lost_push_or_acknowledgement_is_made_good() -> None:
    for lost in range(4):
        world = world_of(push=True)
        with world.shown_if_wrong():
            client = world.client(profile())
            client.connect()
            assert world.run_until(lambda c=client: bool(c.told("xauth.accepted")), within=30.0)
            seen: list[object] = []
            assert client.link is not None

            def drops(each: object, seen: list[object] = seen, lost: int = lost) -> bool:
                seen.append(each)
                return len(seen) == lost + 1

            client.link.drops = drops
            assert world.decided(client)
            assert client.up, client.reason
            assert world.passes_both_ways(client)


@pytest.mark.requirement("S4-47")
@pytest.mark.requirement("S4-46", part="firewall policy")
@pytest.mark.parametrize("claims", [False, True])
@pytest.mark.parametrize("policy", ["none", "optional", "required"])
def test_a_firewall_is_asked_for_and_answered_by_the_groups_policy(
    policy: str, claims: bool
) -> None:
    world = world_of(firewall=policy, firewall_wanted=replace(WANTED, policy=CPP))
    with world.shown_if_wrong():
        client = connected(world, firewall_claim=claims)
        assert client.up == (claims or policy != "required"), client.reason
        if not client.up:
            assert client.reason == "firewall-mismatch"
            assert len(world.gateway.table) == 0
            return
        claimed = world.gateway.told("config.firewall-claimed")
        assert bool(claimed) == claims
        missing = world.gateway.told("config.firewall-missing")
        assert bool(missing) == (policy == "optional" and not claims)
        answered = policy != "none" and claims
        assert client.core.snapshot["firewall_policy"] == (CPP if answered else "")


WANTED = Group("x").firewall_wanted


def test_another_vendors_firewall_is_not_the_one_that_is_wanted() -> None:
    world = world_of(firewall="required", firewall_wanted=replace(WANTED, vendor=2))
    with world.shown_if_wrong():
        client = connected(world, firewall_claim=True)
        assert client.reason == "firewall-mismatch"
        cause = world.gateway.core.refusals[-1].cause
        assert "Cisco Integrated Client" in cause


def test_the_host_name_is_told_only_where_the_profile_says_so() -> None:
    world = world_of()
    with world.shown_if_wrong():
        first = connected(world, host_name="laptop7")
        second = connected(world)
        assert first.up
        assert second.up
        assert [session.host_name for session in world.gateway.table] == ["laptop7", ""]


def test_each_end_shows_what_the_other_runs() -> None:
    world = world_of()
    with world.shown_if_wrong():
        client = connected(world)
        (session,) = world.gateway.table
        assert session.client_type == "Linux"
        assert session.client_version
        assert client.core.snapshot["gateway_version"] == "culvert"
        assert client.core.snapshot["client_type"] == "Linux"


@pytest.mark.requirement("S4-22")
@pytest.mark.parametrize("asks", [False, True])
@pytest.mark.parametrize("permits", [(), ("0.0.0.0/32",), ("10.0.0.0/8",)])
@pytest.mark.parametrize("topology", ["network", "everywhere"])
def test_the_local_lan_stays_only_where_both_the_profile_and_the_gateway_say_so(
    topology: str, permits: tuple[str, ...], asks: bool
) -> None:
    permitted = tuple([ip_network(text) for text in permits])
    world = world_of(split_include=(), split_exclude=permitted)
    with world.shown_if_wrong():
        default = ("0.0.0.0/0",)
        client = connected(world, allow_local_lan=asks, topology=topology, remote_networks=default)
        assert client.up, client.reason
        assert client.machine is not None
        settings = client.machine.settings
        assert settings.local_lan == (asks and permits == ("0.0.0.0/32",))
        assert settings.excluded == (("10.0.0.0/8",) if asks and "10.0.0.0/8" in permits else ())


@pytest.mark.requirement("S4-22")
def test_what_the_gateway_names_as_its_own_never_stays_outside() -> None:
    own = ip_network("10.10.10.0/24")
    world = world_of(split_include=(own,), split_exclude=(ip_network("0.0.0.0/32"),))
    with world.shown_if_wrong():
        client = connected(world, allow_local_lan=True, remote_networks=("0.0.0.0/0",))
        assert client.up, client.reason
        assert client.machine is not None
        assert client.machine.settings.kept == (str(own),)
