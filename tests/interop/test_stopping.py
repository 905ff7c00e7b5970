"""Signals that end a gateway, as terminals, timeout(1) and service managers send them: to all of
its processes, twice, in the middle of starting."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from culvert.cli.exit_code import status_of
from culvert.driver.process import TOGETHER
from culvert.lab import namespace
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, traces, until
from interop.peers.credentials import PeerFailure
from interop.peers.tunnel import prove_data

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]

SECONDS = 60.0
"""For what takes five on a machine that does nothing else."""
STAYS_DOWN = {"reconnect": 0}
INTERRUPTED, UNAVAILABLE = 130, status_of("platform.unavailable")
LOST = ("vault-lost", "worker-lost", "restarted-cold", "Traceback", "service.fault")


@dataclass(frozen=True)
class Stage:
    lab: Lab
    gateway: OurGateway
    before: object

    def send_all(self, number: signal.Signals) -> None:
        os.killpg(self.gateway.running.pid, number)

    def of(self, module: str) -> list[int]:
        return [
            pid
            for pid in namespace.processes([self.lab.ns("gw")])
            if module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    def ended(self) -> int | None:
        """Its exit status; everything is undone, and no child is left."""
        assert self.gateway.running.wait(timeout=SECONDS), self.gateway.said
        assert traces(self.lab, "gw") == self.before
        until("no child is left", lambda: not self.of("culvert.gateway"), seconds=SECONDS)
        assert not [word for word in LOST if word in self.gateway.said], self.gateway.said
        return self.gateway.running.status

    def begun(self) -> None:
        """It starts, and heeds signals already."""
        gateway = self.gateway
        gateway.config.touch(mode=0o600)
        gateway.config.write_text(gateway.text(), "utf-8")
        gateway.spawn("gateway", "run", "-c", str(gateway.config))
        until("it starts", lambda: "gateway.config-loaded" in gateway.said, seconds=SECONDS)


@pytest.fixture
def stage(lab: Lab) -> Iterator[Stage]:
    before = traces(lab, "gw")
    gateway = OurGateway(lab)
    # Of this test alone.
    (lab.state / f"{gateway.label}.log").unlink(missing_ok=True)
    yield Stage(lab, gateway, before)
    gateway.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_all_processes_of_a_gateway_stops_it_in_order(
    stage: Stage, number: signal.Signals
) -> None:
    with OurClient(stage.lab, profile=STAYS_DOWN) as client:
        stage.gateway.start()
        client.up()
        told = len(client.events("client.down"))
        stage.send_all(number)
        stage.send_all(number)  # as timeout(1) does
        assert stage.ended() == 0
        assert stage.gateway.said.count("gateway.stopping") == 1
        until(
            "the client was told", lambda: len(client.events("client.down")) > told, seconds=SECONDS
        )
        assert client.events("client.down")[-1]["fields"]["reason"] == "peer-shutdown"


def test_a_signal_to_all_processes_stops_a_gateway_that_took_over_in_order(stage: Stage) -> None:
    stage.gateway.start()
    assert stage.gateway.culvert("gateway", "restart").status == 0
    until("the keeper is there", lambda: bool(stage.of("keeper.py")), seconds=SECONDS)
    stage.send_all(signal.SIGTERM)  # and the keeper passes its own on
    assert stage.ended() == 0
    assert "gateway.stopping" in stage.gateway.said


def test_a_second_signal_cuts_the_farewells_short_and_undoes_everything(stage: Stage) -> None:
    gateway = stage.gateway
    gateway.start()
    (worker,) = stage.of("culvert.gateway.worker")
    os.kill(worker, signal.SIGSTOP)  # so that the end takes its time
    stage.send_all(signal.SIGINT)
    until("it stops", lambda: "gateway.stopping" in gateway.said, seconds=SECONDS)
    gateway.running.wait(timeout=2 * TOGETHER)
    stage.send_all(signal.SIGINT)
    assert stage.ended() == INTERRUPTED
    assert gateway.said.endswith("\nculvert: interrupted.\n")


def test_a_signal_while_a_gateway_starts_stops_it_in_order(stage: Stage) -> None:
    stage.begun()
    stage.send_all(signal.SIGINT)
    assert stage.ended() == 0


@pytest.mark.parametrize("after", [0.6, 1.2, 2.0])
def test_two_signals_while_a_gateway_starts_end_it_and_undo_everything(
    stage: Stage, after: float
) -> None:
    stage.begun()
    stage.send_all(signal.SIGINT)
    stage.gateway.running.wait(timeout=after)
    if stage.gateway.running.alive:
        stage.send_all(signal.SIGINT)
    # 0: it was up and down again before the second one; -2: and its interpreter on the way out.
    assert stage.ended() in {0, INTERRUPTED, -signal.SIGINT}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gateway_whose_interface_is_deleted_makes_it_anew(lab: Lab, workers: int) -> None:
    before = traces(lab, "gw")
    name = "culvert0"
    general = {"tun": name, "workers": workers}
    with OurGateway(lab, general=general) as gateway, OurClient(lab, profile=STAYS_DOWN) as client:
        client.up()
        standing, started = traces(lab, "gw"), gateway.said.count("gateway.started")
        downs = len(client.events("client.down"))
        lab.run("gw", ["ip", "link", "delete", name])
        until(
            "it has started again",
            lambda: gateway.said.count("gateway.started") > started,
            seconds=SECONDS,
        )
        assert f"the interface {name} was deleted" in gateway.said
        # Whoever was connected has been told, and is served as before.
        until(
            "the client was told",
            lambda: len(client.events("client.down")) > downs,
            seconds=SECONDS,
        )
        assert set(traces(lab, "gw")["devices"].split()) >= {name}
        assert traces(lab, "gw")["routes"] == standing["routes"]
        client.up()
        prove_data(lab, client.where)
    assert traces(lab, "gw") == before


class Second(OurGateway):
    """Another one on the same machine, with the name of the first one's interface."""

    kind = "second"

    @property
    def config(self) -> Path:
        return self.lab.state / "second.toml"


PORTS = {"ike_port": 5500, "natt_port": 5501}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_gateway_does_not_start_on_the_interface_of_another_one(
    stage: Stage, workers: int
) -> None:
    first = stage.gateway
    first.start()
    standing = traces(stage.lab, "gw")
    second = Second(stage.lab, general={"tun": "culvert0", "workers": workers, **PORTS})
    with pytest.raises(PeerFailure, match="the network device culvert0 exists already"):
        second.start()
    assert second.running.status == UNAVAILABLE
    assert traces(stage.lab, "gw") == standing
    first.stop()
    assert stage.ended() == 0
