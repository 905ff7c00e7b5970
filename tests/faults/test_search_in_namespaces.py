"""A searching client (`transport = "auto"`) between real processes, and what blocks its ways."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from culvert.lab.lab import Lab
from faults import places
from faults.scene import HALF_OPEN, Record, Scene
from interop.ours import until
from interop.peers.credentials import USERS
from interop.peers.pki import Pki
from interop.peers.tunnel import prove_data
from interop.test_certificates import certified, person

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]

EVERY_WAY = {"ipsec_over_udp": True, "ipsec_over_tcp": True}
SEARCHING: dict[str, object] = {**EVERY_WAY, "transport": "auto"}
FOUND_OUT = 60.0
"""Seconds until a tunnel that carries nothing is known as such, and another way stands."""


@contextmanager
def searching(lab: Lab, fault: str, where: str = "client1", **more: Any) -> Iterator[Scene]:
    """Both ends allow every way; what another test found in this network is forgotten."""
    general = {**EVERY_WAY, **more.get("general", {})}
    profile = {**SEARCHING, **more.get("profile", {})}
    scene = Scene(lab, fault, where=where, general=general, profile=profile)
    (scene.client.state / "ways.json").unlink(missing_ok=True)
    with scene:
        yield scene


def found(scene: Scene, way: str) -> None:
    """It is connected this way, and the gateway knows so too; a megabyte comes whole."""
    assert scene.client.row["transport"] == way
    prove_data(scene.lab, scene.where, "1M.bin")
    assert scene.gateway.session_of(USERS[scene.where])["transport"] == way


def proof(scene: Scene) -> dict[str, int]:
    """What the client counted on the ways that it gave up."""
    told = [entry for entry in scene.log("client") if entry.code == "client.way-blocked"]
    return {
        "ways that are blocked": len(told),
        "sent there": sum(int(str(entry.field("out"))) for entry in told),
        "came from there": sum(int(str(entry.field("came"))) for entry in told),
    }


def gateway_gave_up(scene: Scene) -> None:
    """Whoever began on a way that was given up never proved anything."""
    until("the gateway gives up", lambda: scene.wrote("gateway", "ike.over"), seconds=HALF_OPEN)


@pytest.mark.parametrize(
    ("fault", "rules", "way"),
    [
        ("blocked-4500-searched", places.PORT_4500, "udp"),
        ("blocked-udp-searched", (places.UDP,), "tcp"),
    ],
)
def test_what_does_not_answer(
    lab: Lab, fault: str, rules: tuple[str, ...], way: str, record_property: Record
) -> None:
    with searching(lab, fault) as scene, places.dropping(lab, *rules) as dropped:
        scene.client.up()
        back = scene.back(within=10)
        found(scene, way)
        if rules == places.PORT_4500:
            gateway_gave_up(scene)
        scene.told(record_property, proof(scene) | {"packets dropped": dropped.count}, back)
        scene.client.down()


def test_esp(lab: Lab, record_property: Record) -> None:
    with (
        searching(lab, "blocked-esp-searched", "pub") as scene,
        places.dropping(lab, places.ESP) as dropped,
    ):
        scene.client.up()
        assert scene.client.row["transport"] == "esp"
        inside = str(scene.client.row["assigned_ip"])

        def passes() -> bool:
            """Both ends send all the time, so that both can tell that nothing comes."""
            lab.ping("server", inside, wait=0.1)
            return scene.pings()

        took = until("packets pass", passes, seconds=FOUND_OUT)
        back = scene.back(within=10)
        found(scene, "nat-t")
        until(
            "the gateway has noticed that the first session is gone",
            lambda: scene.wrote("gateway", "session.ended"),
            seconds=HALF_OPEN,
        )
        counts = proof(scene) | {"packets dropped": dropped.count}
        counts["seconds until another way stood"] = round(took)
        scene.told(record_property, counts, back)
        scene.client.down()


def test_everything(lab: Lab, record_property: Record) -> None:
    rules = (places.UDP, places.TCP_10000)
    with searching(lab, "blocked-all-searched") as scene:
        with places.dropping(lab, *rules) as dropped:
            assert scene.client.try_up().status
            assert "IPsec over TCP" in str(scene.client.why())
            scene.told(record_property, proof(scene) | {"packets dropped": dropped.count})
        scene.client.up()
        assert scene.client.row["transport"] == "nat-t"
        scene.client.down()


def test_fragments(lab: Lab, pki: Pki, record_property: Record) -> None:
    """Certificates make messages that are longer than the link, and nothing cuts them."""
    with (
        searching(
            lab,
            "fragments-dropped-searched",
            "pub",
            general=certified(pki),
            profile={**person(pki, "rsa", "main"), "ike_fragmentation": False},
        ) as scene,
        places.narrow(lab, "pub", 1280),
        places.dropping(lab, places.FRAGMENTS) as dropped,
    ):
        scene.client.up()
        back = scene.back(within=10)
        found(scene, "tcp")
        gateway_gave_up(scene)
        scene.told(record_property, proof(scene) | {"packets dropped": dropped.count}, back)
        scene.client.down()
