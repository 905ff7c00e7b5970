"""The loop that runs one coordinator: executes its effects, arms one timer, brings answers back.

It knows descriptors and time and nothing of what octets mean. A core that raises something nobody
planned loses that one message; the traceback goes into the event log and the process lives on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from math import inf
from typing import Protocol, assert_never

from culvert.driver.clock import LONGEST_SLEEP, boottime
from culvert.driver.coordinator import Coordinator
from culvert.driver.journal import fault
from culvert.driver.surroundings import Surroundings
from culvert.effects import (
    ActivateSa,
    Answer,
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    Effect,
    HumanAnswered,
    Inquire,
    InstallSa,
    Judge,
    JudgeCertificate,
    Judged,
    MachineConfigured,
    MovePeer,
    OpenStream,
    PairWorn,
    PeerMoved,
    Record,
    RemoveSa,
    Resolve,
    Resolved,
    RestoreMachine,
    SendIke,
    SendRaw,
    SessionEnded,
    Sign,
    Signed,
    StreamOpened,
    Traffic,
)
from culvert.eventlog.event import LogEvent
from culvert.ike.outputs import Keyed
from culvert.inet.address import Address, Path

FAULT_PAUSE = 1.0
"""Seconds until a core whose `tick` raised is asked again: its deadline may still lie behind us."""

LongOrder = (
    Judge
    | Sign
    | JudgeCertificate
    | AskHuman
    | ConfigureMachine
    | RestoreMachine
    | Resolve
    | OpenStream
    | AskEcho
    | Inquire
)
"""Effects that take time; each runs as a task of its own."""

NewKeys = Keyed | InstallSa
"""What brings new keys, for a key log."""

TRAFFIC_INTERVAL = 1.0
"""Seconds between two looks at the counters while packets flow. No packets, no looks."""

LOOK_PAUSE = 100
"""A look at the counters that a message prompts may take one part in so many of the time: with
thousands of sessions it takes milliseconds, and messages come by the hundred."""


class Packets(Protocol):
    """The data path as the loop uses it (see `culvert.driver.pump`)."""

    def start(self, listener: PacketListener) -> None: ...

    def stop(self) -> None: ...

    def send(self, octets: bytes, to: Address, local_port: int, *, marker: bool) -> None: ...

    def arrange(self, order: InstallSa | ActivateSa | RemoveSa | MovePeer) -> None: ...

    def forget(self, session: int) -> None:
        """Drop what is left of a session."""
        ...

    def changed(self) -> Sequence[Traffic]:
        """The counters that moved since the last call."""
        ...


class PacketListener(Protocol):
    """What the data path tells the loop."""

    def ike(self, octets: bytes, path: Path) -> None: ...

    def moved(self, news: PeerMoved) -> None: ...

    def worn(self, news: PairWorn) -> None: ...

    def busy(self) -> None:
        """Packets went through; counters may have changed."""
        ...

    def note(self, event: LogEvent) -> None: ...

    def fault(self, what: str, error: BaseException) -> None: ...


class Driver:
    """Runs ``core`` between `start` and `stop` on the running event loop.

    ``keys`` is told every key that is made, if somebody asked for a key log.
    """

    def __init__(
        self,
        core: Coordinator,
        packets: Packets,
        surroundings: Surroundings,
        record: Callable[[LogEvent], None],
        *,
        clock: Callable[[], float] = boottime,
        keys: Callable[[NewKeys], None] | None = None,
    ) -> None:
        self._core = core
        self._packets = packets
        self._surroundings = surroundings
        self._record = record
        self._clock = clock
        self._keys = keys
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = -1.0
        self._traffic_timer: asyncio.TimerHandle | None = None
        self._next_look = 0.0
        self._running = False
        self._kept: list[tuple[bytes, Path]] | None = None
        self._postponed: list[tuple[Callable[[], Sequence[Effect]], str]] = []

    # --- life ----------------------------------------------------------------------------------

    def start(self) -> None:
        self._running = True
        self._packets.start(self)
        self._arm()

    async def stop(self, patience: float) -> None:
        """Close the data path; let unfinished orders end for ``patience`` seconds, then cancel."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=patience)
        self._running = False
        self._packets.stop()
        for timer in (self._timer, self._traffic_timer):
            if timer is not None:
                timer.cancel()
        unfinished = tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    @property
    def busy_with(self) -> int:
        """Orders under way."""
        return len(self._tasks)

    def hold(self) -> None:
        """The core stands still from now on, so that its state can be handed over: what comes for
        it is kept. Packets flow on."""
        self._kept = []
        self._disarm()
        self._armed_for = -1.0

    @property
    def kept(self) -> Sequence[tuple[bytes, Path]]:
        """The IKE datagrams that came since `hold`."""
        return self._kept or ()

    def release(self) -> None:
        """It was not handed over: everything goes on."""
        kept, self._kept = self._kept or [], None
        postponed, self._postponed = self._postponed, []
        for call, what in postponed:
            self._run(call, what)
        for octets, path in kept:
            self.ike(octets, path)
        self._arm()

    def execute(self, effects: Sequence[Effect]) -> None:
        """Carry out what the core decided on before it ran here."""
        self._run(lambda: effects, "what another process left to be done")

    def command(self, call: Callable[[float], Sequence[Effect]], what: str) -> None:
        """Give the core a command: ``call`` gets the time and returns the core's effects."""
        self._look_if_it_flowed()
        self._run(lambda: call(self._clock()), what)

    def look(self) -> None:
        """Bring the core's counters up to date now, for someone who wants to see them."""
        self._tell_traffic()

    # --- what comes in -------------------------------------------------------------------------

    def ike(self, octets: bytes, path: Path) -> None:
        if self._kept is not None:
            self._kept.append((octets, path))
            return
        self._look_if_it_flowed()
        self._run(lambda: self._core.receive(octets, path, now=self._clock()), "a datagram")

    def moved(self, news: PeerMoved) -> None:
        self._answer(news)

    def worn(self, news: PairWorn) -> None:
        self._answer(news)

    def busy(self) -> None:
        if self._traffic_timer is None and self._running:
            loop = asyncio.get_running_loop()
            self._traffic_timer = loop.call_later(TRAFFIC_INTERVAL, self._tell_traffic)

    def note(self, event: LogEvent) -> None:
        self._record(event)

    def fault(self, what: str, error: BaseException) -> None:
        """Something raised what nobody planned for: always a defect, never the end."""
        self._record(fault(what, error))

    # --- the core ------------------------------------------------------------------------------

    def _answer(self, answer: Answer) -> None:
        self._run(
            lambda: self._core.step(answer, now=self._clock()),
            f"an answer ({type(answer).__name__})",
        )

    def _run(self, call: Callable[[], Sequence[Effect]], what: str) -> bool:
        if self._kept is not None:
            self._postponed.append((call, what))
            return True
        try:
            effects = call()
        except Exception as error:  # the one place that must outlive any defect
            self.fault(f"handling {what}", error)
            self._arm()
            return False
        for effect in effects:
            try:
                self._execute(effect)
            except Exception as error:  # the rest of the effects still count
                self.fault(f"executing {type(effect).__name__}", error)
        self._arm()
        return True

    def _execute(self, effect: Effect) -> None:
        if self._keys is not None and isinstance(effect, Keyed | InstallSa):
            self._keys(effect)
        match effect:
            case SendIke():
                self._packets.send(
                    effect.octets, effect.to, effect.local_port, marker=effect.marker
                )
            case SendRaw():
                self._packets.send(effect.octets, effect.to, effect.local_port, marker=False)
            case InstallSa() | ActivateSa() | RemoveSa() | MovePeer():
                self._packets.arrange(effect)
            case Record():
                self._record(effect.event)
            case Keyed():
                return
            case SessionEnded():
                self._packets.forget(effect.session)
                self._surroundings.ended(effect)
            case _:
                self._begin(effect)

    # --- timers --------------------------------------------------------------------------------

    def _arm(self) -> None:
        """One timer for the core's deadline; left alone if the deadline did not move."""
        if not self._running or self._kept is not None:
            return
        deadline = self._core.deadline
        if deadline == self._armed_for and (self._timer is not None or deadline == inf):
            return
        self._armed_for = deadline
        if deadline == inf:
            self._disarm()
        else:
            self._sleep(min(max(deadline - self._clock(), 0.0), LONGEST_SLEEP))

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sleep(self, seconds: float) -> None:
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        now = self._clock()
        if now < self._core.deadline:
            self._armed_for = -1.0
            self._arm()
        elif not self._run(lambda: self._core.tick(now=now), "the clock"):
            self._sleep(FAULT_PAUSE)

    def _tell_traffic(self) -> None:
        if self._traffic_timer is not None:
            self._traffic_timer.cancel()
            self._traffic_timer = None
        for news in self._packets.changed():
            self._answer(news)

    def _look_if_it_flowed(self) -> None:
        """A message or command may end a session: what it carried is to be known by then."""
        now = self._clock()
        if self._traffic_timer is None or now < self._next_look:
            return
        self._tell_traffic()
        self._next_look = now + LOOK_PAUSE * (self._clock() - now)

    # --- orders that take time -----------------------------------------------------------------

    def _begin(self, order: LongOrder) -> None:
        task = asyncio.get_running_loop().create_task(self._carry_out(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, order: LongOrder) -> None:
        """Carry out, take the answer back. A failure is an answer too, or the core would wait."""
        around = self._surroundings
        match order:
            case Judge():
                refused = Judged(order.ticket, accepted=False, reason="error")
                await self._bring(around.judge(order), refused)
            case Sign():
                unsigned = Signed(order.ticket, b"", problem="an internal error, see the log")
                await self._bring(around.sign(order), unsigned)
            case JudgeCertificate():
                untrusted = CertificateJudged(order.ticket, accepted=False, reason="error")
                await self._bring(around.judge_certificate(order), untrusted)
            case AskHuman():
                await self._bring(around.ask(order), HumanAnswered(order.ticket, None))
            case ConfigureMachine():
                failed = MachineConfigured(order.ticket, problem="an internal error, see the log")
                await self._bring(around.configure(order), failed)
            case Resolve():
                unknown = Resolved(order.ticket, (), problem="an internal error, see the log")
                await self._bring(around.resolve(order), unknown)
            case OpenStream():
                closed = StreamOpened(order.ticket, None, problem="an internal error, see the log")
                await self._bring(around.open_stream(order), closed)
            case AskEcho():
                await self._bring(around.ask_echo(order), None)
            case Inquire():
                await self._bring(around.inquire(order), None)
            case RestoreMachine():
                await self._bring(around.restore(order), None)
            case _:
                assert_never(order)

    async def _bring(
        self, work: Coroutine[object, object, Answer | None], otherwise: Answer | None
    ) -> None:
        try:
            answer = await work
        except Exception as error:  # as in `_run`
            self.fault("carrying out an order", error)
            answer = otherwise
        if answer is not None and self._running:
            self._answer(answer)
