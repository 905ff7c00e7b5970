"""Whatever comes in is taken, or refused and counted; nothing else, and nobody is hurt."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from culvert.ike.wire.header import AGGRESSIVE, NO_COOKIE, OCTETS
from simulation.ends import ClientEnd, End
from simulation.meddler import Meddler, with_length
from simulation.plugin import examples
from simulation.target import STRANGER, Target, first_message
from simulation.world import World

BLOCK = 16  # octets of the cipher
LARGEST = 65_507  # octets of a UDP datagram over IPv4
SEED = 1

RECORDING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "ikev1.json").read_text()
)
RECORDED = tuple(
    bytes.fromhex(datagram["udp_payload"]).removeprefix(bytes(4))
    for session in RECORDING["sessions"]
    for datagram in session["datagrams"]
)

Pick = Callable[[World, ClientEnd], End]


def at_gateway(world: World, _: ClientEnd) -> End:
    return world.gateway


def at_client(_: World, client: ClientEnd) -> End:
    return client


EITHER_END = pytest.mark.parametrize("pick", [at_gateway, at_client])


def a_whole_life(world: World, client: ClientEnd) -> None:
    """Up, a packet each way, down, and nothing left."""
    client.connect()
    assert world.decided(client)
    assert client.up, client.reason
    assert world.passes_both_ways(client, within=1.0)
    world.run(70.0)  # with questions whether the other end lives
    assert client.up
    client.disconnect()
    world.run(300.0)
    assert world.left_over() == []


# --- from who sits on the wire -----------------------------------------------------------------


@EITHER_END
def test_messages_cut_at_every_length_are_refused_and_hurt_nobody(pick: Pick) -> None:
    world = World(SEED)
    client = world.client(behind=world.nat)

    def cuts(octets: bytes) -> Iterator[bytes]:
        for length in range(len(octets)):
            yield octets[:length]
            if length >= OCTETS:
                yield with_length(octets[:length])

    with world.shown_if_wrong():
        meddler = Meddler(pick(world, client), cuts)
        a_whole_life(world, client)
        assert meddler.thrown > 1500
        assert meddler.wrongly_taken == []


@EITHER_END
def test_messages_with_a_flipped_bit_are_refused_and_hurt_nobody(pick: Pick) -> None:
    """Aggressive mode is left out: nothing in it tells a flipped bit from a meant one before
    it is over (RFC 2409 §5.4), and so is the last block: nothing protects padding."""
    world = World(SEED)
    client = world.client(behind=world.nat)

    def flips(octets: bytes) -> Iterator[bytes]:
        if octets[18] == AGGRESSIVE:
            return
        for at in range(len(octets) - BLOCK):
            for bit in range(8):
                # The lower nibble of the version and the reserved flags mean nothing.
                if at not in (17, 19):
                    flipped = bytearray(octets)
                    flipped[at] ^= 1 << bit
                    yield bytes(flipped)

    with world.shown_if_wrong():
        meddler = Meddler(pick(world, client), flips)
        a_whole_life(world, client)
        assert meddler.thrown > 2000
        assert meddler.wrongly_taken == []


@EITHER_END
def test_random_octets_behind_a_genuine_header_are_refused_and_hurt_nobody(pick: Pick) -> None:
    world = World(SEED)
    client = world.client(behind=world.nat)
    chance = random.Random(SEED)

    def noise(octets: bytes) -> Iterator[bytes]:
        if octets[8:16] == NO_COOKIE:
            return  # a first message with this cookie and from there would be one
        for _ in range(200):
            count = chance.choice((0, 8, 16, 40, 64, 100, 160, 1000))
            yield with_length(octets[:OCTETS] + chance.randbytes(count))

    with world.shown_if_wrong():
        meddler = Meddler(pick(world, client), noise)
        a_whole_life(world, client)
        assert meddler.thrown > 1000
        assert meddler.wrongly_taken == []


@EITHER_END
def test_every_exchange_payload_and_flag_behind_genuine_cookies_hurts_nobody(pick: Pick) -> None:
    world = World(SEED)
    client = world.client(behind=world.nat)

    def heads(octets: bytes) -> Iterator[bytes]:
        if octets[8:16] == NO_COOKIE or octets[18] == AGGRESSIVE:
            return
        for at in (16, 17, 18, 19):
            for value in range(256):
                changed = bytearray(octets)
                changed[at] = value
                changed[20:24] = b"\xde\xad\xbe\xef"  # not the exchange that is going on
                yield bytes(changed)

    with world.shown_if_wrong():
        meddler = Meddler(pick(world, client), heads)
        a_whole_life(world, client)
        assert meddler.thrown > 4000
        assert meddler.wrongly_taken == []


# --- from strangers ----------------------------------------------------------------------------


@examples(100)
@given(st.binary(max_size=3000))
def test_random_octets_are_refused_or_dropped(octets: bytes) -> None:
    target = Target()
    for reaction in target.throw_both_ways(octets):
        assert reaction.sent == ()
        assert reaction.opened == 0


@pytest.mark.parametrize(
    "octets", [bytes(LARGEST), b"\xff" * LARGEST, random.Random(1).randbytes(LARGEST)]
)
def test_the_largest_datagram_is_refused(octets: bytes) -> None:
    target = Target()
    for reaction in (target.throw(octets), target.throw(octets, port=4500)):
        assert reaction.sent == ()
        assert reaction.opened == 0


mutations = st.lists(
    st.tuples(
        st.sampled_from(("flip", "set", "cut", "insert", "repeat")),
        st.integers(0, LARGEST),
        st.integers(0, 255),
    ),
    max_size=6,
)


def mutated(octets: bytes, changes: list[tuple[str, int, int]]) -> bytes:
    made = bytearray(octets)
    for what, place, value in changes:
        at = place % (len(made) + 1)
        match what:
            case "flip" if at < len(made):
                made[at] ^= value
            case "set" if at < len(made):
                made[at] = value
            case "cut":
                del made[at : at + value]
            case "insert":
                made[at:at] = bytes([value]) * value
            case "repeat":
                made[at:at] = made[max(at - value, 0) : at]
            case _:
                pass
    return bytes(made[:LARGEST])


@examples(100)
@given(st.sampled_from(RECORDED), mutations, st.booleans())
def test_recorded_messages_however_changed_never_do_harm(
    octets: bytes, changes: list[tuple[str, int, int]], fitting: bool
) -> None:
    target = Target()
    changed = mutated(octets, changes)
    if fitting and len(changed) >= OCTETS:
        changed = with_length(changed)
    for reaction in target.throw_both_ways(changed):
        assert len(reaction.sent) <= 1
        assert all(len(answer) <= len(changed) + 200 for answer in reaction.sent)
        assert reaction.opened <= 1
        if reaction.opened == 0 and not reaction.sent:
            assert reaction.refused.total() <= 1
    target.world.run(40.0)
    assert target.world.left_over() == []


@given(mutations, st.booleans())
@examples(300)
def test_first_messages_however_changed_are_answered_only_if_they_are_sound(
    changes: list[tuple[str, int, int]], fitting: bool
) -> None:
    target = Target()
    changed = mutated(first_message(), changes)
    if fitting and len(changed) >= OCTETS:
        changed = with_length(changed)
    reaction = target.throw(changed)
    if reaction.sent:
        assert is_sound(changed)
    else:
        assert reaction.refused.total() == 1
        assert reaction.opened == 0


def is_sound(octets: bytes) -> bool:
    """Read anew, without the product's parser: header, chain and lengths fit each other."""
    length = int.from_bytes(octets[24:28], "big")
    if not OCTETS <= length <= len(octets) or octets[17] >> 4 != 1:
        return False
    kind, at = octets[16], OCTETS
    kinds: list[int] = []
    while kind:
        size = int.from_bytes(octets[at + 2 : at + 4], "big")
        if size < 4 or at + size > length:
            return False
        kinds.append(kind)
        kind, at = octets[at], at + size
    return 1 in kinds


