"""Meddlers: who add octets of their own to a simulated conversation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from culvert.ike.outputs import Send
from culvert.ike.peer import IkeSa
from culvert.ike.wire.header import OCTETS
from culvert.ike.wire.payload import Chain
from culvert.inet.address import Address
from simulation.ends import NATT_PORT, NON_ESP_MARKER, ClientEnd, End

Variants = Callable[[bytes], Iterable[bytes]]


class Meddler:
    """Sits in front of ``end``; throws in ``variants`` of every genuine ISAKMP message, before it.

    They come from the genuine sender's address unless a ``source`` is given. ``wrongly_taken`` is
    what the end neither refused nor counted.
    """

    def __init__(self, end: End, variants: Variants, source: Address | None = None) -> None:
        if end.link is None:
            raise AssertionError(f"{end.name} is joined to no network")
        self.name = end.name
        self.thrown = 0
        self.wrongly_taken: list[bytes] = []
        self._end = end
        self._variants = variants
        self._source = source
        end.link.host = self

    def datagram(self, octets: bytes, source: Address, to: Address) -> None:
        marker = NON_ESP_MARKER if to[1] == NATT_PORT else b""
        if octets.startswith(marker) and len(octets) >= len(marker) + OCTETS:
            for variant in self._variants(octets.removeprefix(marker)):
                self._throw(marker + variant, self._source or source, to)
        self._end.datagram(octets, source, to)

    def _throw(self, octets: bytes, source: Address, to: Address) -> None:
        before, sent = refused(self._end), len(self._end.sent)
        self._end.datagram(octets, source, to)
        self.thrown += 1
        if refused(self._end) != before + 1 or len(self._end.sent) != sent:
            self.wrongly_taken.append(octets)


def refused(end: End) -> int:
    """Datagrams that this end counted as refused, all kinds and both places."""
    core: Any = end.core  # type: ignore[attr-defined]
    return core._endpoint.refused.total() + sum(end.plane.refused.values())


def ike_sa(end: End) -> IkeSa:
    """The one IKE SA of an end."""
    core: Any = end.core  # type: ignore[attr-defined]
    (found,) = core._endpoint._sas.values()
    return found  # type: ignore[no-any-return]


def sealed(
    end: End, exchange: int, parts: Chain, *, message_id: int = 0, hashed: bytes | None = None
) -> bytes:
    """What ``end``, with its own keys, would send if it were hostile: any payloads, rightly hashed
    and encrypted."""
    channel = ike_sa(end).channel
    kept, channel.out = channel.out, []
    cuts, channel.cuts = channel.cuts, False  # in one piece, however long
    channel.send_sealed(exchange, message_id or channel.new_id(), parts, hashed=hashed)
    made, channel.out = channel.out, kept
    channel.cuts = cuts
    (message,) = [output.octets for output in made if isinstance(output, Send)]
    return message


def with_length(octets: bytes) -> bytes:
    """The message with a header that announces exactly what is there."""
    return octets[:24] + len(octets).to_bytes(4, "big") + octets[OCTETS:]


def source_of(client: ClientEnd) -> Address:
    """The address by which the gateway knows this client."""
    *_, last = (seen for seen in client.network.seen if seen.name == client.name)
    return last.source
