"""What a capture of a simulated network shows to who has the keys."""

from __future__ import annotations

from typing import Any

from culvert.crypto.cipher import cbc_decrypt
from culvert.errors import WireError
from culvert.ike.keys import exchange_iv
from culvert.ike.wire.header import OCTETS, QUICK
from culvert.ike.wire.message import parse_header
from culvert.ike.wire.payload import SA, one, parse_chain
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.octets.cursor import Cursor
from simulation.ends import IKE_PORT, ClientEnd
from simulation.journal import Seen
from simulation.meddler import ike_sa
from simulation.world import World


def quick_offer(seen: Seen, client: ClientEnd) -> SecurityAssociation | None:
    """The offer of phase 2 in a datagram of this client, if it is one."""
    ports = (seen.source[1], seen.to[1])
    if seen.name != client.name or ports != (IKE_PORT, IKE_PORT):
        return None
    header = parse_header(seen.message)
    if header.exchange != QUICK:
        return None
    channel: Any = ike_sa(client).channel
    keys, last = channel._sealing._keys, channel._sealing._phase1_iv
    iv = exchange_iv(keys, last, header.message_id)
    sealed = seen.message[OCTETS:]
    clear = cbc_decrypt(keys.cipher_name, keys.cipher_key, iv, sealed)
    try:
        found = one(parse_chain(header.next_payload, Cursor(clear)), SA)
    except WireError:
        return None  # message 3, whose chain of blocks begins elsewhere
    return SecurityAssociation.parse(found) if found is not None else None


def quick_offers(world: World, client: ClientEnd) -> list[SecurityAssociation]:
    """All of them, in order."""
    found = (quick_offer(seen, client) for seen in world.network.seen)
    return [offer for offer in found if offer is not None]
