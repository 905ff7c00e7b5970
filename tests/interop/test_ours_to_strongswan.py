"""Our client at strongSwan's IKEv1 XAUTH gateway (user-space ESP) behind the same PAT."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, traces, until
from interop.pat import ADDRESSES, BOTH, ports_of
from interop.peers.credentials import USERS
from interop.peers.pki import Pki
from interop.peers.strongswan_gateway import BANNER, StrongswanGateway
from interop.peers.tunnel import carries_nothing, prove_data

pytestmark = [pytest.mark.root, pytest.mark.peer("strongswan")]

# name in a profile, name in strongSwan
PHASE1 = {
    "aes256-sha2_256-modp2048": "aes256-sha256-modp2048",
    "aes128-sha1-modp1024": "aes128-sha1-modp1024",
    "aes256-sha2_512-modp3072": "aes256-sha512-modp3072",
    "3des-sha1-modp1536": "3des-sha1-modp1536",
    "aes192-md5-modp1024": "aes192-md5-modp1024",
}
PHASE2 = {
    "aes256gcm16": "aes256gcm16",
    "aes128gcm16": "aes128gcm16",
    "aes256-sha2_256": "aes256-sha256",
    "aes128-sha1": "aes128-sha1",
    "3des-sha1": "3des-sha1",
    "aes192-md5": "aes192-md5",
}
LEGACY = ["aggressive-psk", "3des", "sha1", "md5", "modp1024", "modp1536"]


@pytest.fixture(scope="module")
def gateway(lab: Lab, pki: Pki) -> Iterator[StrongswanGateway]:
    ike, esp = ",".join(PHASE1.values()), ",".join(PHASE2.values())
    with StrongswanGateway(lab, pki, ike=ike, esp=esp) as running:
        yield running


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab, profile={"remote_networks": [topology.PRIVATE]}) as running:
        yield running


@pytest.mark.cell("mode-config", "strongswan-gateway")
@pytest.mark.parametrize(
    ("phase1", "phase2"),
    [
        ("aes256-sha2_256-modp2048", "aes256gcm16"),
        ("aes128-sha1-modp1024", "aes128-sha1"),
        ("aes256-sha2_512-modp3072", "aes256-sha2_256"),
        ("3des-sha1-modp1536", "3des-sha1"),
        ("aes192-md5-modp1024", "aes192-md5"),
        ("aes256-sha2_256-modp2048", "aes128gcm16"),
    ],
)
def test_data_with(
    lab: Lab, gateway: StrongswanGateway, client: OurClient, phase1: str, phase2: str
) -> None:
    before = traces(lab, "client1")
    with client.connected(phase1=[phase1], phase2=[phase2], legacy=LEGACY) as row:
        assert row["transport"] == "nat-t"
        assert row["assigned_ip"].startswith("40.1.1.")
        assert row["banner"] == BANNER
        assert client.tunnel.routes == [topology.PRIVATE]
        prove_data(lab, "client1")
        assert USERS["client1"] in gateway.sas()
    assert carries_nothing(lab, "client1")
    assert traces(lab, "client1") == before
    # strongSwan heard the farewell.
    until("strongSwan has no SA left", lambda: not gateway.sas().strip(), seconds=5)


@pytest.mark.cell("two-behind-one-pat", "strongswan-gateway")
@pytest.mark.cell("xauth", "strongswan-gateway")
def test_two_at_once_behind_one_pat(
    lab: Lab, gateway: StrongswanGateway, client: OurClient
) -> None:
    other = OurClient(lab, "client2", profile=client.profile)
    with other, client.connected() as first, other.connected() as second:
        assert first["assigned_ip"] != second["assigned_ip"]
        assert ports_of(lab, 4500).keys() == set(ADDRESSES.values())
        for where in BOTH:
            prove_data(lab, where, "100M.bin" if where == "client1" else "1M.bin")
        assert other.row["state"] == client.row["state"] == "up"


def test_a_fresh_exchange_for_phase_2(
    lab: Lab, gateway: StrongswanGateway, client: OurClient
) -> None:
    esp = ",".join(f"{name}-modp2048" for name in PHASE2.values())
    gateway.charon.stop()
    with StrongswanGateway(lab, gateway.pki, esp=esp), client.connected(pfs="modp2048"):
        prove_data(lab, "client1")
    gateway.start()


@pytest.mark.cell("xauth-refused", "strongswan-gateway")
def test_a_wrong_password_is_told_as_such_and_the_next_attempt_works(
    lab: Lab, gateway: StrongswanGateway, client: OurClient
) -> None:
    right, client.password = client.password, "wrong"
    try:
        refused = client.try_up()
    finally:
        client.password = right
    assert refused.status == 14
    assert client.why()["diagnosis"]["id"] == "xauth.failed"
    with client.connected():
        prove_data(lab, "client1")
