"""``culvert demo``: two clients behind one PAT, from nothing to downloads to a clean end, told."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import NoReturn

import click

from culvert.cli.exit_code import status_of
from culvert.cli.gateway_sessions import sessions_told, summary_told
from culvert.cli.output import WIDTH, octets, pairs, table
from culvert.cli.reading import row, rows
from culvert.cli.status import told as status_told
from culvert.errors import PlatformError
from culvert.eventlog.render.story import render
from culvert.eventlog.story import tell
from culvert.lab import topology
from culvert.lab.demo import Demo
from culvert.lab.lab import sweep
from culvert.lab.scene import CLIENTS, CONNECTION, GATEWAY, GATEWAY_NAME, USERS, Progress, Scene
from culvert.lab.simulated import Simulated

PICTURE = f"""\
  client1 {topology.CLIENT1} ─┐
                      ├─ {topology.PAT_INSIDE} PAT {topology.PAT_OUTSIDE} ─ internet ─┐
  client2 {topology.CLIENT2} ─┘                                          │
                       web server {topology.SERVER} ─ gateway {topology.GATEWAY}"""

TITLES = (
    "The network, the gateway and both clients",
    "Pings through both tunnels",
    "100 MB through both tunnels at the same time",
    "What the PAT sees: translations and neighbours (as a PIX prints them)",
    "culvert gateway sessions",
    *(f"culvert status, on {client}" for client in CLIENTS),
    "culvert why, on client1: one connection, step by step",
    "culvert gateway logout",
    "culvert down, and nothing is left",
)
"""One for each act."""

INDENT = "  "
REDRAW = 0.1
"""Seconds between two looks of the progress line."""
DIGEST_SHOWN = 16
TERMINATED = 128 + signal.SIGTERM


@click.command(epilog="Example: sudo culvert demo")
@click.option("--simulated", is_flag=True, help="As without root: over a simulated network.")
def demo(simulated: bool) -> int:
    """Show two clients behind one PAT reaching a private network, and take it all away again.

    As root in network namespaces of this machine; otherwise over a network simulated in memory.
    """
    scene: Scene
    if simulated or os.geteuid() != 0:
        scene = Simulated()
    else:
        sweep()  # what a killed run left
        scene = Demo(f"demo{os.getpid()}")
    began = time.monotonic()
    with _ended_in_order(scene):
        clean = _Play(scene).play()
    if clean:
        seconds = time.monotonic() - began
        click.echo(f"\nDone in {seconds:.1f} s; everything this started has been taken away.")
    return status_of("ok" if clean else "cli.problems")


@contextmanager
def _ended_in_order(scene: Scene) -> Generator[None]:
    """Whatever happens, SIGTERM included, the scene is taken down."""

    def terminated(*_: object) -> NoReturn:
        sys.exit(TERMINATED)

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        scene.end()
        signal.signal(signal.SIGTERM, before)


class _Play:
    """The acts, in order, and the telling of them."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._act = 0

    def play(self) -> bool:
        """Whether everything went as it should."""
        click.secho("culvert demo", bold=True)
        click.echo("Two clients behind one PAT reach a private network through one gateway.\n")
        click.echo(PICTURE)
        click.echo(f"\n{self._scene.place}")
        self._begin()
        went = [self._pings(), self._downloads()]
        self._pat()
        self._tables()
        self._story()
        self._logout()
        went.append(self._leave())
        return all(went)

    def _title(self, more: str = "") -> None:
        head = f"── {self._act + 1}  {TITLES[self._act]}{more} "
        self._act += 1
        click.secho(f"\n{head}{'─' * (WIDTH - len(head))}", fg="cyan", bold=True)

    # --- acts ----------------------------------------------------------------------------------

    def _begin(self) -> None:
        scene = self._scene
        self._title()
        _step("network and PAT are up", scene.build)
        _step("gateway and client services are running", scene.start)
        took: Mapping[str, float] = {}

        def connect() -> None:
            nonlocal took
            took = scene.connect()

        _step("both clients ran `culvert up` at the same time", connect)
        for client, seconds in took.items():
            user = USERS[client]
            click.echo(f"{INDENT}{client} connected to {GATEWAY_NAME} as {user} in {seconds:.2f} s")

    def _pings(self) -> bool:
        self._title(f", to {topology.SERVER}")
        lost = 0
        for client in CLIENTS:
            found = self._scene.ping(client)
            times = found.milliseconds
            lost += found.sent - len(times)
            trips = f"{min(times):.2f} / {sum(times) / len(times):.2f} / {max(times):.2f} ms"
            answered = f"{len(times)} of {found.sent} answered"
            click.echo(f"{INDENT}{client}  {answered}, {trips if times else ''} (least/mean/most)")
        return not lost

    def _downloads(self) -> bool:
        self._title()
        with _progress() as progress:
            found = self._scene.download(progress)
        lines = [
            (
                client,
                octets(one.octets),
                f"{one.seconds:.2f} s",
                f"{one.megabits_per_second:.0f} Mbit/s",
                one.sha256[:DIGEST_SHOWN] + "…",
                "every octet as sent" if one.identical else "DIFFERENT",
            )
            for client, one in found.items()
        ]
        _indented(table(("CLIENT", "GOT", "IN", "RATE", "SHA-256", ""), lines))
        together = sum(one.octets for one in found.values())
        longest = max(one.seconds for one in found.values())
        click.echo(f"{INDENT}both together {together * 8 / 1e6 / longest:.0f} Mbit/s")
        return all(one.identical for one in found.values())

    def _pat(self) -> None:
        self._title()
        _indented(f"show xlate\n{self._scene.xlate()}\n\nshow arp")
        _indented("\n".join(str(one) for one in self._scene.arp()))

    def _tables(self) -> None:
        self._title()
        listed = self._scene.ask(GATEWAY, "sessions", {})
        _indented(f"{sessions_told(listed.rows)}\n\n{summary_told(listed.result)}")
        for client in CLIENTS:
            self._title()
            _indented(status_told(self._scene.ask(client, "status", {}).rows))

    def _story(self) -> None:
        self._title()
        _indented(self._told("client1", CONNECTION))

    def _logout(self) -> None:
        gateway, (client, user) = self._scene, next(iter(USERS.items()))
        number = next(
            found["number"]
            for found in gateway.ask(GATEWAY, "sessions", {}).rows
            if found["user"] == user
        )
        self._title(f" {number}: an administrator ends {client}'s session")
        gateway.ask(GATEWAY, "logout", {"number": number})
        _until("the client hears of it", lambda: self._state(client) == "down")
        problem = row(self._row(client).get("problem"))
        said = [
            (f"{client} says", str(problem.get("sentence", ""))),
            ("what to do", str(problem.get("action", ""))),
            ("the gateway says", self._last_words(f"#{number}")),
            ("client2", f"{self._state('client2')}, undisturbed"),
        ]
        click.echo(pairs(said))

    def _leave(self) -> bool:
        self._title()
        self._scene.disconnect("client2")
        click.echo(f"{INDENT}client2 disconnected")
        _until("the session table is empty", lambda: not self._sessions())
        left = self._scene.left_over()
        for what in left:
            click.secho(f"{INDENT}not as it was before: {what}", fg="red")
        if not left:
            click.echo(f"{INDENT}routes, addresses, devices and DNS are as they were before")
        return not left

    # --- small things --------------------------------------------------------------------------

    def _told(self, who: str, key: str) -> str:
        return render(tell(self._scene.ask(who, "story", {"key": key}).story))

    def _last_words(self, key: str) -> str:
        return tell(self._scene.ask(GATEWAY, "story", {"key": key}).story).steps[-1].text

    def _row(self, client: str) -> Mapping[str, object]:
        (found,) = self._scene.ask(client, "status", {}).rows
        return found

    def _state(self, client: str) -> str:
        return str(self._row(client).get("state"))

    def _sessions(self) -> list[Mapping[str, object]]:
        return rows(list(self._scene.ask(GATEWAY, "sessions", {}).rows))


