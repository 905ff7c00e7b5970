"""Which keys of a profile fit which topology."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.profile.profile import InvalidProfile, Profile

SITE: dict[str, Any] = {
    "topology": "site",
    "provisioning": "off",
    "local_networks": ("192.168.1.0/24",),
    "remote_networks": ("192.168.2.0/24",),
}


def made(**keys: Any) -> Profile:
    return Profile("n", "192.0.2.1", authentication="psk", exchange_mode="main", **keys)


@pytest.mark.requirement("S1-178")
@pytest.mark.parametrize("topology", ["network", "everywhere", "site"])
def test_transport_mode_with_a_network_is_refused_with_the_reason(topology: str) -> None:
    keys = SITE if topology == "site" else {"topology": topology, "provisioning": "off"}
    with pytest.raises(InvalidProfile, match="transport mode carries only what the two ends say"):
        made(transport_mode=True, **keys)


def test_transport_mode_is_for_two_hosts_under_their_own_addresses() -> None:
    assert made(topology="host", provisioning="off", transport_mode=True).transport_mode
    with pytest.raises(InvalidProfile, match="this machine's own address"):
        made(topology="host", transport_mode=True)


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        (SITE | {"local_networks": ()}, "local_networks"),
        (SITE | {"local_networks": ("192.168.1.1/24",)}, "local_networks"),
        (SITE | {"remote_networks": ("0.0.0.0/0",)}, "remote_networks"),
        (SITE | {"provisioning": "mode-config"}, "provisioning"),
        ({"local_networks": ("192.168.1.0/24",)}, "local_networks"),
        ({"topology": "everywhere", "remote_networks": ("10.0.0.0/8",)}, "remote_networks"),
        ({"topology": "host", "remote_networks": ("10.0.0.0/8",)}, "remote_networks"),
        ({"local_address": "10.0.0.1"}, "local_address"),
        ({"local_address": "ten", "provisioning": "off"}, "local_address"),
    ],
)
def test_what_does_not_fit_is_told_at_its_key(keys: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidProfile) as caught:
        made(**keys)
    assert [mistake.key for mistake in caught.value.mistakes] == [key]


def test_two_networks_need_nothing_more() -> None:
    assert made(**SITE).topology == "site"
