"""A tunnel that is watched: line polling, idleness, and what `keepalive` makes of both."""

from __future__ import annotations

from dataclasses import replace

from culvert.client.pairs import tunnel_settings
from culvert.client.polling import Ask, Failed, Missed
from culvert.client.probed import Probed
from culvert.effects import (
    AskEcho,
    ConfigureMachine,
    EchoAnswered,
    Effect,
    MachineConfigured,
    Traffic,
)
from culvert.ike.outputs import Announced
from culvert.ike.wire.reason import Reason
from culvert.inet.address import Path, text
from culvert.session.ending import ending

UNASKED = 0
"""The ticket of an order that nothing waits for."""

POLLING_FAILED = "line-polling-failed"


class Watched(Probed):
    """Between the tunnel that stands and the calls that bring it back."""

    _polled = 0
    """Packets of line polling since the tunnel stands, both ways."""

    @property
    def _watch_deadline(self) -> float:
        ours = self._polling.deadline, self._idle.deadline
        return min(*ours, self._lease_deadline, self._names_deadline)

    def _up(self, now: float) -> list[Effect]:
        made = super()._up(now)
        self._polled = 0
        self._idle.begin(now)
        if self.profile.polling:
            made += self._ask_targets(self._polling.begin(now))
        return made

    def _unwatch(self) -> None:
        self._polling.stop()
        self._idle.stop()

    def _watch_over(self, now: float) -> list[Effect]:
        """What is due."""
        made = self._lease_due(now) + self._names_due(now)
        for act in self._polling.tick(now):
            match act:
                case Ask():
                    made += self._ask_targets(act)
                case Missed(first=first, retries=retries):
                    made.append(
                        self._event(
                            "live.poll-missed",
                            targets=self.profile.polling,
                            first=first,
                            retries=retries,
                            last=not retries,
                        )
                    )
                case Failed(seconds=seconds):
                    made += self._line_dead(seconds, now)
        if self._idle.deadline <= now:
            self._idle.stop()
            made += self._leave("idle-timeout", now)
        return made

    def _ask_targets(self, ask: Ask) -> list[Effect]:
        source = self.profile.polling_source or self._so_far.given.address
        self._polled += len(self.profile.polling)
        return [
            AskEcho(ask.sequence, target, source, ask.patience) for target in self.profile.polling
        ]

    def _echoed(self, answer: EchoAnswered, now: float) -> list[Effect]:
        missed = self._polling.missed
        self._polled += 1
        if not self._polling.answered(answer.sequence, now) or not missed:
            return []
        return [self._event("live.poll-answered", target=answer.target, missed=missed)]

    def _line_dead(self, seconds: float, now: float) -> list[Effect]:
        """Taken down like any loss, so that it may come back; the gateway is told all the same."""
        told = self._event(
            "live.poll-failed", targets=self.profile.polling, seconds=round(seconds, 1)
        )
        words = farewell(POLLING_FAILED)
        made = self._endpoint.act(self._sa, lambda sa: sa.close(POLLING_FAILED, words, now=now))
        return [told, *self._carry(made, now)]

    # --- a gateway that moves ----------------------------------------------------------------

    def _announced(self, told: Announced) -> list[Effect]:
        sa = self._endpoint.get(self._sa)
        peer = text(sa.path.remote) if sa is not None else ""
        given = self._so_far.given
        self._so_far.given = replace(given, dns=told.dns or given.dns, nbns=told.nbns or given.nbns)
        event = self._event("dynamic.received", peer=peer, dns=told.dns, nbns=told.nbns)
        return [event, *self._set_up_again()]

    def _follow(self, path: Path) -> list[Effect]:
        """The gateway is elsewhere: so is the way past the tunnel that its packets take."""
        host = path.remote[0]
        if self._so_far.stream is not None or host == self._so_far.address:
            return []
        self._so_far.address = host
        return self._set_up_again()

    def _set_up_again(self) -> list[Effect]:
        """The machine follows what is known now, if that changes anything for it."""
        esp, before = self._so_far.esp, self._set_up
        if esp is None or before is None:
            return []
        self._set_up = tunnel_settings(self.profile, self._so_far, esp, self._carriage)
        return [] if self._set_up == before else [ConfigureMachine(UNASKED, self._set_up)]

    def _machine_says(self, done: MachineConfigured, now: float) -> list[Effect]:
        if done.ticket == UNASKED and done.problem:
            return [self._event("client.machine-failed", problem=done.problem)]
        return self._machine(done, now) if self._awaited(done.ticket) else []

    def _traffic(self, traffic: Traffic, now: float) -> list[Effect]:
        packets = traffic.packets_in + traffic.packets_out - self._polled
        self._idle.carried(packets, now)
        return super()._traffic(traffic, now)


def farewell(reason: str) -> Reason:
    """What the gateway is told of an ending of ours."""
    row = ending(reason)
    return Reason(row.delete_code, row.delete_text or row.sentence, row.id)
