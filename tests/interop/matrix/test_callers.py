"""What foreign programs do as callers of our gateway, feature by feature."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.cells import Proves
from interop.matrix.suites import EVERYTHING
from interop.matrix.versions import VERSIONS
from interop.ours import DOMAIN, OurGateway, until
from interop.pat import BOTH, forgotten_in_mid_transfer
from interop.peers.credentials import USERS, PeerFailure
from interop.peers.pki import Pki, make
from interop.peers.strongswan_client import StrongswanClient
from interop.peers.tunnel import carries_nothing, prove_data
from interop.peers.vpnc import Vpnc
from interop.test_certificates import certified
from interop.test_restarting import restart
from interop.test_trace import numbers, traced

pytestmark = [pytest.mark.root, pytest.mark.interop_matrix]

USER = USERS["client1"]
Caller = Vpnc | StrongswanClient
Calls = Callable[..., Caller]
CALLERS = [
    pytest.param("vpnc", marks=pytest.mark.peer("vpnc")),
    pytest.param("strongswan-client", marks=pytest.mark.peer("strongswan")),
]
SOON = 20.0


@pytest.fixture(params=CALLERS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def calls(name: str, lab: Lab, pki: Pki) -> Calls:
    """Makes a caller of the kind, in the namespace that it is given."""

    def made(where: str = "client1", **settings: Any) -> Caller:
        if name == "vpnc":
            return Vpnc(lab, where, **settings)
        return StrongswanClient(lab, pki, where=where, **settings)

    return made


def kill(caller: Caller) -> None:
    if isinstance(caller, Vpnc):
        caller.kill()
    else:
        caller.charon.kill()


def log(caller: Caller) -> str:
    return caller.log if isinstance(caller, Vpnc) else caller.charon.log


@contextmanager
def refused(caller: Caller) -> Iterator[None]:
    """It comes to nothing, now or a moment later."""
    with suppress(PeerFailure):
        caller.up()
    try:
        yield
    finally:
        caller.down()


# --- transports --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "version"),
    [
        pytest.param("vpnc", "draft-02", marks=pytest.mark.peer("vpnc")),
        pytest.param("vpnc", "draft-03", marks=pytest.mark.peer("vpnc")),
        # It announces no draft 03.
        pytest.param("strongswan-client", "draft-02", marks=pytest.mark.peer("strongswan")),
    ],
)
def test_one_draft_of_nat_traversal_alone(
    lab: Lab, name: str, calls: Calls, cell: Proves, version: str
) -> None:
    cell(f"natt-{version}", name)
    with OurGateway(lab, group={"nat_traversal": version}) as gateway, calls():
        prove_data(lab, "client1")
        negotiated = gateway.heard("ike.natt-negotiated")[-1]["fields"]["version"]
        assert negotiated in VERSIONS[version]
        row = gateway.session_of(USER)
        assert (row["transport"], row["tunnel_port"]) == ("nat-t", 4500)


@pytest.mark.peer("strongswan")
def test_no_nat_between(lab: Lab, pki: Pki, cell: Proves) -> None:
    """strongSwan pretends one, because its data path has UDP only."""
    cell("no-nat", "strongswan-client")
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki, where="pub"):
        assert gateway.session_of(USERS["pub"])["public_ip"] == topology.PUB
        prove_data(lab, "pub")


def test_the_nat_forgets_its_table_in_mid_transfer(
    lab: Lab, name: str, calls: Calls, cell: Proves
) -> None:
    cell("nat-rebinding", name)
    with OurGateway(lab) as gateway, calls():
        before = gateway.session_of(USER)

        def carried() -> int:
            octets: int = gateway.session_of(USER)["bytes_out"]
            return octets

        forgotten_in_mid_transfer(lab, "client1", carried, silence=10.0)
        assert gateway.session_of(USER)["public_port"] != before["public_port"]


def test_two_behind_one_pat(lab: Lab, name: str, calls: Calls, cell: Proves) -> None:
    cell("two-behind-one-pat", name)
    with OurGateway(lab) as gateway, calls("client1"), calls("client2"):
        rows = gateway.sessions
        assert {row["public_ip"] for row in rows} == {topology.PAT_OUTSIDE}
        assert len({row["public_port"] for row in rows}) == len({r["assigned_ip"] for r in rows})
        for where in BOTH:
            prove_data(lab, where)


# --- Mode Config -------------------------------------------------------------------------------


@pytest.mark.peer("strongswan")
def test_mode_config(lab: Lab, pki: Pki, cell: Proves) -> None:
    cell("mode-config", "strongswan-client")
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki) as caller:
        assert caller.tunnel.address == gateway.session_of(USER)["assigned_ip"]
        resolv = (caller.charon.folder / "resolv.conf").read_text("utf-8")
        assert topology.SERVER in resolv


@pytest.mark.peer("strongswan")
def test_mode_config_without_ciscos_extension(lab: Lab, pki: Pki, cell: Proves) -> None:
    cell("plain-mode-config", "strongswan-client")
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki, unity=False):
        (asked,) = [row["fields"]["names"] for row in gateway.heard("config.requested")]
        assert asked
        assert not [one for one in asked if "UNITY" in one]
        prove_data(lab, "client1")


@pytest.mark.peer("strongswan")
def test_split_include(lab: Lab, pki: Pki, cell: Proves) -> None:
    """It asks for everything, and installs what the list names."""
    cell("split", "strongswan-client")
    with (
        OurGateway(lab, group={"split_include": [topology.PRIVATE]}),
        StrongswanClient(lab, pki, networks="0.0.0.0/0") as caller,
    ):
        sas = caller.charon.swanctl("--list-sas")
        assert f"remote {topology.PRIVATE}" in sas, sas
        assert "remote 0.0.0.0/0" not in sas
        prove_data(lab, "client1")


@pytest.mark.peer("vpnc")
def test_name_servers(lab: Lab, cell: Proves) -> None:
    """What its script is given to use."""
    cell("name-servers", "vpnc")
    nbns = ["192.168.2.12", "192.168.2.13"]
    script, given = lab.state / "names-script", lab.state / "names-given"
    script.write_text(
        f"#!/bin/sh\nenv > {given}.new && mv {given}.new {given}\nexec "
        "/usr/share/vpnc-scripts/vpnc-script\n",
        "utf-8",
    )
    script.chmod(0o755)
    group = {"nbns": nbns, "split_dns": ["inside.test"]}
    with OurGateway(lab, group=group), Vpnc(lab, extra=(f"Script {script}",)):
        lines = [line.partition("=") for line in given.read_text("utf-8").splitlines()]
        words = {name: value for name, _, value in lines}
        assert words["INTERNAL_IP4_DNS"] == topology.SERVER
        assert words["INTERNAL_IP4_NBNS"].split() == nbns
        assert words["CISCO_DEF_DOMAIN"] == DOMAIN
        resolv = lab.run("client1", ["cat", "/etc/resolv.conf"]).stdout
        assert f"nameserver {topology.SERVER}" in resolv


# --- life and end ------------------------------------------------------------------------------


def test_dead_peer_detection(lab: Lab, name: str, calls: Calls, cell: Proves) -> None:
    cell("dpd", name)
    asking = {"dpd_delay": 2, "dpd_retry": 1, "dpd_tries": 4}
    with OurGateway(lab, group=asking) as gateway, calls() as caller:
        prove_data(lab, "client1")
        until("it answers", lambda: len(gateway.heard("live.answer")) > 1, seconds=SOON)
        began = time.monotonic()
        kill(caller)
        gateway.wait_until_empty(seconds=SOON)
        assert time.monotonic() - began > 1.0
        assert gateway.events("session.ended")[-1]["fields"]["reason"] == "lost-peer"


def test_logout_at_either_end(lab: Lab, name: str, calls: Calls, cell: Proves) -> None:
    cell("logout-reason", name)
    with OurGateway(lab) as gateway:
        caller = calls()
        caller.up()
        caller.down()
        gateway.wait_until_empty()
        ended = gateway.events("session.ended")[-1]["fields"]
        assert (ended["reason"], ended["by_peer"]) == ("by-user", True)
        caller.up()
        try:
            out = gateway.culvert("gateway", "logout", str(gateway.session_of(USER)["number"]))
            assert out.status == 0, out.err
            until(
                "it hears of it",
                lambda: (
                    not caller.alive
                    if isinstance(caller, Vpnc)
                    else "received DELETE for IKE_SA" in log(caller)
                ),
                seconds=SOON,
            )
        finally:
            caller.down()
        ended = gateway.events("session.ended")
        assert "by-administrator" in {row["fields"]["reason"] for row in ended}


@pytest.mark.peer("strongswan")
def test_the_gateways_process_is_replaced(lab: Lab, pki: Pki, cell: Proves) -> None:
    cell("hot-restart", "strongswan-client")
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki), ThreadPoolExecutor() as pool:
        running = pool.submit(lab.fetch, "client1", "100M.bin", silence=10.0)
        before = len(gateway.events("session.ended"))
        for _ in range(2):
            result = restart(gateway)
            assert (result["hot"], result["sessions"]) == (True, 1)
            assert float(str(result["seconds"])) < 1.0
        assert running.result().identical
        assert len(gateway.events("session.ended")) == before
        prove_data(lab, "client1")


@pytest.mark.peer("strongswan")
def test_a_second_pair(lab: Lab, pki: Pki, cell: Proves) -> None:
    cell("several-phase2", "strongswan-client")
    cell("several-networks", "strongswan-client")
    whole = "10.21.0.0/24"
    with OurGateway(lab) as gateway, StrongswanClient(lab, pki, other=whole, unity=False) as caller:
        caller.dial("other")
        pairs = gateway.session_of(USER)["spis"]
        assert {pair["local"] for pair in pairs} == {topology.PRIVATE, whole}
        prove_data(lab, "client1")


# --- what is told ------------------------------------------------------------------------------


def test_the_live_trace(lab: Lab, name: str, calls: Calls, cell: Proves) -> None:
    cell("trace", name)
    with OurGateway(lab) as gateway, traced(gateway, f"trace-{name}") as shown, calls():
        prove_data(lab, "client1")
        lines = shown.wait_for("Phase-2 [")
        assert {9, 13, 14, 15, 16, 17, 18, 19, 20, 21} <= set(numbers(lines))


@pytest.mark.peer("vpnc")
def test_pfs_at_one_end_only(lab: Lab, cell: Proves) -> None:
    cell("pfs-mismatch", "vpnc")
    wants = ("aes128-sha1-modp1024",)
    with OurGateway(lab, phase2=wants, legacy=EVERYTHING) as gateway, refused(Vpnc(lab)):
        until("told", lambda: bool(gateway.events("quick.pfs-mismatch")), seconds=SOON)
        told = gateway.events("quick.pfs-mismatch")[-1]["fields"]
        assert (told["remote"], told["local"]) == ("none", "modp1024")
        assert carries_nothing(lab, "client1")


def test_different_lifetimes(lab: Lab, name: str, calls: Calls, cell: Proves) -> None:
    """Who is called tells the shorter one and counts by it."""
    cell("lifetime-differs", name)
    short = {"phase1_lifetime": 3600, "phase2_lifetime": 1800}
    with OurGateway(lab, general=short) as gateway, calls():
        told = [row["fields"]["name"] for row in gateway.heard("ike.notify-sent")]
        assert "RESPONDER-LIFETIME" in told
        assert gateway.events("quick.established")[-1]["fields"]["life_seconds"] == 1800
        prove_data(lab, "client1")


@pytest.mark.peer("strongswan")
def test_identifiers(lab: Lab, pki: Pki, cell: Proves) -> None:
    """The group's is who calls; the gateway's is verified by who calls."""
    cell("identifiers", "strongswan-client")
    with OurGateway(lab, general={"identity": "gw.example.test"}) as gateway:
        stranger = StrongswanClient(lab, pki, gateway_id="other.example.test")
        with refused(stranger):
            assert "IDir 'gw.example.test' does not match to 'other.example.test'" in log(stranger)
            assert not gateway.sessions
        with StrongswanClient(lab, pki, gateway_id="gw.example.test"):
            assert gateway.session_of(USER)["state"] == "up"
            prove_data(lab, "client1")


@pytest.mark.peer("strongswan")
def test_a_certificate_that_is_not_accepted(
    lab: Lab, pki: Pki, cell: Proves, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cell("auth-refused", "strongswan-client")
    strangers = make(tmp_path_factory.mktemp("strangers"))
    with OurGateway(lab, general=certified(pki)) as gateway:
        caller = StrongswanClient(
            lab, strangers, method="rsa", ike="aes256-sha256-modp2048", esp="aes128-sha256"
        )
        with refused(caller):
            until("the gateway has given up", lambda: bool(gateway.refusals), seconds=45)
            assert gateway.refusals[-1]["reason"] == "certificate-refused"
            assert "AUTH" in log(caller)
