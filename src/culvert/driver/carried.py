"""What a data path carries, remembered so that the next process can go on with it.

First the pairs with their keys, while packets still flow; then, when this engine has sealed its
last packet, how far each was used. No sequence number is used twice: whoever has told its progress
seals nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from culvert.datapath.plane import Counters, Plane, Progress
from culvert.driver.handing import Codec, Moment
from culvert.driver.message import MessageError
from culvert.effects import ActivateSa, InstallSa, MovePeer, RemoveSa
from culvert.inet.address import Address

Item = Mapping[str, object]
Order = InstallSa | ActivateSa | RemoveSa | MovePeer


@dataclass(frozen=True, slots=True)
class _Used:
    """A pair, and how far it was used."""

    session: int
    pair: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class _Counted:
    """What a session carried. The moment is not in the counters, where it would be no age."""

    session: int
    counters: Counters
    last_inbound: Moment


_ACTIVE = tuple[tuple[int, int], ...]


class Carried:
    """The orders that stand."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[int, int], InstallSa] = {}
        self._active: dict[tuple[int, int], None] = {}
        self._peers: dict[int, tuple[Address, int]] = {}
        self._codec = Codec((), {})

    @property
    def peers(self) -> Mapping[int, tuple[Address, int]]:
        """Where the datagrams of each session go, and from which port of ours."""
        return self._peers

    def note(self, order: Order) -> None:
        match order:
            case InstallSa():
                self._pairs[order.session, order.pair] = order
                self._peers[order.session] = order.peer, order.local_port
            case ActivateSa(session=session, pair=pair):
                # The youngest is the first to be asked: it goes to the end again.
                self._active.pop((session, pair), None)
                self._active[session, pair] = None
            case RemoveSa(session=session, pair=pair):
                self._pairs.pop((session, pair), None)
                self._active.pop((session, pair), None)
            case MovePeer(session=session, peer=peer, local_port=local_port):
                self._peers[session] = peer, local_port

    def forget(self, session: int) -> None:
        for key in [key for key in self._pairs if key[0] == session]:
            self.note(RemoveSa(*key))
        self._peers.pop(session, None)

    # --- handing over ------------------------------------------------------------------------

    def keys(self, *, now: float) -> Iterator[Item]:
        """The pairs, each as it would be installed today."""
        for order in self._pairs.values():
            peer, local_port = self._peers[order.session]
            today = replace(order, peer=peer, local_port=local_port, replaces=0)
            yield {"install": self._codec.written(today, InstallSa, now=now)}

    def progress(self, plane: Plane, *, now: float) -> Iterator[Item]:
        """How far they were used, by an engine that has stopped."""
        for session, pair in self._pairs:
            used = _Used(session, pair, plane.progress(session, pair))
            yield {"used": self._codec.written(used, _Used, now=now)}
        for session in self._peers:
            counters = plane.traffic(session)
            counted = _Counted(
                session, replace(counters, last_inbound=0.0), Moment(counters.last_inbound)
            )
            yield {"counted": self._codec.written(counted, _Counted, now=now)}
        yield {"active": self._codec.written(tuple(self._active), _ACTIVE, now=now)}

    # --- going on ----------------------------------------------------------------------------

    def orders(self, items: Iterable[Item], *, now: float) -> list[InstallSa]:
        """The pairs to install. Raises MessageError."""
        found = [self._codec.read(item.get("install"), InstallSa, now=now) for item in items]
        return cast("list[InstallSa]", found)

    def go_on(self, items: Iterable[Item], plane: Plane, *, now: float) -> list[ActivateSa]:
        """Tell the engine how far its pairs were used; which of them are to be activated then.
        Raises MessageError."""
        active: list[ActivateSa] = []
        for item in items:
            match item:
                case {"used": used}:
                    one = cast("_Used", self._codec.read(used, _Used, now=now))
                    self._must_stand(one.session, one.pair)
                    plane.go_on(one.session, one.pair, one.progress)
                case {"counted": counted}:
                    of = cast("_Counted", self._codec.read(counted, _Counted, now=now))
                    counters = replace(of.counters, last_inbound=of.last_inbound)
                    plane.recount(of.session, counters)
                case {"active": pairs}:
                    keys = cast("_PairKeys", self._codec.read(pairs, _ACTIVE, now=now))
                    for session, pair in keys:
                        self._must_stand(session, pair)
                        active.append(ActivateSa(session, pair))
                case _:
                    raise MessageError("progress of a kind that is not known here")
        return active

    def _must_stand(self, session: int, pair: int) -> None:
        if (session, pair) not in self._pairs:
            raise MessageError(f"progress of a pair that was not handed over: {session}/{pair}")


_PairKeys = Iterable[tuple[int, int]]
