"""Settings that both ends must share, with real processes and a foreign peer: ciphers, PFS,
lifetimes, identifiers, one proposal only, compression."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway
from interop.peers.credentials import GROUP, USERS, PeerFailure
from interop.peers.pki import Pki
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data

pytestmark = pytest.mark.root

SWITCHES = ("aggressive-psk", "des", "3des", "sha1", "md5", "modp1024", "ipcomp")
OURS = "aes128-sha1-modp1024"
BOTH = {"remote_networks": [topology.PRIVATE], "legacy": SWITCHES, "phase1": [OURS]}
CIPHERS = ("des", "3des", "aes128", "aes192", "aes256")


@pytest.fixture(scope="module")
def client(lab: Lab) -> Iterator[OurClient]:
    with OurClient(lab, profile=BOTH) as running:
        yield running


def pair_of(client: OurClient) -> dict[str, object]:
    """The last IPsec SA, as its event tells it."""
    found: dict[str, object] = client.events("quick.established")[-1]["fields"]
    return found


@pytest.mark.requirement("S1-176", part="phase 1")
@pytest.mark.requirement("S1-176", part="phase 2")
@pytest.mark.peer("strongswan")
@pytest.mark.parametrize("cipher", CIPHERS)
def test_every_cipher_and_key_length_in_both_phases_with_strongswan(
    lab: Lab, pki: Pki, client: OurClient, cipher: str
) -> None:
    phase1, phase2 = f"{cipher}-sha1-modp1024", f"{cipher}-sha1"
    with (
        StrongswanGateway(lab, pki, ike=phase1, esp=phase2),
        client.connected(phase1=[phase1], phase2=[phase2]) as row,
    ):
        assert pair_of(client)["suite"] == phase2
        assert client.events("ike.phase1-established")[-1]["fields"]["suite"] == phase1
        prove_data(lab, "client1")
        assert (cipher in row["weak"]) == cipher.endswith("des")


# --- PFS ---------------------------------------------------------------------------------------


@pytest.mark.peer("culvert")
@pytest.mark.cell("pfs-mismatch", "ourselves")
def test_pfs_at_one_end_only_is_named_at_both(lab: Lab, client: OurClient) -> None:
    with OurGateway(lab, phase1=(OURS,), phase2=("aes128-sha1-modp1024",), legacy=SWITCHES) as gw:
        kept, client.profile = client.profile, {**BOTH, "phase2": ["aes128-sha1"]}
        done = client.try_up()
        client.profile = kept
        assert done.status != 0
        assert client.why()["diagnosis"]["id"] == "p2.pfs-mismatch"
        assert "group modp1024 at the other end, none here" in client.why()["diagnosis"]["why"]
        told = gw.events("quick.pfs-mismatch")[-1]["fields"]
        assert (told["remote"], told["local"]) == ("none", "modp1024")


@pytest.mark.peer("strongswan")
@pytest.mark.cell("pfs-mismatch", "strongswan-client")
def test_our_gateway_names_what_strongswan_asks_for(lab: Lab, pki: Pki) -> None:
    with OurGateway(lab, phase1=(OURS,), phase2=("aes128-sha1-modp1024",), legacy=SWITCHES) as gw:
        caller = StrongswanClient(lab, pki, ike=OURS, esp="aes128-sha1")
        with pytest.raises(PeerFailure):
            caller.up()
        told = gw.events("quick.pfs-mismatch")[-1]["fields"]
        assert (told["remote"], told["local"]) == ("none", "modp1024")


@pytest.mark.peer("strongswan")
@pytest.mark.cell("pfs-mismatch", "strongswan-gateway")
def test_a_refusal_of_strongswan_is_told_with_the_group_that_was_offered(
    lab: Lab, pki: Pki, client: OurClient
) -> None:
    with StrongswanGateway(lab, pki, ike=OURS, esp="aes128-sha1-modp1024"):
        kept, client.profile = client.profile, {**BOTH, "phase2": ["aes128-sha1"]}
        done = client.try_up()
        client.profile = kept
        assert done.status != 0
        assert client.why()["diagnosis"]["id"] == "p2.no-proposal"
        told = client.events("quick.refused")[-1]["fields"]
        assert told["reason"] == "NO-PROPOSAL-CHOSEN (offered with PFS group none)"


# --- lifetimes, identifiers, one proposal ------------------------------------------------------


@pytest.mark.peer("culvert")
@pytest.mark.cell("lifetime-differs", "ourselves")
def test_a_shorter_lifetime_at_the_gateway_is_warned_of(lab: Lab, client: OurClient) -> None:
    general = {"phase1_lifetime": 3600, "phase2_lifetime": 3600}
    with OurGateway(lab, general=general) as _, client.connected(phase2_lifetime=28_800):
        told = [row["fields"] for row in client.events("ike.lifetime-differs")[-2:]]
        assert {row["what"] for row in told} == {"IKE SA", "IPsec SA"}
        assert {row["theirs"] for row in told} == {row["counts"] for row in told} == {3600}
        assert pair_of(client)["life_seconds"] == 3600


@pytest.mark.peer("strongswan")
@pytest.mark.cell("identifiers", "strongswan-gateway")
@pytest.mark.parametrize("wanted", ["%address", "elsewhere.example.com"])
def test_the_identifier_of_a_strongswan_gateway_is_verified(
    lab: Lab, pki: Pki, client: OurClient, wanted: str
) -> None:
    with StrongswanGateway(lab, pki, ike=OURS, esp="aes128-sha1"):
        profile = {**BOTH, "phase2": ["aes128-sha1"], "remote_id": wanted}
        kept, client.profile = client.profile, profile
        try:
            done = client.try_up()
            assert (done.status == 0) == (wanted == "%address"), done.err
            if done.status:
                verdict = client.why()["diagnosis"]
                assert verdict["id"] == "p1.id-mismatch"
                assert topology.GATEWAY in verdict["why"]
                assert wanted in verdict["why"]
                client.profile = {**profile, "verify_remote_id": False}
                client.up()
            client.down()
        finally:
            client.profile = kept


@pytest.mark.peer("culvert")
@pytest.mark.cell("identifiers", "ourselves")
def test_a_local_identifier_names_the_group(lab: Lab, client: OurClient) -> None:
    with (
        OurGateway(lab) as gateway,
        client.connected(group="no such group", local_id=f"@{GROUP}", remote_id="%address"),
    ):
        assert gateway.session_of(USERS["client1"])["group"] == GROUP


@pytest.mark.peer("strongswan")
@pytest.mark.cell("one-proposal", "strongswan-gateway")
def test_one_proposal_only_is_what_strongswan_hears(lab: Lab, pki: Pki, client: OurClient) -> None:
    offer = {"phase1": ["aes256-sha1-modp1024", OURS], "phase2": ["aes256-sha1", "aes128-sha1"]}
    with StrongswanGateway(lab, pki, ike=f"{OURS},aes256-sha1-modp1024") as peer:
        before = len(peer.charon.log)  # others of this module spoke to it, too
        with client.connected(one_proposal=True, **offer):
            assert client.events("ike.phase1-established")[-1]["fields"]["suite"] == (
                "aes256-sha1-modp1024"
            )
        log = peer.charon.log[before:]
        heard = [line for line in log.splitlines() if "received proposals" in line]
        assert not any("AES_CBC_128" in line for line in heard)


# --- compression -------------------------------------------------------------------------------


@pytest.mark.peer("culvert")
@pytest.mark.cell("ipcomp", "ourselves")
@pytest.mark.parametrize("token", ["lzs", "deflate"])
def test_compressed_packets_between_two_processes(lab: Lab, client: OurClient, token: str) -> None:
    """The compiled engine has none, so both ends use the other one."""
    suite = f"aes128-sha1-{token}"
    with (
        OurGateway(lab, phase1=(OURS,), phase2=(suite,), legacy=SWITCHES),
        client.connected(phase2=[suite]) as row,
    ):
        assert row["engine"] == "python"
        assert pair_of(client)["suite"] == suite
        prove_data(lab, "client1")
