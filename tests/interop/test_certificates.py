"""Certificates and hybrid authentication: our ends with foreign ones and with each other."""

from __future__ import annotations

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import GATEWAY_NAME, GROUP, USERS, PeerFailure
from interop.peers.pki import Pki, make
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.strongswan_gateway import StrongswanGateway
from interop.peers.tunnel import prove_data
from interop.peers.vpnc import Vpnc

pytestmark = pytest.mark.root

MODERN, LEGACY = "aes256-sha2_256-modp2048", "aes128-sha1-modp1024"
EVERY = ["xauth-rsa", "rsa", "hybrid", "xauth-psk", "psk"]
USER = USERS["client1"]

AT_STRONGSWAN = [
    pytest.param("rsa", "main", id="rsa-main"),
    pytest.param("xauth-rsa", "main", id="xauth-rsa-main"),
    pytest.param("hybrid", "main", id="hybrid-main"),
    pytest.param("psk", "main", id="psk-main"),
    pytest.param("rsa", "aggressive", id="rsa-aggressive"),
    pytest.param("xauth-rsa", "aggressive", id="xauth-rsa-aggressive"),
    pytest.param("hybrid", "aggressive", id="hybrid-aggressive"),
]
FROM_STRONGSWAN = [
    ("rsa", "rsa", "main"),
    ("rsa-xauth", "xauth-rsa", "main"),
    ("hybrid", "hybrid", "main"),
    ("psk", "psk", "main"),
    ("rsa-agg", "rsa", "aggressive"),
    ("rsa-xauth-agg", "xauth-rsa", "aggressive"),
    ("hybrid-agg", "hybrid", "aggressive"),
]


def certified(pki: Pki, name: str = "gw", *ways: str) -> dict[str, object]:
    """Keys of a gateway that has certificate ``name`` and accepts every way."""
    return {
        "identity": GATEWAY_NAME,
        "authentication": list(ways or EVERY),
        "certificate": str(pki.certificate(name)),
        "private_key": str(pki.key(name)),
        "client_ca": [str(pki.certificate("ca"))],
        "revocation": "off",
        "aggressive_certificates": True,
        "certificate_group": GROUP,
        "main_mode_group": GROUP,
    }


def person(pki: Pki, way: str, mode: str, name: str = USER) -> dict[str, object]:
    """A profile of somebody with certificate ``name``."""
    return {
        "authentication": way,
        "exchange_mode": mode,
        "certificate": str(bundle(pki, name)),
        "ca": [str(pki.certificate("ca"))],
        "revocation": "off",
        "remote_networks": [topology.PRIVATE],
        "phase1": [MODERN],
    }


def bundle(pki: Pki, name: str) -> object:
    """Certificate and key in one file, as profiles want them."""
    whole = pki.folder / f"{name}-with-key.pem"
    whole.touch(mode=0o600)
    whole.write_bytes(pki.certificate(name).read_bytes() + pki.key(name).read_bytes())
    return whole


@pytest.mark.peer("strongswan")
@pytest.mark.parametrize(("way", "mode"), AT_STRONGSWAN)
def test_our_client_at_strongswan(lab: Lab, pki: Pki, cell: Proves, way: str, mode: str) -> None:
    if (f"auth-{way}-{mode}") != "auth-psk-aggressive":
        cell(f"auth-{way}-{mode}", "strongswan-gateway")
    with (
        StrongswanGateway(lab, pki, ike="aes256-sha256-modp2048", esp="aes128-sha1"),
        OurClient(lab) as client,
    ):
        profile = {**person(pki, way, mode), "phase2": ["aes128-sha1"]}
        client.profile = {**profile, "legacy": ["sha1", "aggressive-psk"]}
        with client.connected() as row:
            assert row["method"] == way
            prove_data(lab, "client1", "1M.bin")


