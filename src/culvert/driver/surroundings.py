"""What surrounds a coordinator and differs between client and gateway: people and the machine.

The loop turns an effect into one of these calls and takes the value it returns back to the core.
Each call runs as a task of its own; whatever blocks goes into a thread, packets go on meanwhile.
"""

from __future__ import annotations

from typing import Protocol

from culvert.effects import (
    AskEcho,
    AskHuman,
    CertificateJudged,
    ConfigureMachine,
    EchoAnswered,
    HumanAnswered,
    Inquire,
    Judge,
    JudgeCertificate,
    Judged,
    MachineConfigured,
    OpenStream,
    Replied,
    Resolve,
    Resolved,
    RestoreMachine,
    SessionEnded,
    Sign,
    Signed,
    StreamOpened,
)
from culvert.errors import MisuseError


class Surroundings(Protocol):
    async def judge(self, order: Judge) -> Judged: ...

    async def sign(self, order: Sign) -> Signed: ...

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged: ...

    async def ask(self, order: AskHuman) -> HumanAnswered: ...

    async def configure(self, order: ConfigureMachine) -> MachineConfigured: ...

    async def restore(self, order: RestoreMachine) -> None: ...

    async def open_stream(self, order: OpenStream) -> StreamOpened: ...

    async def ask_echo(self, order: AskEcho) -> EchoAnswered | None:
        """None: no answer in time."""
        ...

    async def inquire(self, order: Inquire) -> Replied | None:
        """None: no answer in time."""
        ...

    def ended(self, order: SessionEnded) -> None:
        """The coordinator has forgotten this session."""
        ...

    async def resolve(self, order: Resolve) -> Resolved: ...


class NoSurroundings:
    """Refuses everything: the part a driver overrides is the part its core may ask for."""

    async def judge(self, order: Judge) -> Judged:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def sign(self, order: Sign) -> Signed:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def judge_certificate(self, order: JudgeCertificate) -> CertificateJudged:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def ask(self, order: AskHuman) -> HumanAnswered:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def configure(self, order: ConfigureMachine) -> MachineConfigured:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def restore(self, order: RestoreMachine) -> None:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def open_stream(self, order: OpenStream) -> StreamOpened:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def ask_echo(self, order: AskEcho) -> EchoAnswered | None:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    async def inquire(self, order: Inquire) -> Replied | None:
        raise MisuseError(f"this core may not ask {type(order).__name__}")

    def ended(self, order: SessionEnded) -> None:
        return

    async def resolve(self, order: Resolve) -> Resolved:
        raise MisuseError(f"this core may not ask {type(order).__name__}")
