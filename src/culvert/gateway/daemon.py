"""The gateway as a process: ``culvert gateway run -c FILE``."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from culvert import __version__
from culvert.changes.change import RouteAdded
from culvert.changes.plan import ServedNetwork
from culvert.driver.capture import Watched
from culvert.driver.clock import boottime
from culvert.driver.confined import ShownCertificate, TunEnd, empty_root, handed_down
from culvert.driver.control import problem
from culvert.driver.engine import choose
from culvert.driver.journal import Journal, wall_clock
from culvert.driver.kernel_door import KernelDoor
from culvert.driver.message import MessageError
from culvert.driver.places import GATEWAY, Places, places
from culvert.driver.process import (
    STOP_SECONDS,
    Ending,
    Listening,
    check_vacant,
    lived,
    seen_through,
    serve,
)
from culvert.driver.stream import StreamGate
from culvert.driver.user_engine import Choice
from culvert.errors import ConfigError, PlatformError
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway import departure
from culvert.gateway.config import GatewayConfig, load
from culvert.gateway.crew import Crew, Pairs
from culvert.gateway.desk import Desk
from culvert.gateway.house import GatewayHouse
from culvert.gateway.kernel_choice import as_before, engine_for
from culvert.gateway.ledger import Ledger
from culvert.gateway.ledger_door import LedgerDoor
from culvert.gateway.monitor import Monitor, without_secrets
from culvert.gateway.moving import Moving
from culvert.gateway.record_file import UNWATCHED, RecordFile, Watching
from culvert.gateway.restarting import Restarting
from culvert.gateway.served import served
from culvert.gateway.sockets import (
    Ports,
    by_port,
    kind_of,
    listening,
    open_beside,
    open_shared,
    open_sockets,
)
from culvert.gateway.store_door import StoreDoor
from culvert.gateway.succession import TUN, Given, Inheritance, Options
from culvert.gateway.worker import Orders
from culvert.gateway.worker_checking import device
from culvert.identity.certificates.proof import soon
from culvert.inet.address import text as address_text
from culvert.inet.lane import ALONE, LANES, Share
from culvert.netio import route
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.ipsec_link import any_number
from culvert.netio.machine import Machine
from culvert.netio.raw_esp import ANY, RawEsp
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.netio.xfrm import KernelIpsec
from culvert.store.database import FILE_NAME, open_database
from culvert.store.lifetime import Lifetime
from culvert.store.users import Users

GROUP = "culvert-admin"
"""Its members may administer the gateways of this machine."""

START_AGAIN = "Set it right (`culvert gateway validate -c FILE` looks again), then start it again."

SEVERAL = "it has no ports by which the kernel could choose one of several workers"


def run_gateway(
    path: str,
    *,
    state_dir: str = "",
    socket: str = "",
    quiet: bool = False,
    engine: str = "",
    watching: Watching = UNWATCHED,
) -> None:
    """Serve the configuration at ``path`` until SIGTERM or SIGINT.

    ``watching``: files for keys, packets and a record, none by default.

    Raises ConfigError with every mistake in the file, PlatformError for what the machine lacks.
    """
    options = Options(path, state_dir, socket, quiet, engine)
    check_vacant(places(GATEWAY, state_dir=state_dir, socket=socket))
    _run(options, None, watching)


def run_after(before: Inheritance) -> None:
    """Go on in place of a gateway that restarts, with the code and the configuration that are
    there now."""
    _run(before.given.options, before, UNWATCHED)


def _run(options: Options, before: Inheritance | None, watching: Watching) -> None:
    where = places(GATEWAY, state_dir=options.state_dir, socket=options.socket)
    journal = Journal(where)
    if not options.quiet:
        journal.show_on(sys.stderr)
    try:
        # Passed on, not kept: the keys in it are to be forgotten here.
        config = [load(read_file(options.path), options.path)]
        with closing(open_database(where.state / FILE_NAME)) as database:
            engine = choose(options.engine)
            gateway = _Gateway(config.pop(), where, journal, database, engine, options, before)
            gateway.watching = watching
            lived(gateway.live())
    except (ConfigError, PlatformError) as error:
        # Also into faultlog.txt: a gateway that does not start is the first thing to be missed.
        said = problem(error)
        fields = {"what": said["sentence"], "action": said["action"] or START_AGAIN}
        journal.record(LogEvent("service.fault", fields))
        raise
    finally:
        journal.close()
    gateway.become()


def read_file(path: str) -> str:
    """The text of a configuration file. Raises ConfigError when it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", path=path) from error
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", path=path) from error