@pytest.mark.peer("strongswan")
@pytest.mark.parametrize(("method", "way", "mode"), FROM_STRONGSWAN, ids=lambda one: one)
def test_strongswan_at_our_gateway(
    lab: Lab, pki: Pki, cell: Proves, method: str, way: str, mode: str
) -> None:
    cell(f"auth-{way}-{mode}", "strongswan-client")
    known = GATEWAY_NAME if way == "psk" else ""
    with (
        OurGateway(lab, general=certified(pki)) as gateway,
        StrongswanClient(lab, pki, method, ike=LEGACY, gateway_id=known),
    ):
        prove_data(lab, "client1", "1M.bin")
        (row,) = gateway.sessions
        assert (row["method"], row["group"], row["state"]) == (way, GROUP, "up")
        assert row["user"] == (GROUP if way == "psk" else USER)


@pytest.mark.peer("vpnc")
@pytest.mark.cell("auth-hybrid-aggressive", "vpnc")
def test_vpnc_hybrid_at_our_gateway(lab: Lab, pki: Pki) -> None:
    authority = pki.certificate("ca")
    with (
        OurGateway(lab, general=certified(pki)) as gateway,
        Vpnc(lab, "client1", auth="hybrid", authority=authority),
    ):
        prove_data(lab, "client1", "1M.bin")
        row = gateway.session_of(USER)
        assert (row["method"], row["group"]) == ("hybrid", GROUP)


@pytest.mark.peer("vpnc")
def test_vpnc_hybrid_gets_nothing_from_a_gateway_that_does_not_enable_it(
    lab: Lab, pki: Pki
) -> None:
    general = {**certified(pki, "gw", "hybrid"), "aggressive_certificates": False}
    with OurGateway(lab, general=general), pytest.raises(PeerFailure):
        Vpnc(lab, "client1", auth="hybrid", authority=pki.certificate("ca"), patience=8.0).up()


@pytest.mark.parametrize("mode", ["main", "aggressive"])
@pytest.mark.parametrize("way", ["rsa", "xauth-rsa", "hybrid"])
def test_our_client_at_our_gateway(lab: Lab, pki: Pki, cell: Proves, way: str, mode: str) -> None:
    cell(f"auth-{way}-{mode}", "ourselves")
    with OurGateway(lab, general=certified(pki)) as gateway, OurClient(lab) as client:
        with client.connected(**person(pki, way, mode)) as row:
            assert row["method"] == way
            prove_data(lab, "client1", "1M.bin")
            assert gateway.session_of(USER)["method"] == way
        gateway.wait_until_empty()


# --- refused -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Another authority, with the same people."""
    return make(tmp_path_factory.mktemp("strangers"))


REFUSED = {
    "authority": ("cert.untrusted", "certificate-disputed", "`ca`"),
    "name": ("cert.untrusted", "certificate-disputed", "remote_id"),
    "caller's authority": ("cert.disputed", "certificate-refused", "`client_ca`"),
    "expired": ("cert.disputed", "certificate-expired", "Renew"),
}
"""What is wrong: the client's diagnosis, the gateway's reason, and a word of what to change."""


@pytest.mark.cell("auth-refused", "ourselves")
@pytest.mark.timeout(90)
@pytest.mark.parametrize("wrong", REFUSED)
@pytest.mark.parametrize("mode", ["main", "aggressive"])
def test_what_is_wrong_with_a_certificate_is_named_at_both_ends(
    lab: Lab, pki: Pki, strangers: Pki, mode: str, wrong: str
) -> None:
    at_client, at_gateway, word = REFUSED[wrong]
    usual = {**person(pki, "rsa", mode), "peer_timeout": 8}
    changes = {
        "authority": {"ca": [str(strangers.certificate("ca"))]},
        "name": {"remote_id": "other.example.test"},
        "caller's authority": {"certificate": str(bundle(strangers, USER))},
        "expired": {"certificate": str(bundle(pki, "expired"))},
    }
    with OurGateway(lab, general=certified(pki)) as gateway, OurClient(lab) as client:
        client.profile = {**usual, **changes[wrong]}
        assert client.try_up().status != 0
        assert client.why()["diagnosis"]["id"] == at_client
        until("the gateway has given up", lambda: bool(gateway.refusals), seconds=45)
        assert gateway.refusals[-1]["reason"] == at_gateway
        code = "ike.certificate-refused"
        details = [
            event["fields"]["detail"] for end in (client, gateway) for event in end.heard(code)
        ]
        assert any(word in detail for detail in details), details
        client.profile = usual
        with client.connected():
            prove_data(lab, "client1", "1M.bin")
