"""Two groups at one gateway: each has a key, a pool and people of its own (S4-46)."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.secret import Secret
from simulation.ends import ClientEnd
from simulation.world import GROUP, GROUP_KEY, PASSWORD, USERS, Terms, World, profile

SEED = 46
OTHER, OTHER_KEY = "others", "the key of the other group, long enough"
ANN, BOB = USERS[:2]
POOL = '\npool = "clients"'


class TwoGroups(Terms):
    """``ANN`` is in the usual group, ``BOB`` in the other."""

    @property
    def toml(self) -> str:
        key = f'key = "{GROUP_KEY}"'
        head, bob, tail = super().toml.partition(f'name = "{BOB}"\n')
        groups = tail.replace(f'groups = ["{GROUP}"]', f'groups = ["{OTHER}"]', 1)
        return (
            f"{head.replace(key, f'{key}{POOL}')}{bob}{groups}"
            '[[pool]]\nname = "second"\naddresses = ["40.2.2.1-40.2.2.9"]\n'
            f'[[group]]\nname = "{OTHER}"\nkey = "{OTHER_KEY}"\npool = "second"\n{self.more}'
        )

    @property
    def more(self) -> str:
        """Of the other group."""
        return ""


def world_of_two() -> World:
    return World(SEED, TwoGroups())


def called(world: World, user: str, group: str, key: str, **changes: Any) -> ClientEnd:
    terms: dict[str, Any] = {**changes, "group": group, "group_key": Secret(key)}
    client = world.client(profile(**terms), behind=world.nat, person=(user, PASSWORD))
    client.connect()
    assert world.decided(client)
    return client


@pytest.mark.requirement("S4-46", part="pool")
@pytest.mark.parametrize(
    ("user", "group", "key", "pool"),
    [(ANN, GROUP, GROUP_KEY, "40.1.1."), (BOB, OTHER, OTHER_KEY, "40.2.2.")],
)
def test_each_groups_people_get_addresses_of_its_pool(
    user: str, group: str, key: str, pool: str
) -> None:
    world = world_of_two()
    with world.shown_if_wrong():
        client = called(world, user, group, key)
        assert client.up, client.reason
        assert str(client.core.snapshot["assigned_ip"]).startswith(pool)


@pytest.mark.requirement("S4-46", part="pre-shared key")
@pytest.mark.parametrize(
    ("user", "group", "key"), [(ANN, GROUP, OTHER_KEY), (BOB, OTHER, GROUP_KEY)]
)
def test_the_key_of_another_group_opens_nothing(user: str, group: str, key: str) -> None:
    world = world_of_two()
    client = called(world, user, group, key)
    assert client.reason == "group-mismatch"
    assert len(world.gateway.table) == 0


@pytest.mark.requirement("S4-46", part="users in it")
@pytest.mark.parametrize(
    ("user", "group", "key"), [(BOB, GROUP, GROUP_KEY), (ANN, OTHER, OTHER_KEY)]
)
def test_who_is_in_another_group_does_not_come_in(user: str, group: str, key: str) -> None:
    world = world_of_two()
    client = called(world, user, group, key)
    assert client.reason == "auth-rejected"
    assert len(world.gateway.table) == 0


class OneWay(TwoGroups):
    """The other group allows one way to prove oneself."""

    @property
    def more(self) -> str:
        return 'authentication = ["xauth-psk"]\n'


@pytest.mark.requirement("S4-46", part="allowed methods")
@pytest.mark.parametrize("way", ["xauth-psk", "psk"])
@pytest.mark.parametrize(
    ("user", "group", "key"), [(ANN, GROUP, GROUP_KEY), (BOB, OTHER, OTHER_KEY)]
)
def test_a_group_lets_in_only_who_proved_himself_in_a_way_it_allows(
    user: str, group: str, key: str, way: str
) -> None:
    world = World(SEED, OneWay(authentication=("xauth-psk", "psk")))
    with world.shown_if_wrong():
        client = called(world, user, group, key, authentication=way)
        assert client.up == (group == GROUP or way == "xauth-psk"), client.reason
        if not client.up:
            assert client.reason == "proposal-refused"
            cause = world.gateway.core.refusals[-1].cause
            assert cause == "the group does not allow authentication psk, but xauth-psk"
