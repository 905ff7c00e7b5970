"""A lab: the network of `topology`, up and down, and what one does inside it.

    with Lab("mine") as lab:
        lab.spawn("gw", ["culvert", "gateway", "run", "-c", "gw.toml"])
        lab.run("client1", ["ping", "-c1", topology.GATEWAY])

Several labs stand side by side, each with a prefix of its own. State (logs, pids, generated
configurations) lies below `STATE_ROOT`; the daemons get a private /run, so it cannot lie there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from culvert.errors import MisuseError, PlatformError
from culvert.lab import namespace, pat, process, topology, web

Result = TypeVar("Result")

STATE_ROOT = Path("/var/lib/culvert-lab")
CACHE = Path("/var/cache/culvert-lab")
DEFAULT_PREFIX = "culvert"
# Bring-up takes well under a second; on a loaded machine it may take longer, never this long.
PATIENCE = 15.0
# Nobody listens on it (RFC 863).
DISCARD = 9
# Runs what follows with $1 as its /run; constant text, everything variable is an argument.
PRIVATE_RUN = 'd=$1; shift; mount --bind "$d" /run && exec "$@"'
TRANSLATION_EVENTS = "xlate-events"
MOST_USED = "xlate-most-used"
OWNER = "owner"


class Lab:
    """The network, by prefix; the object may be made anew for a lab that already stands.

    ``keeps_files``: what the web server serves stays on this machine for the next lab.
    """

    def __init__(self, prefix: str = DEFAULT_PREFIX, *, keeps_files: bool = True) -> None:
        if not prefix or not prefix.replace("-", "").isalnum():
            raise MisuseError(f"a lab's prefix is letters, digits and '-', not {prefix!r}")
        self.prefix = prefix
        self.state = STATE_ROOT / prefix
        self.www = CACHE / "www" if keeps_files else self.state / "www"
        self._spawned: dict[str, process.Spawned] = {}

    # --- up and down ---------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.up(owned=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    @property
    def is_up(self) -> bool:
        return all(namespace.exists(self.ns(name)) for name in topology.NAMES)

    def up(self, *, owned: bool = False) -> None:
        """Build it, after taking down whatever an earlier one of this prefix left.

        ``owned``: it belongs to this process; `sweep` removes it once we are gone.
        """
        namespace.need_root()
        self.down()
        STATE_ROOT.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.state.mkdir(mode=0o700)
        if owned:
            owner = f"{os.getpid()} {process.started_at(os.getpid())}\n"
            (self.state / OWNER).write_text(owner, "ascii")
        try:
            self._build()
        except BaseException:
            self.down()
            raise

    def _build(self) -> None:
        names = topology.NAMES
        for name in names:
            namespace.give_etc(self.ns(name), hosts=topology.HOSTS)
        namespace.add([self.ns(name) for name in names])
        cables = "".join(
            f"link add {cable.left.interface} netns {self.ns(cable.left.name)} type veth "
            f"peer name {cable.right.interface} netns {self.ns(cable.right.name)}\n"
            for cable in topology.CABLES
        )
        namespace.call(["ip", "-batch", "-"], given=cables)
        for name in names:
            settings = dict(topology.SYSCTLS)
            if name in topology.ROUTERS:
                settings["net/ipv4/ip_forward"] = "1"
            namespace.set_kernel(self.ns(name), settings)
            script = topology.interface_script(name)
            namespace.call(["ip", "-n", self.ns(name), "-batch", "-"], given=script)
        nft = ["ip", "netns", "exec", self.ns("pat"), namespace.tool("nft"), "-f", "-"]
        namespace.call(nft, given=topology.PAT_RULES)
        self._serve()

    def _serve(self) -> None:
        web.provide(self.www)
        listen = ["-m", "http.server", "--bind", topology.SERVER, "--directory", str(self.www)]
        self.spawn("server", [sys.executable, "-I", *listen, str(web.PORT)], label="http")
        end = time.monotonic() + PATIENCE
        for name in ("client1", "client2", "pub"):
            # A fresh bridge or cable may swallow the first packets.
            self.inside(name, lambda: wait_until_reached(topology.GATEWAY, end))
        self.flush_nat()
        self._watch_translations(end)
        self.inside("gw", lambda: wait_until_served(end))

    def _watch_translations(self, end: float) -> None:
        watch = ["conntrack", "-E", "-e", "NEW,DESTROY"]
        watching = self.spawn(
            "pat", [namespace.tool(watch[0]), *watch[1:]], label=TRANSLATION_EVENTS
        )
        while not watching.said:
            # It says nothing when it is ready, so it is given something to see.
            self.inside("pat", lambda: touch("127.0.0.1"))
            if time.monotonic() > end or not watching.alive:
                raise PlatformError("conntrack -E shows no events of the lab's PAT")
            time.sleep(namespace.POLL)

    def down(self) -> None:
        """Take it away completely; also one that a crashed process left."""
        namespace.need_root()
        for spawned in self._spawned.values():
            spawned.send(signal.SIGTERM)
        namespace.remove([self.ns(name) for name in topology.NAMES])
        for spawned in [*self._spawned.values(), *process.on_file(self.state)]:
            spawned.stop()
        self._spawned.clear()
        shutil.rmtree(self.state, ignore_errors=True)

    # --- in it ---------------------------------------------------------------------------------

    def ns(self, name: str) -> str:
        """The machine-wide name of the namespace ``name``."""
        if name not in topology.NAMES:
            raise MisuseError(f"no {name!r} in the lab; there are {', '.join(topology.NAMES)}")
        return f"{self.prefix}-{name}"

    def command(self, name: str, command: Sequence[str], *, run: Path | None = None) -> list[str]:
        """``command`` so that it runs inside ``name``, with ``run`` as its /run if given."""
        entered = [namespace.tool("ip"), "netns", "exec", self.ns(name)]
        if run is not None:
            entered += ["/bin/sh", "-c", PRIVATE_RUN, "sh", str(run)]
        return [*entered, *command]

    def run(
        self,
        name: str,
        command: Sequence[str],
        *,
        timeout: float = 30.0,
        check: bool = True,
        given: str = "",
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``command`` inside ``name`` to its end. Raises PlatformError if it fails."""
        done = subprocess.run(  # noqa: S603  # argument list, no shell
            self.command(name, command),
            input=given,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=None if env is None else {**os.environ, **env},
        )
        if check and done.returncode:
            said = (done.stdout + done.stderr).strip()
            raise PlatformError(f"{name}: {' '.join(command)}: exit {done.returncode}: {said}")
        return done

    def attend(self, name: str, command: Sequence[str]) -> int:
        """Run ``command`` inside ``name`` on our own terminal; its exit status."""
        self._need(name)
        return subprocess.run(self.command(name, command), check=False).returncode  # noqa: S603

    def spawn(
        self,
        name: str,
        command: Sequence[str],
        *,
        private_run: bool = False,
        label: str = "",
        env: Mapping[str, str] | None = None,
    ) -> process.Spawned:
        """Start ``command`` inside ``name`` and leave it running; it ends with the lab.

        ``private_run``: its /run is a folder of its own, for daemons that insist on one pid file
        or socket path. ``label`` (else program and namespace) names its log and pid file.
        """
        label = label or f"{Path(command[0]).name}-{name}"
        if (earlier := self._spawned.get(label)) is not None and earlier.alive:
            raise MisuseError(f"{label} runs already (pid {earlier.pid}); give a label")
        run = self.run_folder(label) if private_run else None
        entered = self.command(name, command, run=run)
        spawned = process.start(label, entered, folder=self.state, env=env)
        self._spawned[label] = spawned
        return spawned

    def run_folder(self, label: str) -> Path:
        """What a program spawned as ``label`` with ``private_run`` sees as /run."""
        folder = self.state / f"{label}.run"
        folder.mkdir(mode=0o755, exist_ok=True)
        return folder

    def inside(self, name: str, work: Callable[[], Result]) -> Result:
        """Do ``work`` on a thread inside ``name``; sockets it makes stay there.

        The network only: files, also /etc/hosts and /run, are this machine's.
        """
        return namespace.inside(self.ns(name), work)

    def running(self) -> list[process.Spawned]:
        """What was spawned here, by whomever, and still runs."""
        return process.on_file(self.state)

    # --- proof and trouble ---------------------------------------------------------------------

    def ping(self, name: str, address: str, *, count: int = 1, wait: float = 1.0) -> bool:
        """Whether every one of ``count`` pings was answered."""
        command = [namespace.tool("ping"), "-n", "-q", "-i", "0.2", "-W", str(wait)]
        command += ["-c", str(count), address]
        patience = 5.0 + count * (wait + 0.2)
        said = self.run(name, command, timeout=patience, check=False).stdout
        return f"{count} packets transmitted, {count} received" in said

    def fetch(
        self,
        name: str,
        file: str = "1M.bin",
        *,
        silence: float = web.SILENCE,
        progress: Callable[[int], None] | None = None,
    ) -> web.Fetched:
        """Download ``file`` of the private web server, compared octet by octet."""
        original = self.www / file

        def work() -> web.Fetched:
            return web.fetch(topology.SERVER, file, original, silence=silence, progress=progress)

        return self.inside(name, work)

    def flush_nat(self) -> None:
        """Forget every translation, as a rebooted or impatient NAT does."""
        self._need("pat")
        self.run("pat", [namespace.tool("conntrack"), "-F"])

    def cut(self, name: str, interface: str = "eth0") -> None:
        """Pull the cable of ``name``."""
        namespace.call(["ip", "-n", self.ns(name), "link", "set", interface, "down"])

    def mend(self, name: str, interface: str = "eth0") -> None:
        """Plug it in again, with the default route that went with it."""
        namespace.call(["ip", "-n", self.ns(name), "link", "set", interface, "up"])
        if via := topology.DEFAULT_ROUTES.get(name):
            route = ["route", "replace", "default", "via", via]
            namespace.call(["ip", "-n", self.ns(name), *route])

    def capture(self, name: str, file: Path, expression: str = "") -> process.Spawned:
        """Capture packets of every interface of ``name`` into ``file``; needs tcpdump."""
        command = [
            namespace.tool("tcpdump"),
            "-i",
            "any",
            "-n",
            "-U",
            "--immediate-mode",  # else what came within the last second is lost at its end
            "-s",  # a slot of the ring is this large; with the default a megabyte overruns it
            "2048",
            "-B",
            "32768",  # KiB: 16,000 packets
            "-Z",
            "root",
            "-w",
            str(file),
        ]
        label = f"tcpdump-{name}-{file.stem}"
        spawned = self.spawn(name, [*command, *expression.split()], label=label)
        spawned.wait_for("listening on")
        return spawned

    # --- the PAT -------------------------------------------------------------------------------

    def xlate(self) -> pat.Xlate:
        """The PAT's translation table; also of a lab of this prefix that others built."""
        self._need("pat")
        listing = self.run("pat", [namespace.tool("conntrack"), "-L"]).stdout
        found = pat.translations(listing)
        return pat.Xlate(found, self._most_used(len(found)))

    def _most_used(self, now: int) -> int:
        events = self.state / f"{TRANSLATION_EVENTS}.log"
        seen = now
        if events.exists():
            with events.open(encoding="utf-8", errors="replace") as lines:
                seen = max(seen, pat.peak(lines))
        kept = self.state / MOST_USED
        with contextlib.suppress(FileNotFoundError, ValueError):
            seen = max(seen, int(kept.read_text("ascii")))
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept.write_text(f"{seen}\n", "ascii")
        return seen

    def arp(self) -> tuple[pat.Neighbour, ...]:
        """The PAT's neighbours."""
        self._need("pat")
        return pat.neighbours(namespace.call(["ip", "-n", self.ns("pat"), "-j", "-4", "neigh"]))

    def _need(self, name: str) -> None:
        namespace.need_root()
        if not namespace.exists(self.ns(name)):
            raise PlatformError(
                f"no lab with prefix {self.prefix!r} is up",
                action=f"Build it with: culvert lab up --prefix {self.prefix}",
            )


