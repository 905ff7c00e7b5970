"""Every proposal of the Cisco client by its name, between our two ends, and what is said of it."""

from __future__ import annotations

import pytest

from culvert.cli.status import told
from culvert.profile.profile import Profile
from culvert.profile.toml import read
from culvert.session.session import State
from culvert.tables.proposal_names import PROPOSAL_NAMES, ProposalName
from simulation.certificates import gateway_vault, person_vault
from simulation.ends import ClientEnd
from simulation.world import GATEWAY, GROUP, GROUP_KEY, LAN, USERS, Terms, World

PHASE1 = tuple(row for row in PROPOSAL_NAMES if row.phase == 1)
PHASE2 = tuple(row for row in PROPOSAL_NAMES if row.phase == 2)


def exact(way: str = "xauth-psk") -> Profile:
    """A client as of old."""
    text = f"""
        preset = "cisco-4.6-exact"
        authentication = "{way}"
        host = "{GATEWAY}"
        group = "{GROUP}"
        group_key = "{GROUP_KEY}"
        remote_networks = ["{LAN}"]
        reconnect = 0
    """
    return read(text, name="old")


def by_name(row: ProposalName) -> str:
    return row.name


def called(row: ProposalName) -> tuple[World, ClientEnd]:
    """A client of the 4.6, at a gateway that has exactly this proposal."""
    terms = Terms(phase1=(row.name,), authentication=(row.authentication,), main_mode=True)
    world = World(1, terms, vault=gateway_vault(GATEWAY))
    return world, world.client(exact(row.authentication), vault=person_vault(USERS[0], GROUP))


@pytest.mark.requirement("S0-50")
@pytest.mark.parametrize("row", PHASE1, ids=by_name)
def test_a_client_with_the_preset_agrees_on_the_one_row_that_its_gateway_has(
    row: ProposalName,
) -> None:
    world, client = called(row)
    with world.shown_if_wrong():
        client.connect()
        assert world.decided(client)
        assert client.up, client.reason
        (agreed,) = client.told("ike.phase1-established")
        assert agreed.fields["suite"] == row.tokens
        assert client.core.snapshot["method"] == row.authentication
        assert world.passes_both_ways(client)


@pytest.mark.requirement("S0-52", part="one warning, label")
def test_a_weak_connection_is_warned_of_once_at_each_end_and_labelled() -> None:
    forced = Terms(phase1=("CiscoVPNClient-DES-MD5",), phase2=("NULL-MD5",), phase2_lifetime=600)
    world = World(1, forced)
    client = world.client(exact())
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    world.run(1300.0)  # the keys of the tunnel were renewed twice
    assert len(client.told("quick.established")) > 4
    session = world.gateway.table.by_assigned(client.address)
    assert session is not None
    assert session.state is State.UP
    for end in (client, world.gateway):
        (warned,) = end.told("ike.weak")
        assert warned.fields["what"] == "des-md5-modp1024, null-md5"
        for why in ("56 bits", "MD5 is broken", "1024-bit", "not encrypted"):
            assert why in str(warned.fields["why"])
    labels = {"aggressive-psk", "des", "md5", "modp1024", "null"}
    assert set(session.weak) == labels
    shown = told([{"name": "old", **client.core.snapshot}])
    for label in labels:
        assert label in shown
