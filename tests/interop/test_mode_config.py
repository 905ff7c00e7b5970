"""Mode Config with foreign peers: pushed by or to strongSwan, firewalls and backups with vpnc."""

from __future__ import annotations

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import PASSWORD, USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = [pytest.mark.root]

SPARE = "172.16.172.99"


@pytest.mark.peer("strongswan")
@pytest.mark.cell("mode-config-push", "strongswan-gateway")
def test_a_strongswan_gateway_pushes_to_our_client(lab: Lab, pki: Pki) -> None:
    with (
        StrongswanGateway(lab, pki, push=True),
        OurClient(lab, profile={"remote_networks": [topology.PRIVATE]}) as client,
        client.connected() as row,
    ):
        assert row["assigned_ip"].startswith("40.1.1.")
        prove_data(lab, "client1")


@pytest.mark.peer("strongswan")
@pytest.mark.cell("mode-config-push", "strongswan-client")
def test_our_gateway_pushes_to_a_strongswan_client(lab: Lab, pki: Pki) -> None:
    with (
        OurGateway(lab, group={"mode_config": "push"}) as gateway,
        StrongswanClient(lab, pki, push=True),
    ):
        assert gateway.session_of(USERS["client1"])["assigned_ip"] == "40.1.1.1"
        prove_data(lab, "client1")


@pytest.mark.peer("culvert")
@pytest.mark.cell("mode-config-push", "ourselves")
@pytest.mark.cell("firewall-request", "ourselves")
@pytest.mark.cell("backup-servers", "ourselves")
def test_our_gateway_to_our_client(lab: Lab) -> None:
    group = {"mode_config": "push", "banner": "Pushed", "backup_servers": [topology.GATEWAY]}
    wants = {"firewall": "required", "firewall_policy": "deny any inbound"}
    with OurGateway(lab, group=group) as gateway, OurClient(lab) as client:
        silent = {"host": SPARE, "backup_hosts": [topology.GATEWAY], "peer_timeout": 5}
        with client.connected(**silent) as row:
            assert (row["banner"], row["gateway"]) == ("Pushed", topology.GATEWAY)
            assert client.events("client.next-gateway")
            prove_data(lab, "client1")
        gateway.wait_until_empty()
        gateway.stop()
        gateway.group = wants
        gateway.start()
        refused = client.try_up()
        assert refused.status
        assert "firewall" in refused.err
        with client.connected(firewall_claim=True) as row:
            assert row["firewall_policy"] == "deny any inbound"
            prove_data(lab, "client1")


@pytest.mark.peer("vpnc")
@pytest.mark.cell("firewall-request", "vpnc")
def test_vpnc_says_its_firewall_and_bears_what_it_is_handed(lab: Lab) -> None:
    group = {"firewall": "required", "banner": "Read me"}
    with OurGateway(lab, group=group) as gateway, Vpnc(lab) as client:
        assert gateway.session_of(USERS["client1"])["state"] == "up"
        (claimed,) = gateway.events("config.firewall-claimed")[-1:]
        assert "Cisco Integrated Client" in claimed["fields"]["firewall"]
        assert "Read me" in client.log
        prove_data(lab, "client1")


@pytest.mark.peer("culvert")
@pytest.mark.requirement("S0-45")
@pytest.mark.requirement("S4-46", part="save password")
def test_a_saved_password_is_gone_once_the_gateway_forbids_it(lab: Lab) -> None:
    with OurGateway(lab, group={"save_password": True}) as gateway, OurClient(lab) as client:
        client.profile = {"save_password": True, "password": PASSWORD}
        file = client.write_profile()
        store = {"CULVERT_PROFILES": str(file.parent)}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in store.items():
                patch.setenv(name, value)
            first = client.culvert("up", client.name)
            assert first.status == 0, first.err
            assert PASSWORD in file.read_text("utf-8")
            client.down()
            gateway.stop()
            gateway.group = {}
            gateway.start()
            second = client.culvert("up", client.name)
            assert second.status == 0, second.err
            assert "forbids saving" in second.err
            assert PASSWORD not in file.read_text("utf-8")
            client.down()
            assert client.culvert("up", client.name).status, "nobody is there to be asked"
