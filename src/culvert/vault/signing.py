"""SigningKeys: signs the HASH of phase 1 (RFC 2409 §5.1) and gives no key away.

A captured worker may ask as it likes: each exchange gets one signature, nothing but a HASH is
signed, and no more of them in a second than real exchanges need.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: TC002
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo

from culvert.effects import Sign, Signed
from culvert.identity.certificates.signature import DIGEST_OCTETS

EXCHANGES = 4096
"""Exchanges remembered with the digest they had signed: those of half a minute at the rate below,
far longer than the half-open ones live."""

RATE = 100.0
"""Signatures a second, on average; ten times what the fastest morning of a large office needs."""

BURST = 200.0
"""Signatures at once after a pause."""


class SigningKeys:
    """Private keys by name. Safe to be called from several threads."""

    def __init__(
        self,
        keys: Mapping[str, RSAPrivateKey],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._keys = dict(keys)
        self._only = next(iter(self._keys), "")
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._signed: OrderedDict[str, bytes] = OrderedDict()
        self._left = BURST
        self._counted = monotonic()

    def sign(self, order: Sign) -> Signed:
        """The signature, or why there is none. Takes milliseconds."""
        key = self._keys.get(order.key or self._only)
        if key is None:
            return self._refused(order, "there is no private key of that name")
        if not DIGEST_OCTETS[0] <= len(order.digest) <= DIGEST_OCTETS[1]:
            return self._refused(order, f"{len(order.digest)} octets are no hash of IKE")
        with self._lock:
            problem = self._objection(order)
        if problem:
            return self._refused(order, problem)
        try:
            signature = key.sign(order.digest, PKCS1v15(), NoDigestInfo())
        except ValueError as error:
            return self._refused(order, f"the key cannot sign this: {error}")
        return Signed(order.ticket, signature)

    def _objection(self, order: Sign) -> str:
        before = self._signed.get(order.exchange)
        if before is not None:
            return "" if before == order.digest else "this exchange has had its signature"
        now = self._monotonic()
        self._left = min(BURST, self._left + (now - self._counted) * RATE)
        self._counted = now
        if self._left < 1.0:
            return "too many signatures were asked for in this moment; try again"
        self._left -= 1.0
        self._signed[order.exchange] = order.digest
        while len(self._signed) > EXCHANGES:
            self._signed.popitem(last=False)
        return ""

    def _refused(self, order: Sign, problem: str) -> Signed:
        return Signed(order.ticket, b"", problem=problem)
