"""What an IKE SA asks about certificates, as orders to the vault, and the answers on their way
back. Both coordinators use it."""

from __future__ import annotations

from typing import Protocol

from culvert.effects import CertificateJudged, JudgeCertificate, Sign, Signed
from culvert.ike.outputs import AskCertificate, AskSignature, CertificateVerdict, Signature
from culvert.ike.wire.identity import Identity

UNUSABLE = "no-certificate"  # the ending (tables/endings.toml) when we cannot prove ourselves


class Shown(Protocol):
    """What an end shows of itself: certificates, its own first, and the name it calls itself by.
    ``key`` is the vault's name of the private key."""

    @property
    def key(self) -> str: ...
    @property
    def payloads(self) -> tuple[bytes, ...]: ...
    @property
    def identity(self) -> Identity: ...


class CertificateOrders:
    """``own`` is what this end shows of itself. IKE SAs go by their number."""

    def __init__(self, own: Shown | None) -> None:
        self._own = own
        self._last = 0
        self._waiting: dict[int, int] = {}

    def __len__(self) -> int:
        """Orders under way."""
        return len(self._waiting)

    def sign(self, number: int, asked: AskSignature) -> Sign | Signature:
        """The order, or at once the answer when there is nothing to sign with."""
        if self._own is None:
            problem = "there is no certificate of our own"
            return Signature(reason=UNUSABLE, problem=problem)
        return Sign(self._ticket(number), self._own.key, asked.digest, asked.exchange)

    def judge(self, number: int, asked: AskCertificate, source: str) -> JudgeCertificate:
        return JudgeCertificate(
            self._ticket(number),
            asked.chain,
            asked.identity,
            asked.digest,
            asked.signature,
            asked.exchange,
            source,
        )

    def owner(self, ticket: int) -> int:
        """Whose order it was; 0 when nobody waits for it any more."""
        return self._waiting.pop(ticket, 0)

    def forget(self, number: int) -> None:
        """This IKE SA is over."""
        for ticket in [t for t, n in self._waiting.items() if n == number]:
            del self._waiting[ticket]

    def signature(self, answer: Signed) -> Signature:
        """With the certificates that go along, in the order in which peers read them."""
        if not answer.signature:
            return Signature(reason=UNUSABLE, problem=answer.problem)
        return Signature(answer.signature, self._own.payloads if self._own else ())

    def _ticket(self, number: int) -> int:
        self._last += 1
        self._waiting[self._last] = number
        return self._last


def verdict(word: CertificateJudged) -> CertificateVerdict:
    """Without a group, which is the gateway's to find."""
    return CertificateVerdict(word.accepted, word.reason, word.problem, word.name or word.subject)
