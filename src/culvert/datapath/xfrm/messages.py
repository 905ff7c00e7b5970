"""Messages: the kernel's IPsec messages in octets, from orders and to what they tell.

A request is what `culvert.netio.xfrm` puts behind a netlink header. What comes back is read by a
bounded cursor like anything from outside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from sys import byteorder

from culvert.datapath.xfrm.layout import FAMILIES, Value, host, number, structure
from culvert.datapath.xfrm.orders import (
    Direction,
    Expired,
    News,
    Policy,
    PolicyName,
    Remapped,
    Seen,
    State,
    StateName,
)
from culvert.errors import MisuseError, WireError
from culvert.esp.replay import WINDOW
from culvert.octets.cursor import Cursor
from culvert.tables.xfrm import ATTRIBUTES, CIPHERS, INTEGRITIES, MESSAGES

ESP = 50
TUNNEL = 1  # XFRM_MODE_TUNNEL
ANY_INNER_FAMILY = 32  # XFRM_STATE_AF_UNSPEC: IPv4 and IPv6 inside, whatever is outside
IN_UDP = 2  # UDP_ENCAP_ESPINUDP, RFC 3948
ENDLESS = (1 << 64) - 1  # XFRM_INF
EVERY_ALGORITHM = (1 << 32) - 1
WORD = 32
REQUEST, ACKNOWLEDGE, EXCLUSIVE, CREATE, DUMP = 0x1, 0x4, 0x200, 0x400, 0x300  # NLM_F_…
MOST_ERRNO = 4095  # MAX_ERRNO of <linux/err.h>
_ATTRIBUTE = 4  # octets of its header
_DIRECTIONS = {Direction.INBOUND: 0, Direction.OUTBOUND: 1, Direction.FORWARDED: 2}
LEAST_PRIORITY = 1 << 16
"""Of a policy for everything; a narrower one comes before it."""


@dataclass(frozen=True, slots=True)
class Request:
    """``flags``: those of the netlink header."""

    kind: int
    flags: int
    body: bytes


# --- requests ----------------------------------------------------------------------------------


def add_state(state: State, interface: int) -> Request:
    """Refused by the kernel when there is one of that name. Raises MisuseError for a suite that
    the kernel has no name for."""
    source, destination = ip_address(state.source), ip_address(state.destination)
    body = structure("sa").pack(
        {
            "id.destination": destination.packed,
            "id.spi": state.spi,
            "id.protocol": ESP,
            "source": source.packed,
            **_limits(state.soft_octets, state.hard_octets),
            "limits.hard_added": state.seconds,
            "request": state.request,
            "family": FAMILIES[destination.version],
            "mode": TUNNEL,
            "flags": ANY_INNER_FAMILY,
        }
    )
    attributes = [*_algorithms(state), _attribute("replay", _replay(state))]
    if state.source_port or state.destination_port:
        in_udp = structure("encapsulation").pack(
            {
                "type": IN_UDP,
                "source_port": state.source_port,
                "destination_port": state.destination_port,
            }
        )
        attributes.append(_attribute("encapsulation", in_udp))
    attributes.append(_interface(interface))
    return _change("new-sa", body, attributes, CREATE | EXCLUSIVE)


def remove_state(state: StateName) -> Request:
    return _change("delete-sa", _state_id(state), [])


def get_state(state: StateName) -> Request:
    return Request(MESSAGES["get-sa"], REQUEST, _state_id(state))


def all_states() -> Request:
    """Those of other programs among them: `Seen.interface` tells."""
    return Request(MESSAGES["get-sa"], REQUEST | DUMP, bytes(structure("sa-id").octets))


def all_policies() -> Request:
    return Request(MESSAGES["get-policy"], REQUEST | DUMP, bytes(structure("policy-id").octets))


def put_policy(policy: Policy, interface: int) -> Request:
    """Takes the place of one for the same packets."""
    selector, narrowness = _selector(policy.source, policy.destination)
    near, far = ip_address(policy.near), ip_address(policy.far)
    family = FAMILIES[near.version]
    body = structure("policy").pack(
        {
            **{f"selector.{key}": value for key, value in selector.items()},
            **_limits(0, 0),
            "priority": LEAST_PRIORITY - narrowness,
            "direction": _direction(policy.direction),
        }
    )
    template = structure("template").pack(
        {
            "id.destination": far.packed,
            "id.spi": policy.spi,
            "id.protocol": ESP,
            "family": family,
            "source": near.packed,
            "request": policy.request,
            "mode": TUNNEL,
            "integrities": EVERY_ALGORITHM,
            "ciphers": EVERY_ALGORITHM,
            "compressions": EVERY_ALGORITHM,
        }
    )
    attributes = [_attribute("templates", template), _interface(interface)]
    return _change("update-policy", body, attributes)


def remove_policy(policy: PolicyName, interface: int) -> Request:
    selector, _ = _selector(policy.source, policy.destination)
    body = structure("policy-id").pack(
        {
            **{f"selector.{key}": value for key, value in selector.items()},
            "direction": _direction(policy.direction),
        }
    )
    return _change("delete-policy", body, [_interface(interface)])


def _change(kind: str, body: bytes, attributes: list[bytes], flags: int = 0) -> Request:
    return Request(MESSAGES[kind], REQUEST | ACKNOWLEDGE | flags, body + b"".join(attributes))


def _state_id(state: StateName) -> bytes:
    destination = ip_address(state.destination)
    return structure("sa-id").pack(
        {
            "destination": destination.packed,
            "spi": state.spi,
            "family": FAMILIES[destination.version],
            "protocol": ESP,
        }
    )


def _limits(soft: int, hard: int) -> dict[str, Value]:
    return {
        "limits.soft_octets": soft or ENDLESS,
        "limits.hard_octets": hard or ENDLESS,
        "limits.soft_packets": ENDLESS,
        "limits.hard_packets": ENDLESS,
    }


def _selector(source: str, destination: str) -> tuple[dict[str, Value], int]:
    """With how narrow it is."""
    here, there = ip_network(source), ip_network(destination)
    if here.version != there.version:
        raise MisuseError(f"no packet goes from {source} to {destination}")
    values: dict[str, Value] = {
        "destination": there.network_address.packed,
        "source": here.network_address.packed,
        "family": FAMILIES[there.version],
        "destination_length": there.prefixlen,
        "source_length": here.prefixlen,
    }
    return values, here.prefixlen + there.prefixlen


def _direction(name: str) -> int:
    try:
        return _DIRECTIONS[Direction(name)]
    except ValueError as error:
        raise MisuseError(f"packets have no direction {name!r}") from error


def _algorithms(state: State) -> Iterator[bytes]:
    cipher, integrity = CIPHERS.get(state.cipher), INTEGRITIES.get(state.integrity)
    if cipher is None or (integrity is None) != bool(cipher.icv):
        what = "+".join(filter(None, (state.cipher, state.integrity)))
        raise MisuseError(f"the kernel has no name for {what}")
    if integrity is None:
        key = state.cipher_key + state.salt
        head = structure("aead").pack(
            {"name": cipher.kernel.encode(), "key_bits": len(key) * 8, "icv_bits": cipher.icv}
        )
        yield _attribute("aead", head + key)
        return
    head = structure("authentication").pack(
        {
            "name": integrity.kernel.encode(),
            "key_bits": len(state.integrity_key) * 8,
            "icv_bits": integrity.icv,
        }
    )
    yield _attribute("authentication", head + state.integrity_key)
    head = structure("encryption").pack(
        {"name": cipher.kernel.encode(), "key_bits": len(state.cipher_key) * 8}
    )
    yield _attribute("encryption", head + state.cipher_key)


def _replay(state: State) -> bytes:
    """With a window as wide as our own engines'; the kernel's older form has 32 packets."""
    head = structure("replay").pack(
        {
            "words": WINDOW // WORD,
            "sequence": state.sequence,
            "highest": state.highest,
            "window": WINDOW,
        }
    )
    return head + (ring_of(int.from_bytes(state.seen, "big"), state.highest) if state.seen else b"")


def _interface(number_: int) -> bytes:
    return _attribute("interface", number_.to_bytes(4, byteorder))


def _attribute(name: str, value: bytes) -> bytes:
    length = _ATTRIBUTE + len(value)
    head = length.to_bytes(2, byteorder) + ATTRIBUTES[name].to_bytes(2, byteorder)
    return head + value + bytes(-length % 4)


# --- the replay window -------------------------------------------------------------------------


def ring_of(seen: int, highest: int) -> bytes:
    """Our window (its lowest bit is the number ``highest``) as the kernel's ring, where number n
    has bit (n - 1) mod `WINDOW`, in words of the machine's order."""
    ring = 0
    for back in range(min(WINDOW, highest)):
        if seen >> back & 1:
            ring |= 1 << (highest - back - 1) % WINDOW
    return b"".join(
        (ring >> at & 0xFFFFFFFF).to_bytes(4, byteorder) for at in range(0, WINDOW, WORD)
    )


