"""What a gateway is to provide and does not, between real processes: addresses by DHCP, names."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from culvert.lab.lab import Lab
from faults import places
from faults.scene import HALF_OPEN, Record, Scene
from interop.ours import until
from interop.peers.pki import Pki
from interop.test_certificates import certified, person
from interop.test_provisioning import PROFILE, SITE, dhcp_server

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

ABSENT = "192.168.2.99"


@pytest.mark.parametrize(
    ("fault", "how", "says"),
    [
        ("dhcp-no-server", "", "nobody answers"),
        ("dhcp-no-answer", "mute", "nobody answers"),
        ("dhcp-refused", "refuse", "NAK"),
    ],
)
def test_no_lease(lab: Lab, fault: str, how: str, says: str, record_property: Record) -> None:
    with (
        Scene(lab, fault, profile={**PROFILE, "reconnect": 0}, site=SITE) as scene,
        dhcp_server(lab, how) if how else nullcontext() as server,
    ):
        refused = scene.client.try_up()
        assert refused.status
        assert says in refused.err
        (failed,) = [e for e in scene.log("client") if e.code == "client.lease-failed"]
        assert says in str(failed.field("problem"))
        until(
            "the gateway has heard the end",
            lambda: scene.wrote("gateway", "session.ended"),
            seconds=HALF_OPEN,
        )
        counts = {"leases that failed": 1}
        if server is not None:
            counts["questions that came to the server"] = server.said.count(f"{how}:")
            assert counts["questions that came to the server"]
        scene.told(record_property, counts)


def test_no_name_server(lab: Lab, record_property: Record) -> None:
    profile = {"dns_mode": "global", "dns_test_name": "public.test"}
    with Scene(lab, "dns-silent", profile=profile, group={"dns": [ABSENT]}) as scene:
        scene.client.up()
        back = scene.back(within=5)
        until(
            "it is told",
            lambda: scene.wrote("client", "client.dns-not-public"),
            seconds=30,
        )
        counts = scene.traffic()
        scene.told(record_property, counts, back)
        why = scene.client.culvert("why").out
        assert ABSENT in why
        scene.client.down()


def test_a_piece_is_always_lost(lab: Lab, pki: Pki, record_property: Record) -> None:
    kept = {**person(pki, "rsa", "main"), "reconnect": 0}
    with (
        Scene(lab, "fragments-pieces", where="pub", general=certified(pki), profile=kept) as scene,
        places.narrow(lab, "pub", 1280),
        places.dropping(lab, places.SECOND_PIECE) as dropped,
    ):
        assert scene.client.try_up().status
        until("the gateway gives up", lambda: scene.wrote("gateway", "ike.over"), seconds=HALF_OPEN)
        assert dropped.count
        scene.told(record_property, {"pieces dropped": dropped.count})
