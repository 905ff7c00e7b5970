"""Encryption of ISAKMP messages: one chain of IVs in phase 1, one per message id after it
(RFC 2409 App. B).

A new IV is kept only after the message proved genuine, else one forged datagram would
desynchronise the chain. Chains of finished exchanges are dropped, oldest first.
"""

from __future__ import annotations

from collections import OrderedDict

from culvert.crypto.cipher import cbc_decrypt, cbc_encrypt
from culvert.errors import WireError
from culvert.ike.keys import Phase1Keys, exchange_iv
from culvert.ike.wire.header import ENCRYPTED, OCTETS, Header
from culvert.ike.wire.message import decrypted_body
from culvert.ike.wire.payload import Chain

CHAINS = 16  # open exchanges remembered; the Cisco client needs four at once


class Sealing:
    """Seals and opens the messages of one IKE SA."""

    def __init__(self, keys: Phase1Keys) -> None:
        self._keys = keys
        self._phase1_iv = keys.first_iv
        self._chains: OrderedDict[int, bytes] = OrderedDict()
        self._finished = False
        self._heard = False  # anything that belongs to no phase 1

    def seal(self, header: Header, body: bytes, first: int) -> bytes:
        """The whole encrypted message; the chain moves on."""
        padded = body + bytes(-len(body) % self._keys.block)
        iv = self.iv(header.message_id)
        sealed = cbc_encrypt(self._keys.cipher_name, self._keys.cipher_key, iv, padded)
        self._keep(header.message_id, sealed)
        head = Header(
            header.cookie_i,
            header.cookie_r,
            first,
            header.exchange,
            header.flags | ENCRYPTED,
            header.message_id,
        )
        return head.to_bytes(len(sealed)) + sealed

    def open(self, octets: bytes, header: Header) -> tuple[Chain, bytes]:
        """Payloads and the clear body; the chain does not move until `accept`.

        Raises WireError when the body is no whole number of blocks or does not parse, which
        is also what a wrong key looks like.
        """
        sealed = octets[OCTETS : header.length]
        if not sealed or len(sealed) % self._keys.block:
            raise WireError(
                f"an encrypted body of {len(sealed)} octets is no number of whole blocks",
                offset=OCTETS,
            )
        try:
            return self._opened(header, sealed, self.iv(header.message_id))
        except WireError:
            if self._heard or header.message_id in (0, *self._chains):
                raise
            # Before phase 1 is finished at its end, libreswan encrypts what it has to say (such as
            # that it refuses a certificate) as if there had been no block before.
            return self._opened(header, sealed, exchange_iv(self._keys, b"", header.message_id))

    def _opened(self, header: Header, sealed: bytes, iv: bytes) -> tuple[Chain, bytes]:
        body = cbc_decrypt(self._keys.cipher_name, self._keys.cipher_key, iv, sealed)
        return decrypted_body(body, header), body

    def accept(self, octets: bytes, header: Header) -> None:
        """The message was genuine: its last block is the next IV of its chain."""
        self._keep(header.message_id, octets[OCTETS : header.length])
        self._heard = self._heard or self._finished or header.message_id != 0

    def chains(self, message_id: int) -> bool:
        """Whether messages of this exchange went before."""
        return message_id in self._chains

    def forget(self, message_id: int) -> None:
        """The exchange is over."""
        self._chains.pop(message_id, None)

    def iv(self, message_id: int) -> bytes:
        """Of the next message of this exchange."""
        if message_id == 0 and not self._finished:
            return self._phase1_iv
        chain = self._chains.get(message_id)
        if chain is None:
            return exchange_iv(self._keys, self._phase1_iv, message_id)
        return chain

    def finish_phase1(self) -> None:
        """From here on the last phase 1 block stays, and message id 0 is an exchange like others
        (vpnc draws its ids from 8 bits)."""
        self._finished = True

    def _keep(self, message_id: int, sealed: bytes) -> None:
        last = sealed[-self._keys.block :]
        if message_id == 0 and not self._finished:
            self._phase1_iv = last
            return
        self._chains[message_id] = last
        self._chains.move_to_end(message_id)
        if len(self._chains) > CHAINS:
            self._chains.popitem(last=False)
