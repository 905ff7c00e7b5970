"""What surrounds the gateway's worker: the vault's process, and judges of certificates, who know no
secret but have to ask web servers."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar, cast

from culvert.driver.certificates import CertificateOffice
from culvert.driver.channel import Channel, Message
from culvert.driver.confined import signals_kept_off
from culvert.driver.message import MessageError
from culvert.driver.process_end import kill, told
from culvert.effects import CertificateJudged, Judge, JudgeCertificate, Judged, Sign, Signed
from culvert.eventlog.event import LogEvent
from culvert.gateway.accounts_door import AccountsDoor
from culvert.gateway.config import GatewayConfig
from culvert.identity.account import Accounts
from culvert.vault.trust import Trust

VAULT = (sys.executable, "-m", "culvert.gateway.vault_process")
READY = 60.0
"""Seconds for the vault to read its files."""
PATIENCE = 2.0
"""Seconds that passwords under way are waited for at the end."""

_Answer = TypeVar("_Answer")


class GatewayHouse:
    """``environment``: what the vault sees of ours. ``lost`` is called with why, if it dies."""

    def __init__(
        self,
        trust: Trust,
        accounts: Accounts,
        record: Callable[[LogEvent], None],
        lost: Callable[[str], None],
        environment: Mapping[str, str],
    ) -> None:
        self._record = record
        self._lost = lost
        self._environment = environment
        self._accounts = AccountsDoor(accounts)
        self._certificates = CertificateOffice(replace(trust, credential=None), record)
        self._channel = Channel(self._heard, self._ended)
        self._ready: asyncio.Future[tuple[str, ...]] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._doors, self._their_doors = socket.socketpair()
        self._closing = False
        self._telling: asyncio.Task[None] | None = None
        self._tickets = 0

    async def start(self, config: GatewayConfig, empty: str) -> tuple[str, ...]:
        """A vault that is ready; what its confinement lacks on this system. Raises MessageError,
        and TimeoutError."""
        self._ready = asyncio.get_running_loop().create_future()
        ours, theirs = socket.socketpair()
        users, their_users = socket.socketpair()
        with theirs, their_users, self._their_doors as doors:
            handed = tuple([one.fileno() for one in (theirs, doors, their_users)])
            await self._channel.open(ours)
            with signals_kept_off():
                self._process = await asyncio.create_subprocess_exec(
                    *VAULT,
                    *map(str, handed),
                    config.path,
                    empty,
                    pass_fds=handed,
                    stdout=asyncio.subprocess.DEVNULL,
                    env=dict(self._environment),
                )
        self._accounts.serve(users)
        return await asyncio.wait_for(self._ready, READY)

    def serve(self, end: socket.socket) -> None:
        """A worker asks for SKEYID at the other end of this."""
        with end:
            socket.send_fds(self._doors, [b"."], [end.fileno()])

    @property
    def pid(self) -> int:
        return self._process.pid if self._process is not None else 0

    # --- orders ------------------------------------------------------------------------------

    async def judge(self, order: Judge) -> Judged:
        # Tickets of a worker that died may come again, and those of several meet here.
        self._tickets += 1
        judged = await self._ask(replace(order, ticket=self._tickets), Judged)
        return replace(judged, ticket=order.ticket)

    async def sign(self, order: Sign) -> Signed:
        return await self._ask(order, Signed)

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged:
        self._tickets += 1
        judged = await self._certificates.judge(replace(order, ticket=self._tickets))
        return replace(judged, ticket=order.ticket)

    async def _ask(self, order: Judge | Sign, wanted: type[_Answer]) -> _Answer:
        answer = (await self._channel.ask({"order": order})).get("answer")
        if not isinstance(answer, wanted):
            raise MessageError(f"the vault answers {type(order).__name__} with something else")
        return answer

    def expect_end(self) -> None:
        """The gateway stops: a vault that is gone from now on is no loss."""
        self._closing = True

    async def close(self) -> None:
        """Waiting logins are dropped. Closing twice is normal."""
        self.expect_end()
        self._channel.close()
        self._doors.close()
        if self._process is not None:
            try:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._process.wait(), PATIENCE)
            finally:  # also when a second signal cuts the wait short
                kill(self._process)
                await self._process.wait()
        await asyncio.to_thread(self._certificates.close)

    # --- what it says ------------------------------------------------------------------------

    def _heard(self, message: Message) -> None:
        match message:
            case {"event": LogEvent() as event}:
                self._record(event)
            case {"ready": missing} if isinstance(missing, tuple):
                if self._ready is not None and not self._ready.done():
                    found = cast("tuple[object, ...]", missing)
                    self._ready.set_result(tuple(map(str, found)))
            case _:
                raise MessageError("a vault does not say that")

    def _ended(self, why: str) -> None:
        if not self._closing:
            self._telling = asyncio.get_running_loop().create_task(self._tell_end(why))

    async def _tell_end(self, why: str) -> None:
        why = await told(why, self._process)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(MessageError(f"the vault did not come up: {why}"))
        elif not self._closing:
            self._lost(why)
