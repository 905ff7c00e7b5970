"""The gateway's presets."""

from __future__ import annotations

import pytest

from culvert.gateway.config import load

KEY = 'key = "a key that is long enough"\nlegacy = ["aggressive-psk"]\n'
GROUPS = f"""
[[pool]]
name = "clients"
addresses = ["198.51.100.0/24"]
[[group]]
name = "plain"
{KEY}
[[group]]
name = "behind-a-nat"
nat_traversal = "auto"
{KEY}
"""
SITE = f"""
[[site]]
name = "SITE"
peer = "192.0.2.7"
{KEY}
local_networks = ["10.1.0.0/24"]
remote_networks = ["10.2.0.0/24"]
"""
SITES = (
    SITE.replace("SITE", "plain")
    + SITE.replace("SITE", "natted").replace("192.0.2.7", "192.0.2.8").replace("10.2.", "10.3.")
    + 'nat_traversal = "force"\n'
)


@pytest.mark.requirement("S4-14")
def test_nat_traversal_of_a_vpn_3000_is_off_until_a_group_or_a_site_has_it() -> None:
    config = load(
        f'[gateway]\npreset = "vpn3000-exact"\n{GROUPS}{SITES.replace("plain", "far")}', "g"
    )
    groups = {group.name: bool(group.natt) for group in config.live.groups}
    assert groups == {"plain": False, "behind-a-nat": True}
    sites = {site.name: bool(site.group.natt) for site in config.restart.sites}
    assert sites == {"far": False, "natted": True}


def test_without_the_preset_nat_traversal_is_on() -> None:
    config = load(GROUPS, "g")
    assert all(group.natt for group in config.live.groups)
    whole = load(f'[gateway]\npreset = "vpn3000-exact"\nnat_traversal = "auto"\n{GROUPS}', "g")
    assert all(group.natt for group in whole.live.groups)
