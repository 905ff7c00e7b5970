"""Faults of gateway and translators between real processes: they die, move, forget and block."""

from __future__ import annotations

import time

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from faults import places
from faults.scene import SOON, Record, Scene
from interop.ours import until
from interop.peers.credentials import GATEWAY_NAME, USERS
from interop.test_plain_esp import no_esp_through_the_pat

pytestmark = [pytest.mark.root, pytest.mark.timeout(150)]

AWAY = 3.0
"""Seconds that a gateway is gone."""


def test_pat_reboot(lab: Lab, record_property: Record) -> None:
    with Scene(lab, "pat-reboot") as scene:
        scene.client.up()
        scene.back(within=5)
        before = scene.gateway.session_of(USERS["client1"])["public_port"]
        lab.flush_nat()
        back = scene.back(within=20)
        row = scene.gateway.session_of(USERS["client1"])
        assert row["public_port"] != before
        scene.told(record_property, scene.traffic(), back)
        assert back <= SOON
        scene.client.down()


def test_blocked_esp(lab: Lab, record_property: Record) -> None:
    with (
        Scene(lab, "blocked-esp", where="pub") as scene,
        places.dropping(lab, places.ESP) as dropped,
    ):
        scene.client.up()
        inside = str(scene.client.row["assigned_ip"])

        def both_say() -> bool:
            scene.pings()
            lab.ping("server", inside, wait=0.1)
            return {scene.says("client"), scene.says("gateway")} == {"data.esp-blocked"}

        took = until("both ends say why", both_say, seconds=30)
        counts = scene.traffic() | {"packets dropped": dropped.count}
        counts["seconds until both ends said so"] = round(took)
        scene.told(record_property, counts)
        scene.client.down()


def test_natt_off(lab: Lab, record_property: Record) -> None:
    off = {"nat_traversal": "off"}
    with Scene(lab, "natt-off", profile=off) as scene, no_esp_through_the_pat(lab):
        scene.client.up()

        def both_say() -> bool:
            scene.pings()
            return {scene.says("client"), scene.says("gateway")} == {"data.no-natt"}

        took = until("both ends say why", both_say, seconds=30)
        counts = scene.traffic() | {"seconds until both ends said so": round(took)}
        scene.told(record_property, counts)
        scene.client.down()


@pytest.mark.parametrize("how", ["restart", "killed"])
def test_gateway(lab: Lab, how: str, record_property: Record) -> None:
    with Scene(lab, f"gateway-{how}") as scene:
        scene.client.up()
        scene.back(within=5)
        sending = lab.spawn("client1", ["ping", "-i", "0.3", topology.SERVER], label="sending")
        (scene.gateway.kill if how == "killed" else scene.gateway.stop)()
        time.sleep(AWAY)
        scene.gateway.start()
        back = scene.back(within=30)
        sending.stop()
        scene.told(record_property, scene.traffic(), back)
        assert back <= SOON
        scene.client.down()


def test_gateway_moved(lab: Lab, record_property: Record) -> None:
    with Scene(lab, "gateway-moved", profile={"host": GATEWAY_NAME}) as scene:
        scene.client.up()
        scene.back(within=5)
        with places.gateway_elsewhere(lab):
            back = scene.back(within=40)
            assert scene.client.row["gateway"] == places.NEW_GATEWAY
            until("the old session is over", lambda: len(scene.gateway.sessions) == 1, seconds=20)
            scene.told(record_property, scene.traffic(), back)
            scene.client.down()


def test_lost_peer(lab: Lab, record_property: Record) -> None:
    with Scene(lab, "lost-peer", profile={"reconnect": 0}) as scene:
        scene.client.up()
        scene.back(within=5)
        with places.dropping(lab, places.EVERYTHING) as dropped:
            began = time.monotonic()
            until("both have noticed", lambda: ended(scene), seconds=60)
            counts = {"seconds until both ends knew": round(time.monotonic() - began)}
            scene.told(record_property, counts | {"packets dropped": dropped.count})


def ended(scene: Scene) -> bool:
    return scene.wrote("client", "client.down") and not scene.gateway.sessions