# --- chains ------------------------------------------------------------------------------------


def chain(first: int, payloads: bytes) -> bytes:
    head = b"stranger" + NO_COOKIE + bytes((first, 0x10, AGGRESSIVE, 0)) + bytes(8)
    return with_length(head + payloads)


LOOPS = {
    "a length of zero": chain(1, b"\x01\x00\x00\x00"),
    "a length below its own header": chain(1, b"\x01\x00\x00\x03"),
    "a length past the end": chain(1, b"\x00\x00\xff\xff"),
    "sixteen thousand payloads": chain(13, b"\x0d\x00\x00\x04" * 16_369),
    "vendor ids without an end": chain(13, b"\x0d\x00\x00\x04" * 60),
    "the same payload ever again": chain(1, (b"\x01\x00\x00\x0c" + bytes(8)) * 60),
    "SA inside SA inside SA": chain(
        1,
        b"\x00\x00\x00\x24\0\0\0\1\0\0\0\1"
        + b"\x01\x00\x00\x18\0\0\0\1\0\0\0\1\x01\x00\x00\x0c"
        + bytes(8),
    ),
    "proposals without transforms": chain(
        1, b"\x00\x00\x00\x14\0\0\0\1\0\0\0\1" + b"\x00\x00\x00\x08\1\1\0\0"
    ),
    "transforms that loop": chain(
        1,
        b"\x00\x00\x00\x1c\0\0\0\1\0\0\0\1"
        + b"\x00\x00\x00\x10\1\1\0\1"
        + b"\x03\x00\x00\x00\1\1\0\0",
    ),
    "an attribute longer than its transform": chain(
        1,
        b"\x00\x00\x00\x20\0\0\0\1\0\0\0\1"
        + b"\x00\x00\x00\x14\1\1\0\1"
        + b"\x00\x00\x00\x0c\1\1\0\0\x00\x01\xff\xff",
    ),
    "nothing at all": chain(0, b""),
}


@pytest.mark.parametrize("name", LOOPS)
def test_chains_that_loop_or_nest_are_refused_at_once(name: str) -> None:
    target = Target()
    reaction = target.throw(LOOPS[name])
    assert reaction.sent == ()
    assert reaction.opened == 0
    assert reaction.refused.total() == 1


def test_every_kind_of_refusal_is_counted_and_told_once_a_second() -> None:
    target = Target()
    for _ in range(1000):
        target.throw(LOOPS["a length of zero"], STRANGER)
    assert target.gateway.core.refused_datagrams == {"malformed": 1000}
    told = target.gateway.told("ike.datagram-refused")
    assert [event.fields["count"] for event in told] == [1]
    target.world.run(1.0)
    target.throw(LOOPS["a length of zero"], STRANGER)
    assert [e.fields["count"] for e in target.gateway.told("ike.datagram-refused")] == [1, 1000]