class _Gateway:
    """Sockets, TUN, coordinator and control socket of one running gateway."""

    def __init__(
        self,
        config: GatewayConfig,
        where: Places,
        journal: Journal,
        database: sqlite3.Connection,
        engine: Choice,
        options: Options,
        before: Inheritance | None,
    ) -> None:
        self.watching = UNWATCHED
        self._recorded: RecordFile | None = None
        self._engine = engine_for(config, engine)
        if before is not None:
            self._engine = as_before(self._engine)
        self._config = config
        self._where = where
        self._journal = journal
        self._lifetime = Lifetime(database)
        self._database = database
        self._options = options
        self._before = before
        owner = before.given.owner if before else None
        self._machine = Machine(directory=where.undo, owner=owner)
        self._restarting: Restarting | None = None
        self._monitor: Monitor | Crew | None = None
        self._pairs = Pairs(1)

    @property
    def _ike(self) -> list[UdpSocket]:
        return self._ports_of[0].ike

    @property
    def _natt(self) -> list[UdpSocket]:
        return self._ports_of[0].natt

    @property
    def _tun(self) -> Tun | IpsecLink:
        return self._tuns[0]

    def become(self) -> None:
        """At the end of this process, if it ended for a restart: what it is from now on."""
        if self._restarting is not None:
            self._restarting.become(self._options)

    async def live(self) -> None:
        """From start to the last farewell."""
        config, record = self._config, self._journal.record
        ending = self._ending = Ending()
        self._tell_config()
        if self._before is None:
            await seen_through(self._recover)
        # In the machine's own zone: a group's hours are meant there.
        self._began = wall_clock().astimezone(), boottime()
        self._esp = self._plain_esp()
        self._ports_of = self._open_ports()
        self._beside = open_beside(config, self._before)
        store = StoreDoor(Users(self._database), self._lifetime, record)
        house = GatewayHouse(config.trust, store, record, self._vault_lost, handed_down())
        streams = self._streams = StreamGate(config.restart.natt_port, record)
        listening, watched = Listening(), None
        try:
            watched = Watched(self.watching.key_log, self.watching.capture, self._ports, record)
            self._recorded = self.watching.record_file(record, several=self._several)
            self._tuns = await seen_through(self._open_tuns)
            monitor = self._monitor = self._make_monitor(house, store, watched)
            await self._start_vault(house)
            config = self._config
            await self._start_worker(monitor)
            await self._open_streams(streams)
            if self._before is not None and isinstance(monitor, Monitor):
                await self._follow(self._before, monitor, ending, listening)
            self._restarting = Restarting(
                self,
                monitor if isinstance(monitor, Monitor) else None,
                listening,
                ending,
                record,
                warden=self._before.warden if self._before else -1,
            )

            moving = Moving(partial(monitor.answer, "announce", {}), record)
            moving.start()

            async def stop() -> None:
                moving.close()
                monitor.expect_end()
                house.expect_end()
                if not self._handed:
                    record(LogEvent("gateway.stopping", {"reason": ending.reason}))
                await monitor.stop(STOP_SECONDS * 0.7, await departure.reason())
                await house.close()

            fields: dict[str, Field] = {"version": __version__, "engine": self._engine.reason}
            await serve(
                self._where,
                {
                    **Desk(monitor, self._journal, store).methods,
                    "restart": self._restarting.restart,
                },
                self._journal,
                ending,
                group=GROUP,
                started=LogEvent("gateway.started", {**fields, "listen": self._listening}),
                stop=stop,
                listening=listening,
            )
        finally:
            streams.close()
            if self._monitor is not None:
                await self._monitor.stop(0.0)  # whom a fault or an impatient signal has left
            await house.close()
            store.close()
            self._close_files(watched)
            if self._handed:
                self._machine.leave()
            else:
                await asyncio.to_thread(self._machine.close)

    def _make_monitor(
        self, house: GatewayHouse, store: StoreDoor, watched: Watched
    ) -> Monitor | Crew:
        make = partial(
            Monitor,
            house=house,
            record=self._heard,
            counted=store.keep,
            clock=boottime,
            keys=watched.add if watched.wants_keys else None,
            recorded=self._recorded,
        )
        if self._several:
            return self._crew(make)
        return make(self._orders, self._descriptors, kernel=self._kernel_door())

    def _heard(self, event: LogEvent) -> None:
        self._journal.record(event)
        if self._restarting is not None:
            self._restarting.heard(event)

    def _close_files(self, watched: Watched | None) -> None:
        for file in (watched, self._recorded):
            if file is not None:
                file.close()
        for one in self._sockets:
            one.close()
        self._pairs.close()

    # --- hot restart -------------------------------------------------------------------------

    @property
    def _handed(self) -> bool:
        """Whether the machine is another process's: the one after this, or still the one before."""
        if self._restarting is not None:
            return self._restarting.handed
        return self._before is not None

    def given(self, attempt: int) -> tuple[Given, list[int], int]:
        """What goes to the process that follows. Raises MessageError when that cannot be."""
        if self._engine.ipsec:
            raise MessageError(
                "its SAs are in the kernel, which takes a stop and a start (not with --engine user)"
            )
        if self._several:
            raise MessageError("it has several workers (workers), which takes a stop and a start")
        groups = {"ike": self._ike, "natt": self._natt, "beside": self._beside}
        found = [
            (kind_of(kind, one.lane), one.local, one.fileno())
            for kind, all_ in groups.items()
            for one in all_
        ]
        if self._esp is not None:
            found.append(("esp", self._esp.local, self._esp.fileno()))
        port = self._config.restart.tcp_port
        found += [("tcp", (host, port), one) for host, one in self._streams.listeners]
        tun = self._tun
        found += [(TUN, (tun.name, lane), one.fileno()) for lane, one in enumerate(tun.lanes)]
        given = Given(
            self._options,
            tuple([(kind, local) for kind, local, _ in found]),
            (tun.name, tun.virtio, tuple(tun.offloads)),
            self._machine.owner,
            repr(self._served()),
            attempt,
        )
        return given, [one for *_, one in found], tun.fileno()

    async def _open_streams(self, streams: StreamGate) -> None:
        restart = self._config.restart
        for host in restart.listen if restart.over_tcp else ():
            given = self._before.take("tcp", (host, restart.tcp_port)) if self._before else None
            await streams.open(host, restart.tcp_port, given)

    async def _follow(
        self, before: Inheritance, monitor: Monitor, ending: Ending, listening: Listening
    ) -> None:
        """Take over from the process before. Raises PlatformError when it does not come to that;
        that one serves on then."""
        before.drop()
        before.say(prepared=True)
        try:
            waited, sessions = await monitor.taken()
        except MessageError as error:
            await monitor.stop(0.0)
            raise PlatformError(f"the new process did not take over: {error}") from error
        network = self._served()
        if repr(network) != before.given.served:
            await asyncio.to_thread(self._machine.serve, network, self._tun.name)
        fields: dict[str, Field] = {
            "version": __version__,
            "sessions": sessions,
            "seconds": round(waited, 3),
        }
        self._journal.record(LogEvent("gateway.restarted", fields))
        listening.given = socket.socket(fileno=before.control)
        # With the process whose id others know this one ends as if it had been told to.
        asyncio.get_running_loop().add_reader(before.warden, self._left_alone, before, ending)
        before.say(sessions=sessions, seconds=round(waited, 3))

    @staticmethod
    def _left_alone(before: Inheritance, ending: Ending) -> None:
        asyncio.get_running_loop().remove_reader(before.warden)
        ending.ask("SIGTERM")

    @property
    def _empty(self) -> str:
        return empty_root(self._where.state)

    def _vault_lost(self, why: str) -> None:
        """Without it nobody can log in: everything begins again."""
        if self._ending.event.is_set():
            return  # it stops, and is about to tell the vault
        self._journal.record(LogEvent("gateway.vault-lost", {"why": why}))
        if self._restarting is not None:
            self._restarting.start_cold(f"the vault is gone: {why}")

    async def _start_vault(self, house: GatewayHouse) -> None:
        """From then on the keys are there, and here no more."""
        try:
            missing = await house.start(self._config, self._empty)
        except (MessageError, TimeoutError, OSError) as error:
            await house.close()
            raise PlatformError(
                f"the gateway's vault does not start: {error}",
                action="see its message above; `culvert check` looks at this machine",
            ) from error
        own = self._config.trust.own
        self._shown = ShownCertificate(own.key, own.payloads, own.identity) if own else None
        self._authorities = self._config.trust.requests
        self._config = without_secrets(self._config)
        for sentence in missing:
            self._journal.record(LogEvent("gateway.less-confined", {"why": sentence}))

    async def _start_worker(self, monitor: Monitor | Crew) -> None:
        try:
            if self._before is None or isinstance(monitor, Crew):
                missing = await monitor.start()
            else:
                missing = await monitor.start(self._before.before, self._before.given.attempt)
        except (MessageError, TimeoutError, OSError) as error:
            await monitor.stop(0.0)
            raise PlatformError(
                f"the gateway's worker does not start: {error}",
                action="see its message above; `culvert check` looks at this machine",
            ) from error
        for sentence in missing:
            self._journal.record(LogEvent("gateway.less-confined", {"why": sentence}))

    @property
    def _sockets(self) -> tuple[UdpSocket | RawEsp, ...]:
        udp = [one for ports in self._ports_of for one in (*ports.ike, *ports.natt)]
        return (*udp, *self._beside, *((self._esp,) if self._esp else ()))

    @property
    def _ports(self) -> tuple[int, ...]:
        """Of IKE and ESP, for a capture."""
        restart = self._config.restart
        over_tcp = (restart.tcp_port,) if restart.over_tcp else ()
        return restart.ike_port, restart.natt_port, restart.udp_port, *over_tcp

    @property
    def _listening(self) -> tuple[str, ...]:
        at = (*self._ike, *listening(self._natt), *listening(self._beside))
        return tuple([address_text(one.local) for one in at])

    @property
    def _descriptors(self) -> tuple[int, ...]:
        tun = self._tun
        return tuple([one.fileno() for one in (*self._sockets, tun, *tun.lanes)])

    # --- several workers ---------------------------------------------------------------------

    @property
    def _several(self) -> bool:
        return self._config.restart.workers > 1

    def _open_ports(self) -> list[Ports]:
        restart = self._config.restart
        if not self._several:
            return [Ports(*open_sockets(restart, self._before))]
        if self._before is not None:
            raise PlatformError(
                f"workers = {restart.workers}, and one worker cannot hand over to several",
                action="that takes a stop and a start: sessions cannot go along",
            )
        return open_shared(restart)

    def _crew(self, make: Callable[..., Monitor]) -> Crew:
        """A monitor for each worker, and what they count together."""
        restart, live = self._config.restart, self._config.live
        self._pairs = Pairs(restart.workers)
        ledger = Ledger(
            restart.workers,
            restart.pools,
            limit=live.session_limit,
            cumulative=self._lifetime.load(),
            route=self._point,
        )
        door, monitors = LedgerDoor(ledger), list[Monitor]()
        for worker, (ports, tun) in enumerate(zip(self._ports_of, self._tuns, strict=True)):
            own = (*ports.ike, *ports.natt, tun, *tun.lanes)
            handed = [one.fileno() for one in own] + [
                one for one in self._pairs.of(worker) if one >= 0
            ]
            orders = partial(self._orders, Share(worker, restart.workers))
            monitors.append(make(orders, handed, ledger=partial(door.open, worker), worker=worker))
        return Crew(monitors, door)

    def _point(self, address: str, worker: int) -> None:
        """An inner address is behind the interface of that worker."""
        name = self._tuns[worker].name
        try:
            route.point(RouteAdded(f"{address}/32", name, socket.if_nametoindex(name)))
        except OSError as error:
            raise PlatformError(
                f"{address} cannot be routed to {name}: {error}",
                action=f"look whether {name} is there; a restart of the gateway makes it anew",
            ) from error

    # -----------------------------------------------------------------------------------------

    def _orders(self, share: Share = ALONE) -> Orders:
        """What the next worker is told."""
        tun, ports = self._tuns[share.worker], self._ports_of[share.worker]
        return Orders(
            replace(without_secrets(self._config), share=share),
            self._began,
            self._lifetime.load(),
            self._engine.name,
            tuple([one.fileno() for one in ports.ike]),
            by_port(ports.natt),
            by_port(self._beside),
            self._esp.fileno() if self._esp else -1,
            TunEnd(
                tun.fileno(),
                tun.name,
                tun.virtio,
                tuple(tun.offloads),
                tuple([one.fileno() for one in tun.lanes]),
            ),
            self._empty,
            self._listening,
            self._shown,
            self._authorities,
            tell_keys=bool(self.watching.key_log),
            ipsec=tun.number if isinstance(tun, IpsecLink) else 0,
            others=self._pairs.of(share.worker),
            record=self._recorded.take_wanted() if self._recorded is not None else None,
            engine_reason=self._engine.reason,
        )

    def _kernel_door(self) -> KernelDoor | None:
        tun = self._tun
        return KernelDoor(KernelIpsec(tun.number)) if isinstance(tun, IpsecLink) else None

    def _tell_config(self) -> None:
        config = self._config
        users = len(config.restart.accounts) + len(Users(self._database).all())
        fields: dict[str, Field] = {
            "path": config.path,
            "groups": len(config.live.groups),
            "users": users,
        }
        self._journal.record(LogEvent("gateway.config-loaded", fields))
        ours = config.trust.own.chain if config.trust.own else ()
        for one in soon((*ours, *config.trust.rules.authorities), wall_clock()):
            self._journal.record(LogEvent("certificate.expires", {"problem": one.sentence}))

    def _recover(self) -> None:
        """Undo what a killed run left over. In a thread."""
        undone = self._machine.recover()
        if undone.changes:
            self._journal.record(LogEvent("client.repaired", {"changes": len(undone.changes)}))

    def _plain_esp(self) -> RawEsp | None:
        """None where this process may not; then ESP travels in UDP only, and the log says why."""
        if self._engine.ipsec:
            return None  # the kernel has it
        if self._several:
            fields = {"why": SEVERAL, "action": "set workers = 1 if a client needs plain ESP"}
            self._journal.record(LogEvent("data.udp-only", fields))
            return None
        given = self._before.take("esp", (ANY, 0)) if self._before else None
        if given is not None:
            return RawEsp(given, strangers=True)
        try:
            return RawEsp.open(strangers=True)
        except PlatformError as error:
            fields = {"why": error.what, "action": error.action}
            self._journal.record(LogEvent("data.udp-only", fields))
            return None

    def _served(self, worker: int = 0) -> ServedNetwork:
        return served(self._config.restart, worker)

    def _open_tuns(self) -> list[Tun | IpsecLink]:
        """A device for each worker."""
        return [self._open_tun(worker) for worker in range(self._config.restart.workers)]

    def _open_tun(self, worker: int) -> Tun | IpsecLink:
        """The device, with the routes to the pools. In a thread."""
        wanted = device(self._config.restart.tun, worker)
        if self._before is not None:
            name, virtio, offloads = self._before.given.tun
            if wanted not in ("", name):
                raise PlatformError(
                    f"the gateway's interface is {name} and is to be {wanted}",
                    action="that takes a stop and a start: sessions cannot go along",
                )
            first, *lanes = (
                Tun(one, name, virtio=virtio, offloads=offloads)
                for one in (self._before.tun, *self._before.queues(name))
            )
            first.lanes = tuple(lanes)
            return first
        tun: Tun | IpsecLink
        if self._engine.ipsec:
            tun = self._machine.open_ipsec(any_number(), wanted)
        else:
            tun = self._machine.open_tun(wanted, lanes=LANES, virtio=True)
        try:
            self._machine.serve(self._served(worker), tun.name)
        except PlatformError:
            self._machine.close_tun(tun)
            raise
        return tun