def _step(text: str, work: Callable[[], object]) -> None:
    """Do it, and say how long it took."""
    if sys.stdout.isatty():
        click.echo(f"{INDENT}… {text}", nl=False)
    began = time.monotonic()
    work()
    line = f"{INDENT}{text}".ljust(WIDTH - 8)
    click.echo(f"{START_OF_LINE if sys.stdout.isatty() else ''}{line}{seconds_since(began)}")


START_OF_LINE = "\r\x1b[K"


def seconds_since(began: float) -> str:
    return f"{time.monotonic() - began:6.2f} s"


@contextmanager
def _progress() -> Generator[Progress]:
    """On a terminal a line that moves; elsewhere nothing."""
    so_far = dict.fromkeys(CLIENTS, 0)
    drawn = 0.0

    def note(client: str, count: int) -> None:
        nonlocal drawn
        so_far[client] = count
        if sys.stdout.isatty() and time.monotonic() > drawn + REDRAW:
            drawn = time.monotonic()
            amounts = "   ".join(f"{who} {octets(got)}" for who, got in so_far.items())
            click.echo(f"{START_OF_LINE}{INDENT}{amounts}", nl=False)

    yield note
    if sys.stdout.isatty():
        click.echo(START_OF_LINE, nl=False)


PATIENCE = 10.0
LOOK = 0.05


def _until(what: str, holds: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise PlatformError(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(LOOK)


def _indented(text: str) -> None:
    for line in text.splitlines():
        click.echo(f"{INDENT}{line}".rstrip())
