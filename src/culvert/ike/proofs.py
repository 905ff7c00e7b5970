"""Proofs of phase 1: a HASH made with the pre-shared key, or a signature over it (RFC 2409 §5).

The state machines ask "make ours" and "check theirs" and go on when that is done: at once for a
hash, after the vault's word for a signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from culvert.errors import UnexpectedMessage
from culvert.ike.channel import Channel
from culvert.ike.exchanged import check_hash
from culvert.ike.outputs import AskCertificate, AskSignature, CertificateVerdict, Signature
from culvert.ike.wire.certificate import certificate_parts, certificates, requested
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.payload import HASH, SIG, Chain, Part, one

Made = Callable[[Chain, float], None]
Judged = Callable[[CertificateVerdict, float], None]

PROVED = CertificateVerdict(accepted=True)


@dataclass(frozen=True, slots=True)
class Task:
    """What a proof is about. ``kind``: "hash" or "signature"; ``name``: HASH_I or HASH_R."""

    kind: str
    name: str
    digest: bytes
    cookies: bytes

    @property
    def exchange(self) -> str:
        return f"{self.cookies[:8].hex()}/{self.cookies[8:].hex()}"


class Proofs:
    """Those of one IKE SA; at most one of ours and one of theirs is under way."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._making: Made | None = None
        self._checking: Judged | None = None
        self._authorities: tuple[bytes, ...] | None = None

    @property
    def waiting(self) -> bool:
        """Whether the vault has not yet spoken about the peer's proof."""
        return self._checking is not None

    def note_requests(self, parts: Chain) -> None:
        """Of which authorities the peer wants a certificate."""
        wanted = requested(parts)
        if wanted is not None:
            self._authorities = (*(self._authorities or ()), *wanted)
            self._channel.log("ike.certificate-requested", authorities=len(wanted))

    def make(self, task: Task, then: Made, *, now: float, unproved: bool = False) -> None:
        """``then`` gets the payloads that prove us. ``unproved``: they go to an address that
        nobody has proved."""
        if task.kind == "hash":
            then((Part(HASH, task.digest),), now)
            return
        self._making = then
        self._channel.out.append(
            AskSignature(task.digest, task.exchange, self._authorities, unproved=unproved)
        )

    def check(
        self, task: Task, parts: Chain, identity: Identity, then: Judged, *, now: float
    ) -> None:
        """``then`` gets the verdict about the proof in ``parts``.

        Raises IntegrityError for a wrong hash, and UnexpectedMessage without a signature.
        """
        if task.kind == "hash":
            check_hash(parts, task.digest, task.name)
            then(PROVED, now)
            return
        signature = one(parts, SIG)
        if signature is None:
            raise UnexpectedMessage("without SIG, although signatures were agreed on")
        self._checking = then
        self._channel.out.append(
            AskCertificate(
                certificates(parts), identity, task.digest, signature.body, task.exchange
            )
        )

    def forget(self) -> None:
        """Nobody waits for the vault's word any more."""
        self._making = self._checking = None

    def step(self, given: Signature | CertificateVerdict, now: float) -> None:
        """The vault's word. One that nobody waits for any more is dropped."""
        match given:
            case Signature():
                making, self._making = self._making, None
                if making is not None:
                    chain = certificate_parts(given.certificates)
                    making((*chain, Part(SIG, given.octets)), now)
            case CertificateVerdict():
                checking, self._checking = self._checking, None
                if checking is not None:
                    checking(given, now)
