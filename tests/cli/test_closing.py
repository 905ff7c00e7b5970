"""The closing message reaches every place where it must be shown (S0-23), real buses included."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import pytest
from dbus_fast import BusType
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusSignature, DBusStr, DBusUInt32
from dbus_fast.service import ServiceInterface, dbus_method

from cli.place import GATEWAY, PASSWORD, Place, place

pytestmark = [pytest.mark.root, pytest.mark.peer("dbus-daemon"), pytest.mark.timeout(120)]

LOCALLY = "Secure VPN Connection terminated locally by the Client"
BY_PEER = f"Secure VPN Connection terminated by Peer {GATEWAY}"
BY_ADMINISTRATOR = "Reason: Manually disconnected by administrator."
PATIENCE = 20.0
PopUp = dict[str, Any]


class Notifications(ServiceInterface):
    """A desktop that remembers what it was given to show."""

    def __init__(self) -> None:
        super().__init__("org.freedesktop.Notifications")

    @dbus_method(name="Notify")
    def notify(
        self,
        program: DBusStr,
        replaces: DBusUInt32,
        icon: DBusStr,
        title: DBusStr,
        body: DBusStr,
        actions: Annotated[list[str], DBusSignature("as")],
        hints: Annotated[dict[str, Any], DBusSignature("a{sv}")],
        stays: Annotated[int, DBusSignature("i")],
    ) -> DBusUInt32:
        urgency = hints["urgency"].value
        print(json.dumps({"title": title, "body": body, "urgency": urgency}), flush=True)
        return 1


async def be_a_desktop() -> None:
    bus = await MessageBus(bus_type=BusType.SESSION).connect()
    bus.export("/org/freedesktop/Notifications", Notifications())
    await bus.request_name("org.freedesktop.Notifications")
    print("ready", flush=True)
    await asyncio.Event().wait()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("closing")) as found:
        found.start_gateway()
        yield found


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A session bus of its own."""
    daemon = subprocess.Popen(
        ("dbus-daemon", "--session", "--nofork", "--print-address"),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert daemon.stdout is not None
    address = daemon.stdout.readline().strip()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
    yield address
    daemon.terminate()
    daemon.communicate()


@contextmanager
def desktop() -> Iterator[subprocess.Popen[str]]:
    here = "from cli.test_closing import *; asyncio.run(be_a_desktop())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    running = subprocess.Popen(
        (sys.executable, "-c", here), stdout=subprocess.PIPE, text=True, env=environment
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


@contextmanager
def started(at: Place, *words: str, given: str = "") -> Iterator[subprocess.Popen[str]]:
    """A command of the person at the client, left running."""
    running = subprocess.Popen(
        at.client.line(*words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=at.client.environment(),
    )
    try:
        if given:
            assert running.stdin is not None
            running.stdin.write(given)
            running.stdin.close()
            running.stdin = None
        yield running
    finally:
        running.kill()
        running.communicate()


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)


def is_up(at: Place) -> bool:
    return at.client.culvert("status", "--established").status == 0


def log_out(at: Place) -> None:
    (row,) = at.gateway.culvert("gateway", "sessions", "--json").document["sessions"]
    assert at.gateway.culvert("gateway", "logout", str(row["number"])).status == 0


@pytest.mark.requirement("S0-23", part="command line")
def test_on_the_command_line_the_terminal_and_the_log_say_the_same(at: Place) -> None:
    words = ("up", str(at.profile), "--password-stdin", "--user", "ann", "--stay")
    with started(at, *words, given=f"{PASSWORD}\n") as staying:
        until(lambda: is_up(at))
        log_out(at)
        out, _ = staying.communicate(timeout=PATIENCE)
    assert out.splitlines()[-3:] == [
        "office: disconnected",
        f"  {BY_PEER}",
        f"  {BY_ADMINISTRATOR}",
    ]
    assert staying.returncode != 0
    logged = at.client.culvert("log", "-n", "20").out
    assert f"{BY_PEER}, {BY_ADMINISTRATOR}" in logged


def test_an_interruption_of_who_stays_ends_the_connection(at: Place) -> None:
    words = ("up", str(at.profile), "--password-stdin", "--user", "ann", "--stay")
    with started(at, *words, given=f"{PASSWORD}\n") as staying:
        until(lambda: is_up(at))
        time.sleep(0.5)
        staying.send_signal(signal.SIGINT)
        out, _ = staying.communicate(timeout=PATIENCE)
    assert f"  {LOCALLY}\n" in out
    assert staying.returncode == 0
    assert not is_up(at)


@pytest.mark.requirement("S0-23", part="graphical")
def test_on_the_desktop_the_pop_up_the_notices_and_the_log_say_the_same(
    at: Place, bus: str
) -> None:
    until(lambda: at.up().status == 0)  # the service is there now
    at.client.culvert("down")
    with desktop() as shown, started(at, "notify"):
        assert shown.stdout is not None
        time.sleep(1.0)  # nothing tells when it listens
        until(lambda: at.up().status == 0)
        risen: PopUp = json.loads(shown.stdout.readline())
        assert (risen["title"], risen["urgency"]) == ("office", 1)
        assert risen["body"].startswith("Connected: office is up with the address 10.77.0.")
        log_out(at)
        closed: PopUp = json.loads(shown.stdout.readline())
    assert closed["title"] == "office"
    assert closed["body"].splitlines() == [BY_PEER, BY_ADMINISTRATOR]
    for command in (("log", "--notices"), ("log", "-n", "50")):
        assert f"{BY_PEER}, {BY_ADMINISTRATOR}" in at.client.culvert(*command).out
    assert {json.loads(one)["code"] for one in notices(at)} == {"client.up", "client.down"}


def notices(at: Place) -> list[str]:
    return at.client.culvert("log", "--notices", "--json").out.splitlines()


def test_without_a_desktop_it_says_so_and_what_to_do(at: Place, bus: str) -> None:
    until(lambda: at.up().status == 0)
    with started(at, "notify") as running:
        time.sleep(1.0)
        log_out(at)
        _, err = running.communicate(timeout=PATIENCE)
    assert "the desktop shows no notifications" in err
    assert "--print" in err