def touch(address: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.sendto(b"", (address, DISCARD))


def wait_until_reached(address: str, end: float) -> None:
    """Until ``address`` refuses a connection: then packets go there and come back."""
    while True:
        try:
            socket.create_connection((address, DISCARD), timeout=0.05).close()
        except ConnectionRefusedError:
            return
        except OSError as problem:
            if time.monotonic() > end:
                raise PlatformError(f"the lab carries no packets to {address}") from problem
            time.sleep(namespace.POLL)
        else:
            return


def wait_until_served(end: float) -> None:
    while True:
        try:
            socket.create_connection((topology.SERVER, web.PORT), timeout=1.0).close()
        except OSError as problem:
            if time.monotonic() > end:
                raise PlatformError("the lab's web server does not answer") from problem
            time.sleep(namespace.POLL)
        else:
            return


def sweep() -> list[str]:
    """Take down every lab whose owner is gone (a crashed test run); their prefixes."""
    gone: list[str] = []
    for owner in sorted(STATE_ROOT.glob(f"*/{OWNER}")):
        try:
            pid, since = owner.read_text("ascii").split()
        except (ValueError, FileNotFoundError):
            continue
        if process.started_at(int(pid)) != since:
            prefix = owner.parent.name
            Lab(prefix).down()
            gone.append(prefix)
    return gone
