"""The gateway as a process: ``culvert gateway run -c FILE``."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from ipaddress import AddressValueError, IPv4Address, IPv6Address, summarize_address_range
from pathlib import Path

from culvert import __version__
from culvert.changes.plan import ServedNetwork
from culvert.datapath.transport import UNCUT
from culvert.driver.capture import Watched
from culvert.driver.clock import boottime
from culvert.driver.control import problem
from culvert.driver.engine import Choice, choose
from culvert.driver.journal import Journal, wall_clock
from culvert.driver.message import MessageError
from culvert.driver.places import GATEWAY, Places, places
from culvert.driver.process import STOP_SECONDS, Ending, check_vacant, serve
from culvert.driver.stream import StreamGate
from culvert.errors import ConfigError, PlatformError
from culvert.eventlog.event import Field, LogEvent
from culvert.gateway import people
from culvert.gateway.config import GatewayConfig, RestartSettings, load
from culvert.gateway.desk import Desk
from culvert.gateway.house import GatewayHouse
from culvert.gateway.keys_door import KeysDoor
from culvert.gateway.monitor import Monitor, without_secrets
from culvert.gateway.moving import Moving
from culvert.gateway.settings import compresses
from culvert.gateway.worker import Orders, ShownCertificate, TunEnd
from culvert.identity.certificates.proof import soon
from culvert.ike.selector import Network
from culvert.inet.address import text as address_text
from culvert.netio.machine import Machine
from culvert.netio.raw_esp import RawEsp
from culvert.netio.tun import Tun
from culvert.netio.udp import UdpSocket
from culvert.policy.pool import PoolPlan
from culvert.rng import SystemRandom
from culvert.store.database import FILE_NAME, open_database
from culvert.store.lifetime import Lifetime
from culvert.store.users import Users

GROUP = "culvert-admin"
"""Its members may administer the gateways of this machine."""

START_AGAIN = "Set it right (`culvert gateway validate -c FILE` looks again), then start it again."

PAIR = 2
"""Networks of so many addresses hand out both of them (RFC 3021)."""

EMPTY = "empty"
"""Below the state directory: the root directory of a worker, with nothing in it."""

SCOPE = "gateway"
"""The name under which the undo log keeps what a gateway changed."""


def run_gateway(
    path: str,
    *,
    state_dir: str = "",
    socket: str = "",
    quiet: bool = False,
    engine: str = "",
    key_log: str = "",
    capture: str = "",
) -> None:
    """Serve the configuration at ``path`` until SIGTERM or SIGINT.

    ``key_log`` and ``capture``: files for keys and packets, both off by default.

    Raises ConfigError with every mistake in the file, PlatformError for what the machine lacks.
    """
    where = places(GATEWAY, state_dir=state_dir, socket=socket)
    check_vacant(where)
    journal = Journal(where)
    if not quiet:
        journal.show_on(sys.stderr)
    try:
        config = load(read_file(path), path)
        with closing(open_database(where.state / FILE_NAME)) as database:
            gateway = _Gateway(config, where, journal, database, choose(engine))
            gateway.key_log, gateway.capture = key_log, capture
            asyncio.run(gateway.live())
    except (ConfigError, PlatformError) as error:
        # Also into faultlog.txt: a gateway that does not start is the first thing to be missed.
        said = problem(error)
        fields = {"what": said["sentence"], "action": said["action"] or START_AGAIN}
        journal.record(LogEvent("service.fault", fields))
        raise
    finally:
        journal.close()


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
    ) -> None:
        self.key_log = self.capture = ""
        transport = any(site.transport for site in config.restart.sites)
        self._engine = engine.able(transport=transport, compression=compresses(config))
        self._config = config
        self._where = where
        self._journal = journal
        self._lifetime = Lifetime(database)
        self._database = database
        self._machine = Machine(directory=where.undo)

    async def live(self) -> None:
        """From start to the last farewell."""
        config, record, ending = self._config, self._journal.record, Ending()
        self._tell_config()
        await asyncio.to_thread(self._recover)
        # In the machine's own zone: a group's hours are meant there.
        self._began = wall_clock().astimezone(), boottime()
        self._esp = self._plain_esp()
        self._ike, self._natt = open_sockets(config.restart)
        self._beside = open_beside(config)
        house = GatewayHouse(config, self._database, record)
        keys = KeysDoor(people.group_keys(config, SystemRandom()), boottime)
        streams = StreamGate(config.restart.natt_port, record)
        watched: Watched | None = None
        try:
            watched = Watched(self.key_log, self.capture, self._ports, record)
            self._tun = await asyncio.to_thread(self._open_tun)
            monitor = Monitor(
                self._orders,
                self._descriptors,
                keys,
                house,
                record,
                self._lifetime.keep,
                boottime,
                watched.add if watched.wants_keys else None,
            )
            await self._start_worker(monitor)
            for host in config.restart.listen if config.restart.over_tcp else ():
                await streams.open(host, config.restart.tcp_port)

            moving = Moving(partial(monitor.answer, "announce", {}), record)
            moving.start()

            async def stop() -> None:
                moving.close()
                record(LogEvent("gateway.stopping", {"reason": ending.reason}))
                await monitor.stop(STOP_SECONDS * 0.7)
                await asyncio.to_thread(house.close)

            fields: dict[str, Field] = {
                "version": __version__,
                "listen": self._listening,
                "engine": self._engine.reason,
            }
            await serve(
                self._where,
                Desk(monitor, self._journal).methods,
                self._journal,
                ending,
                group=GROUP,
                started=LogEvent("gateway.started", fields),
                stop=stop,
            )
        finally:
            streams.close()
            if watched is not None:
                watched.close()
            for one in self._sockets:
                one.close()
            await asyncio.to_thread(self._machine.close)

    async def _start_worker(self, monitor: Monitor) -> None:
        try:
            missing = await monitor.start()
        except (MessageError, TimeoutError) as error:
            await monitor.stop(0.0)
            raise PlatformError(
                f"the gateway's worker does not start: {error}",
                action="see its message above; `culvert check` looks at this machine",
            ) from error
        for sentence in missing:
            self._journal.record(LogEvent("gateway.less-confined", {"why": sentence}))

    @property
    def _sockets(self) -> tuple[UdpSocket | RawEsp, ...]:
        return (*self._ike, *self._natt, *self._beside, *((self._esp,) if self._esp else ()))

    @property
    def _ports(self) -> tuple[int, ...]:
        """Of IKE and ESP, for a capture."""
        restart = self._config.restart
        over_tcp = (restart.tcp_port,) if restart.over_tcp else ()
        return restart.ike_port, restart.natt_port, restart.udp_port, *over_tcp

    @property
    def _listening(self) -> tuple[str, ...]:
        return tuple([address_text(one.local) for one in (*self._ike, *self._natt, *self._beside)])

    @property
    def _descriptors(self) -> tuple[int, ...]:
        return (*[one.fileno() for one in self._sockets], self._tun.fileno())

    def _orders(self) -> Orders:
        """What the next worker is told."""
        tun, trust = self._tun, self._config.trust
        own = trust.own
        empty = self._where.state / EMPTY
        empty.mkdir(mode=0o555, exist_ok=True)
        return Orders(
            without_secrets(self._config),
            self._began,
            self._lifetime.load(),
            self._engine.name,
            tuple([one.fileno() for one in self._ike]),
            tuple([one.fileno() for one in self._natt]),
            tuple([one.fileno() for one in self._beside]),
            self._esp.fileno() if self._esp else -1,
            TunEnd(tun.fileno(), tun.name, tun.virtio, tuple(tun.offloads)),
            str(empty.resolve()),
            self._listening,
            ShownCertificate(own.key, own.payloads, own.identity) if own else None,
            trust.requests,
            tell_keys=bool(self.key_log),
        )

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
        try:
            return RawEsp.open(strangers=True)
        except PlatformError as error:
            fields = {"why": error.what, "action": error.action}
            self._journal.record(LogEvent("data.udp-only", fields))
            return None

    def _open_tun(self) -> Tun:
        """The device, with the routes to the pools. In a thread."""
        restart = self._config.restart
        tun = self._machine.open_tun(restart.tun, virtio=True)
        served = ServedNetwork(
            SCOPE,
            UNCUT if any(site.transport for site in restart.sites) else restart.mtu,
            (
                *(network for pool in restart.pools for network in networks(pool)),
                *(str(network) for site in restart.sites for network in site.remote),
            ),
            forward=restart.forwarding,
            peers=tuple(site.peer for site in restart.sites),
        )
        try:
            self._machine.serve(served, tun.name)
        except PlatformError:
            self._machine.close_tun(tun)
            raise
        return tun


def open_sockets(restart: RestartSettings) -> tuple[list[UdpSocket], list[UdpSocket]]:
    """IKE and NAT-T sockets at every address to listen on; all or, with PlatformError, none."""
    opened: list[UdpSocket] = []
    try:
        for port in (restart.ike_port, restart.natt_port):
            for host in restart.listen:
                encapsulated = port == restart.natt_port
                opened.append(UdpSocket.bind(host, port, encapsulated=encapsulated))
    except PlatformError:
        for one in opened:
            one.close()
        raise
    half = len(restart.listen)
    return opened[:half], opened[half:]


def open_beside(config: GatewayConfig) -> list[UdpSocket]:
    """The sockets of ESP in UDP by Cisco's own way, if a group has it."""
    if not any(group.over_udp for group in config.live.groups):
        return []
    restart = config.restart
    return [UdpSocket.bind(host, restart.udp_port, encapsulated=True) for host in restart.listen]


def networks(pool: PoolPlan) -> Iterator[str]:
    """The prefixes to route for a pool: of a whole network one, else the fewest that fit."""
    for part in pool.ranges:
        kind = IPv4Address if part.version == 4 else IPv6Address
        first, last = kind(part.first), kind(part.last)
        try:
            # A network's own and its broadcast address are not handed out, but belong to it.
            whole: list[Network] = list(summarize_address_range(first - 1, last + 1))
        except AddressValueError:
            whole = []
        if len(whole) == 1 and whole[0].num_addresses > PAIR:
            yield str(whole[0])
        else:
            yield from map(str, summarize_address_range(first, last))
