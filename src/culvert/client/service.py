"""The client's root service: connections by name, each with a core, a driver and a TUN of its own.

It connects nothing by itself. Whoever asked for a connection is asked for credentials over the
same conversation; hanging up before the connection is up ends the attempt.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import count

from culvert.changes.change import describe
from culvert.changes.executor import Undone
from culvert.client.established import mark_established
from culvert.client.live import PORTS, Live, Over, engine_for
from culvert.client.remembered import RememberedWays
from culvert.client.rooms import Rooms, Wish
from culvert.client.trust import trust_of
from culvert.driver.capture import Watched
from culvert.driver.control import Method, Request, RequestError
from culvert.driver.journal import Journal
from culvert.driver.places import Places
from culvert.driver.process import Ending
from culvert.driver.telling import clear_log, set_level, tell_log, tell_story
from culvert.driver.tracing import Tracing
from culvert.driver.user_engine import Choice
from culvert.effects import AskHuman, HumanAnswered
from culvert.errors import PlatformError
from culvert.eventlog.entry import Entry
from culvert.eventlog.event import LogEvent
from culvert.eventlog.filter import Filter
from culvert.eventlog.render import json_lines
from culvert.netio.ipsec_inside import IpsecLink
from culvert.netio.ipsec_link import any_number
from culvert.netio.machine import Machine
from culvert.profile.profile import Profile, changed
from culvert.profile.toml import read
from culvert.secret import Secret
from culvert.session.ending import endings
from culvert.vault.trust import Trust

LIVE = 16
"""Connections at once: more than a person has gateways; each holds a TUN and four sockets."""

PAST = 64
"""Connections that ended, kept for `status`; the event log has the others."""

FAREWELL_SECONDS = 2.0
"""What a connection that is over gets for the last things its core wanted done."""


class ClientService:
    """Answers the methods of the control protocol for the client.

    ``idle_exit``: seconds without connections after which ``ending`` is asked, 0 for never.
    """

    def __init__(
        self,
        where: Places,
        machine: Machine,
        journal: Journal,
        rooms: Rooms,
        ending: Ending,
        engine: Choice,
        *,
        bare_esp: bool = False,
        idle_exit: float = 0.0,
    ) -> None:
        self._where = where
        self._machine = machine
        self._journal = journal
        self._tracing = Tracing(journal.log)
        self._rooms = rooms
        self._ending = ending
        self._engine = engine
        self._bare_esp = bare_esp
        self._idle_exit = idle_exit
        self._idle_timer: asyncio.TimerHandle | None = None
        self._live: dict[str, Live] = {}
        self._session_logs: dict[str, Callable[[], None]] = {}
        self._past: dict[str, Mapping[str, object]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Lock()
        self._questions: dict[int, tuple[int, asyncio.Future[Mapping[str, Secret] | None]]] = {}
        self._numbers = count(1)
        mark_established(where.established, established=False)
        self._consider_leaving()

    @property
    def methods(self) -> Mapping[str, Method]:
        return {
            "up": self.up,
            "answer": self.answer,
            "down": self.down,
            "wait": self.wait,
            "status": self.status,
            "statistics": self.statistics,
            "story": self.story,
            "log": self.log,
            "level": partial(set_level, self._journal),
            "clear": partial(clear_log, self._journal),
            "trace": self._tracing.trace,
            "repair": self.repair,
        }

    # --- methods -------------------------------------------------------------------------------

    async def up(self, request: Request) -> Mapping[str, object]:
        """Connect ``profile`` (our TOML, ``name``); with ``detach`` return when logged in.

        ``certificate`` and ``authorities`` are the contents (PEM) of what the profile names.
        ``key_log``, ``capture`` and ``record``: files for root alone; ``record_secrets``: the
        record keeps passwords.
        """
        profile = read(request.text("profile"), name=request.text("name"), path="the profile")
        standing = self._live.get(profile.name)
        if standing is not None and standing.over.done():
            await self._closed()
            standing = self._live.get(profile.name)
        if standing is not None and standing.up.is_set():
            return await self._go_on(standing, profile, request)
        certificate, authorities = request.text("certificate"), request.text("authorities")
        trust = trust_of(profile, certificate.encode(), authorities.encode())
        if profile.name in self._live:
            raise self._there_already(profile)
        engine = engine_for(profile, self._engine)
        link, engine = await self._link_for(profile, engine)
        try:
            live = self._begin(profile, trust, request, engine, link)
        except (RequestError, PlatformError):
            if link is not None:
                await asyncio.to_thread(self._machine.close_tun, link)
            raise
        wanted = Filter(connection=live.name)
        listener = self._journal.log.attach(lambda entry: _tell(request, entry), wanted)
        try:
            live.begin()
            await self._first_of(live, detach=request.flag("detach"))
            if live.over.done():
                await self._closed()
                raise _ended(live.over.result())
            await live.look()
            return {"connection": self._row(live)}
        finally:
            self._journal.log.detach(listener)
            live.ask_with = None
            # Hung up (the task is cancelled): whoever wanted the connection is gone.
            if not live.up.is_set() and not live.logged_in.is_set() and not live.over.done():
                live.leave()

    async def answer(self, request: Request) -> Mapping[str, object]:
        """The answer to an ``ask``: ``values`` by what was wanted, null to give up."""
        uid, answered = self._questions.get(request.whole("ticket"), (-1, None))
        if answered is None or request.peer.uid not in (0, uid):
            raise RequestError("cli.not-found", "nobody asked you that, or not any more")
        given = request.params.get("values")
        values = None
        if given is not None:
            values = {key: Secret(str(text)) for key, text in request.table("values").items()}
        if not answered.done():
            answered.set_result(values)
        return {}

    async def down(self, request: Request) -> Mapping[str, object]:
        """End ``name``, or the only connection, or with ``all`` every one."""
        ending = self._chosen(request.text("name"), everything=request.flag("all"))
        for live in ending:
            live.leave()
        await asyncio.gather(*(asyncio.shield(live.over) for live in ending))
        await asyncio.gather(*self._closing, return_exceptions=True)
        words = {live.name: list(live.over.result().words) for live in ending}
        return {"ended": [live.name for live in ending], "words": words}

    async def wait(self, request: Request) -> Mapping[str, object]:
        """Until ``name`` is over: why, and the closing message."""
        (live,) = self._chosen(request.text("name"), everything=False) or (None,)
        if live is None:
            raise RequestError("cli.not-found", "nothing is connected")
        over = await asyncio.shield(live.over)
        return {
            "name": live.name,
            "reason": over.reason,
            "by_peer": over.by_peer,
            "words": list(over.words),
        }

    async def status(self, request: Request) -> Mapping[str, object]:
        """A row per connection, those that ended by themselves last."""
        name = request.text("name")
        await asyncio.gather(*(live.look() for live in self._live.values()))
        rows = [self._row(live) for live in self._live.values()]
        rows += [
            row for past, row in self._past.items() if row.get("problem") and past not in self._live
        ]
        found = [row for row in rows if not name or row["name"] == name]
        if name and not found:
            raise RequestError("cli.not-found", f"no connection is called {name!r}")
        request.rows(found)
        return {}

    async def statistics(self, request: Request) -> Mapping[str, object]:
        """A row per connection there is, or the one of ``name``; with ``reset`` counted anew."""
        name, reset = request.text("name"), request.flag("reset")
        found = [live for live in self._live.values() if not name or live.name == name]
        if name and not found:
            raise RequestError("cli.not-found", f"no connection is called {name!r}")
        await asyncio.gather(*(live.look() for live in found))
        request.rows([live.statistics(self._row(live), reset=reset) for live in found])
        return {}

    async def story(self, request: Request) -> Mapping[str, object]:
        return await tell_story(self._journal.log, request)

    async def log(self, request: Request) -> Mapping[str, object]:
        return await tell_log(self._journal.log, request)

    async def repair(self, request: Request) -> Mapping[str, object]:
        """Undo what dead runs left over; living connections are not touched."""
        async with self._alone:
            return repaired(await asyncio.to_thread(self._machine.recover))

    async def _go_on(self, live: Live, profile: Profile, request: Request) -> Mapping[str, object]:
        """A connection that stands goes on with what of its profile counts at once."""
        differing = changed(live.profile, profile)
        later = ", ".join(key.name for key in differing if key.scope != "live")
        if not differing or later:
            raise RequestError(
                "cli.already",
                f"{live.name} is up" + (f"; {later}: counts from the next connect" * bool(later)),
                f"`culvert down {live.name}` ends it.",
            )
        if request.peer.uid not in (0, live.uid):
            raise RequestError("cli.denied", f"{live.name} is somebody else's connection")
        live.want(profile)
        await live.look()
        return {"connection": self._row(live)}

    # --- life ----------------------------------------------------------------------------------

    async def stop(self) -> None:
        """End every connection with a farewell."""
        living = tuple(self._live.values())
        for live in living:
            live.leave()
        await asyncio.gather(*(asyncio.shield(live.over) for live in living))
        await asyncio.gather(*self._closing, return_exceptions=True)
        await self._rooms.close()
        mark_established(self._where.established, established=False)

    async def _link_for(self, profile: Profile, engine: Choice) -> tuple[IpsecLink | None, Choice]:
        """The interface of the kernel's IPsec, if that is to carry it and can; why not is told."""
        link = None
        if engine.ipsec:
            try:
                async with self._alone:
                    link = await asyncio.to_thread(self._machine.open_ipsec, any_number())
            except PlatformError as error:
                engine = engine.beside(error.what)
        if engine.name != self._engine.name or engine.reason != self._engine.reason:
            note = LogEvent("client.machine-note", {"note": f"engine: {engine.reason}"})
            self._journal.tagged(profile.name)(note)
        return link, engine

    def _there_already(self, profile: Profile) -> RequestError:
        return RequestError(
            "cli.already",
            f"{profile.name} is {self._live[profile.name].snapshot.get('state', 'there')}",
            f"`culvert down {profile.name}` ends it.",
        )

    def _begin(
        self,
        profile: Profile,
        trust: Trust,
        request: Request,
        engine: Choice,
        link: IpsecLink | None,
    ) -> Live:
        if profile.name in self._live:
            raise self._there_already(profile)
        if len(self._live) >= LIVE:
            raise RequestError("platform.unavailable", f"{LIVE} connections are the most at once")
        if profile.nat_traversal == "off" and not self._bare_esp:
            raise RequestError(
                "platform.unavailable",
                "NAT traversal is off in the profile, and this service may not send plain ESP",
                "Set nat_traversal to auto, or give the service the capability CAP_NET_RAW.",
            )
        record = self._journal.tagged(profile.name)
        watched = self._watched(request, profile, record)
        wish = Wish(
            trust=trust,
            engine=engine,
            bare_esp=self._bare_esp,
            keys=watched.add if watched.wants_keys else None,
            record=request.text("record"),
            secrets=request.flag("record_secrets"),
        )
        self._session_logs[profile.name] = self._journal.session(profile.name)
        try:
            live = Live(
                profile,
                lambda live: self._rooms.room(live, wish),
                self._machine,
                self._alone,
                record,
                trust,
                watched=watched,
                ways=RememberedWays(self._where.ways),
                link=link,
                engine_reason=engine.reason,
            )
        except PlatformError:
            watched.close()
            self._session_logs.pop(profile.name)()
            raise
        live.uid = request.peer.uid
        live.ask_with = lambda order: self._ask(live, order, request)
        self._live[profile.name] = live
        self._past.pop(profile.name, None)
        live.over.add_done_callback(lambda over: self._over(live, over.result()))
        live.on_up = self._mark
        self._consider_leaving()
        return live

    def _watched(
        self, request: Request, profile: Profile, record: Callable[[LogEvent], None]
    ) -> Watched:
        """Only for who may write any file of this machine: this process writes as root."""
        key_log, capture = request.text("key_log"), request.text("capture")
        if (key_log or capture or request.text("record")) and request.peer.uid not in (
            0,
            os.geteuid(),
        ):
            raise RequestError(
                "cli.denied",
                "only root may have keys, packets or a record written",
                "Run the command as root: sudo culvert up …",
            )
        return Watched(key_log, capture, (*PORTS, profile.tcp_port), record)

    async def _first_of(self, live: Live, *, detach: bool) -> None:
        waits: list[Awaitable[object]] = [live.up.wait(), asyncio.shield(live.over)]
        if detach:
            waits.append(live.logged_in.wait())
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _ask(self, live: Live, order: AskHuman, request: Request) -> HumanAnswered:
        number = next(self._numbers)
        answered: asyncio.Future[Mapping[str, Secret] | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._questions[number] = (request.peer.uid, answered)
        request.tell(
            "ask",
            {
                "ticket": number,
                "connection": live.name,
                "wants": list(order.wants),
                "message": order.message,
                "repeated": order.repeated,
            },
        )
        try:
            return HumanAnswered(order.ticket, await answered)
        finally:
            del self._questions[number]

    def _chosen(self, name: str, *, everything: bool) -> list[Live]:
        if everything or (not name and len(self._live) <= 1):
            return list(self._live.values())
        if not name:
            names = ", ".join(self._live)
            raise RequestError("cli.usage", f"several are connected: {names}", "Name one.")
        if name not in self._live:
            raise RequestError("cli.not-found", f"{name} is not connected")
        return [self._live[name]]

    def _over(self, live: Live, over: Over) -> None:
        self._past[live.name] = self._row(live)
        while len(self._past) > PAST:
            del self._past[next(iter(self._past))]
        task = asyncio.get_running_loop().create_task(self._close(live))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _closed(self) -> None:
        """What is over has given back its ports and its name: whoever was told so may try again,
        with another program, too."""
        if self._closing:
            await asyncio.wait(tuple(self._closing))

    async def _close(self, live: Live) -> None:
        """The ports and the TUN are given back before the name is free again."""
        await live.close(FAREWELL_SECONDS)
        del self._live[live.name]
        self._session_logs.pop(live.name)()
        self._mark()
        self._rooms.prepare()
        self._consider_leaving()

    def _row(self, live: Live) -> Mapping[str, object]:
        row: dict[str, object] = {"name": live.name, "problem": None, **live.snapshot}
        if live.over.done():
            row["state"] = "down"
            ended = _ended(live.over.result())
            if ended.code != "by-user" and not row["problem"]:
                row["problem"] = {
                    "id": ended.code,
                    "sentence": ended.sentence,
                    "action": ended.action,
                }
        return row

    def _mark(self) -> None:
        up = any(live.up.is_set() and not live.over.done() for live in self._live.values())
        mark_established(self._where.established, established=up)

    def _consider_leaving(self) -> None:
        """A service started on demand ends when nothing has been connected for a while."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if self._idle_exit and not self._live:
            self._idle_timer = asyncio.get_running_loop().call_later(
                self._idle_exit, self._ending.ask, "nothing is connected"
            )


def _ended(over: Over) -> RequestError:
    row = endings().get(over.reason) or endings()["error"]
    return RequestError(row.id, row.sentence, row.action)


def repaired(undone: Undone) -> dict[str, object]:
    """What an undoing came to, as the control protocol and ``--json`` show it."""
    return {
        "changes": [describe(change) for change in undone.changes],
        "notes": list(undone.notes),
        "failed": list(undone.failed),
    }


def _tell(request: Request, entry: Entry) -> None:
    request.tell("event", json_lines.document(entry))
