"""Faults of the way between real processes, where nftables drops and a router dawdles."""

from __future__ import annotations

from typing import Any

import pytest

from culvert.lab.lab import Lab
from faults import places
from faults.scene import HALF_OPEN, Record, Scene
from interop.ours import OurClient, until
from interop.peers.credentials import PeerFailure
from interop.peers.pki import Pki
from interop.test_certificates import certified, person

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]


LOGIN = 150.0
"""Seconds for a login that loses three messages of ten each way: two of a hundred take more than a
minute, and one of two hundred comes to nothing (400 of them in virtual time)."""
LOGINS = 3


def connect(client: OurClient) -> None:
    given = f"{client.password}\n"
    for _ in range(LOGINS):
        if not client.culvert(*client.words, given=given, seconds=LOGIN).status:
            return
    raise PeerFailure(f"{LOGINS} logins came to nothing:\n{client.said}")


@pytest.mark.timeout(LOGINS * LOGIN + 200)
@pytest.mark.soak
def test_loss(lab: Lab, record_property: Record) -> None:
    """Of chance: both ends must have repeated enough at one moment. `make faults` runs it; the gate
    has the same fault in virtual time."""
    by_volume = {"phase2_volume": 100}
    with Scene(lab, "loss", general=by_volume, profile=by_volume, patient=True) as scene:
        with places.dropping(lab, places.A_THIRD) as dropped:
            connect(scene.client)
            back = scene.back(within=20)

            def both_repeat() -> bool:
                scene.flood(5)
                return {scene.says("client"), scene.says("gateway")} == {"net.loss"}

            until("keys were renewed over this line", both_repeat, seconds=110)
            counts = scene.traffic() | {"packets dropped": dropped.count}
            log = [entry.code for entry in scene.log("client")]
            counts["logins"] = log.count("client.up")
            counts["renewals"] = log.count("quick.rekeying")
            scene.told(record_property, counts, back)
            # A renewal every 100 kB, and each holds out until it is answered.
            assert counts["logins"] == 1, log
        scene.client.down()


def test_jitter(lab: Lab, record_property: Record) -> None:
    with Scene(lab, "jitter") as scene, places.shaky(lab, 0.2):
        scene.client.up()
        back = scene.back(within=20)
        came = scene.flood(5)
        scene.told(record_property, scene.traffic() | {"echoes of 250": came}, back)
        assert came > 240
        scene.client.down()


def test_blocked_4500(lab: Lab, record_property: Record) -> None:
    with Scene(lab, "blocked-4500", profile={"reconnect": 0}) as scene:
        with places.dropping(lab, *places.PORT_4500) as dropped:
            assert scene.client.try_up().status
            until(
                "the gateway gives up",
                lambda: scene.wrote("gateway", "ike.over"),
                seconds=HALF_OPEN,
            )
            scene.told(record_property, {"packets dropped": dropped.count})
        scene.client.up()
        scene.back(within=5)
        scene.client.down()


def test_blocked_udp(lab: Lab, record_property: Record) -> None:
    over_tcp = {"ipsec_over_tcp": True}
    with (
        Scene(lab, "blocked-udp", general=over_tcp, profile=over_tcp) as scene,
        places.dropping(lab, places.UDP) as dropped,
    ):
        scene.client.up()
        back = scene.back(within=5)
        assert scene.client.row["transport"] == "tcp"
        counts = scene.traffic() | {"UDP packets dropped": dropped.count}
        scene.told(record_property, counts, back)
        scene.client.down()


def with_certificates(pki: Pki, **general: object) -> dict[str, Any]:
    return {
        "where": "pub",
        "general": {**certified(pki), **general},
        "profile": {**person(pki, "rsa", "main"), "reconnect": 0},
    }


def test_fragments_dropped(lab: Lab, pki: Pki, record_property: Record) -> None:
    with (
        Scene(lab, "fragments-dropped", **with_certificates(pki)) as scene,
        places.narrow(lab, "pub", 1280),
        places.dropping(lab, places.FRAGMENTS) as dropped,
    ):
        scene.client.up()
        back = scene.back(within=5)
        cut = [*scene.client.events("ike.fragmented"), *scene.gateway.events("ike.fragmented")]
        counts = {"IKE fragments sent": sum(int(one["fields"]["pieces"]) for one in cut)}
        scene.told(record_property, counts | {"packets dropped": dropped.count}, back)
        assert dropped.count == 0
        scene.client.down()


def test_fragments_dropped_whole(lab: Lab, pki: Pki, record_property: Record) -> None:
    off = with_certificates(pki, ike_fragmentation=False)
    with (
        Scene(lab, "fragments-dropped-whole", **off) as scene,
        places.narrow(lab, "pub", 1280),
        places.dropping(lab, places.FRAGMENTS) as dropped,
    ):
        assert scene.client.try_up().status
        until("the gateway gives up", lambda: scene.wrote("gateway", "ike.over"), seconds=HALF_OPEN)
        scene.told(record_property, {"packets dropped": dropped.count})
