"""The ledger's door: workers ask the monitor what is counted once (`culvert.gateway.ledger`).

A worker needs the answer in the middle of a message, so it waits for it, as for SKEYID: some 60 µs
over a socket pair of its own, answered by a thread. When that ends, the worker is gone, and so is
what it had. A word that makes no sense ends it, too.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from itertools import count

from culvert.driver.message import LONGEST, MessageError, read, written
from culvert.errors import MisuseError
from culvert.gateway.ledger import Ledger, Life
from culvert.gateway.placing import Neighbours
from culvert.inet.address import Address
from culvert.policy.pool import IpAddress, Pool, PoolPlan
from culvert.policy.refused import Refused
from culvert.session.session import Kind, Session
from culvert.session.table import Closed, SessionTable


class LedgerDoor:
    """The monitor's end."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._lock = threading.Lock()
        self._lives = count(1)
        self._current: dict[int, Life] = {}
        self.over: Callable[[Life, str], None] = _nobody
        """Is told, in a thread, whose line has ended and why: that process counts for nothing any
        more, and must not serve on."""

    def open(self, worker: int) -> socket.socket:
        """The end for a worker that starts."""
        ours, theirs = socket.socketpair()
        life = Life(worker, next(self._lives))
        self._current[worker] = life
        work = threading.Thread(target=self._serve, args=(ours, life), name="ledger", daemon=True)
        work.start()
        return theirs

    def is_current(self, life: Life) -> bool:
        """Whether that process is the one that is there now."""
        return self._current.get(life.worker) == life

    def _serve(self, end: socket.socket, life: Life) -> None:
        why = "it was closed"
        try:
            self._serve_until_it_ends(end, life)
        except Exception as error:  # whatever it was: nothing of that process counts any more
            why = str(error) or type(error).__name__
        finally:
            with self._lock:
                self.ledger.over(life)
            self.over(life, why)

    def _serve_until_it_ends(self, end: socket.socket, life: Life) -> None:
        with end, suppress(ConnectionError), end.makefile("rwb", buffering=LONGEST) as stream:
            while line := stream.readline(LONGEST):
                with self._lock:
                    answer = self._answer(life, read(line))
                stream.write(written(answer).encode() + b"\n")
                stream.flush()

    def _answer(self, life: Life, asked: object) -> object:
        ledger = self.ledger
        match asked:
            case ("admit", str(user), str(host), int(port), int(limit)):
                return _plain(ledger.admit(life, user, (host, port), limit))
            case ("moved", int(number), str(host), int(port)):
                ledger.moved(life, number, (host, port))
            case ("end", int(number)):
                ledger.end(life, number)
            case ("renounce", str(user), str(host), int(port)):
                ledger.renounce(life, user, (host, port))
            case ("lease", str(pool), str(user)):
                return _plain(ledger.lease(life, pool, user))
            case ("release", str(pool), str(address)):
                ledger.release(life, pool, address)
            case _:
                raise MessageError("the ledger was asked for what it does not know")
        return None


def _nobody(_: Life, __: str) -> None:
    return


def _plain(found: int | str | Refused) -> object:
    return (found.reason, found.detail) if isinstance(found, Refused) else found


class RemoteLedger:
    """The worker's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end.makefile("rwb", buffering=LONGEST)

    def ask(self, *what: object) -> object:
        """Raises OSError or MessageError when the monitor is gone, and this process goes, too."""
        self._end.write(written(what).encode() + b"\n")
        self._end.flush()
        return read(self._end.readline(LONGEST))

    def number(self, *what: object) -> int | Refused:
        found = self.ask(*what)
        return found if isinstance(found, int) else _refused(found)

    def address(self, *what: object) -> IpAddress | Refused:
        found = self.ask(*what)
        return ip_address(found) if isinstance(found, str) else _refused(found)


def _refused(found: object) -> Refused:
    match found:
        case (str(reason), str(detail)):
            return Refused(reason, detail)
        case _:
            raise MessageError("the ledger's answer makes no sense")


class SharedPool(Pool):
    """A pool of which other workers hand out addresses, too."""

    def __init__(self, plan: PoolPlan, ledger: RemoteLedger) -> None:
        super().__init__(plan)
        self._ledger = ledger

    def lease(self, user: str, *, wanted: str = "") -> IpAddress | Refused:
        del wanted  # one of another worker's part would come by a detour
        return self._ledger.address("lease", self.name, user)

    def release(self, address: IpAddress | str) -> bool:
        self._ledger.ask("release", self.name, str(address))
        return True


class SharedTable(SessionTable):
    """The sessions of one worker; numbers and limits are the ledger's, and the other workers are
    told which peers are here."""

    def __init__(self, ledger: RemoteLedger, neighbours: Neighbours) -> None:
        super().__init__(limit=0)
        self._ledger = ledger
        self._neighbours = neighbours

    def pools(self, plans: Iterable[PoolPlan]) -> Mapping[str, Pool]:
        return {plan.name: SharedPool(plan, self._ledger) for plan in plans}

    def admit(
        self,
        kind: Kind,
        user: str,
        *,
        at: datetime,
        now: float,
        group: str = "",
        public: Address = ("", 0),
        user_limit: int = 0,
    ) -> Session | Refused:
        number = self._ledger.number("admit", user, *public, user_limit)
        if isinstance(number, Refused):
            return number
        self._cumulative = number - 1
        session = super().admit(kind, user, at=at, now=now, group=group, public=public)
        if isinstance(session, Session):
            self._neighbours.here(public)
        return session

    def move(self, number: int, public: Address) -> None:
        session = self.find(number)
        if session is None:
            raise MisuseError(f"there is no session {number}")
        if session.public != public:
            self._neighbours.gone(session.public)
            self._ledger.ask("moved", number, *public)
        super().move(number, public)
        self._neighbours.here(public)

    def renounce(self, user: str, public: Address) -> None:
        self._ledger.ask("renounce", user, *public)

    def end(self, number: int, reason: str, *, now: float, by_peer: bool = False) -> Closed | None:
        closed = super().end(number, reason, now=now, by_peer=by_peer)
        if closed is not None:
            self._ledger.ask("end", number)
            self._neighbours.gone(closed.public)
        return closed