def window_of(ring: bytes, highest: int) -> bytes:
    """The inverse of `ring_of`, as `culvert.datapath.plane.Progress.seen`."""
    words = [ring[at : at + 4] for at in range(0, len(ring), 4)]
    bits = sum(int.from_bytes(word, byteorder) << at * WORD for at, word in enumerate(words))
    seen = 0
    for back in range(min(WINDOW, highest)):
        seen |= (bits >> (highest - back - 1) % WINDOW & 1) << back
    return seen.to_bytes(WINDOW // 8, "big")


# --- what the kernel says ----------------------------------------------------------------------


def messages_in(octets: bytes, sequence: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The messages of one read, each with its type; with ``sequence``, those that answer it. Raises
    WireError."""
    cursor = Cursor(octets)
    head = structure("header")
    while cursor.left >= head.octets:
        found = head.read(cursor)
        length = number(found, "length")
        if length < head.octets:
            raise WireError(f"a message of {length} octets", offset=cursor.offset)
        body = cursor.octets(length - head.octets, "message")
        cursor.take(min(-length % 4, cursor.left), "padding")
        if sequence is None or found["sequence"] == sequence:
            yield number(found, "type"), body


def read_state(body: bytes) -> Seen:
    """An SA of an answer. Raises WireError."""
    cursor = Cursor(body)
    found = structure("sa").read(cursor)
    name = _named(found, "id.", number(found, "family"))
    attributes = dict(_attributes(cursor))
    interface = attributes.get(ATTRIBUTES["interface"], b"")
    sequence, highest, seen = _progress(attributes.get(ATTRIBUTES["replay"]))
    return Seen(
        name.spi,
        name.destination,
        int.from_bytes(interface[:4], byteorder),
        number(found, "carried.octets"),
        number(found, "carried.packets"),
        number(found, "statistics.outside_window") + number(found, "statistics.replayed"),
        number(found, "statistics.not_authentic"),
        sequence,
        highest,
        seen,
    )


def read_policy(body: bytes) -> tuple[PolicyName, int] | None:
    """A policy of an answer, with the number of its interface; None for one that is none of ours: a
    socket's own, or with ends that are no networks. Raises WireError."""
    cursor = Cursor(body)
    found = structure("policy").read(cursor)
    directions = {value: key for key, value in _DIRECTIONS.items()}
    direction = directions.get(number(found, "direction"))
    if direction is None:
        return None
    family = number(found, "selector.family")
    ends = [
        f"{host(found, f'selector.{end}', family)}/{number(found, f'selector.{end}_length')}"
        for end in ("source", "destination")
    ]
    interface = dict(_attributes(cursor)).get(ATTRIBUTES["interface"], b"")
    if not all(map(_is_network, ends)):
        return None
    return PolicyName(direction, *ends), int.from_bytes(interface[:4], byteorder)


def _is_network(end: str) -> bool:
    try:
        ip_network(end)
    except ValueError:  # longer than an address, or an address with a length
        return False
    return True


def read_news(kind: int, body: bytes) -> News | None:
    """What the kernel tells unasked; None for what is of no use here. Raises WireError."""
    cursor = Cursor(body)
    if kind == MESSAGES["expire"]:
        found = structure("expire").read(cursor)
        name = _named(found, "sa.id.", number(found, "sa.family"))
        return Expired(name.spi, name.destination, hard=bool(number(found, "hard")))
    if kind == MESSAGES["mapping"]:
        found = structure("mapping").read(cursor)
        family = number(found, "id.family")
        name = _named(found, "id.", family)
        there = host(found, "new_source", family)
        return Remapped(name.spi, name.destination, there, number(found, "new_port"))
    return None


def _named(found: dict[str, Value], before: str, family: int) -> StateName:
    return StateName(number(found, f"{before}spi"), host(found, f"{before}destination", family))


def _progress(octets: bytes | None) -> tuple[int, int, bytes]:
    if octets is None:
        return 0, 0, b""
    cursor = Cursor(octets)
    head = structure("replay").read(cursor)
    highest = number(head, "highest")
    return number(head, "sequence"), highest, window_of(cursor.rest(), highest)


def _attributes(cursor: Cursor) -> Iterator[tuple[int, bytes]]:
    while cursor.left >= _ATTRIBUTE:
        length = int.from_bytes(cursor.take(2, "attribute length"), byteorder)
        kind = int.from_bytes(cursor.take(2, "attribute type"), byteorder)
        if length < _ATTRIBUTE:
            raise WireError(f"an attribute of {length} octets", offset=cursor.offset)
        yield kind, cursor.octets(length - _ATTRIBUTE, "attribute")
        cursor.take(min(-length % 4, cursor.left), "padding")


def read_error(body: bytes) -> int:
    """The errno of an answer, 0 for none. Raises WireError."""
    found = -number(structure("error").read(Cursor(body)), "number")
    if not 0 <= found <= MOST_ERRNO:
        raise WireError(f"an error of number {found}", offset=0)
    return found
