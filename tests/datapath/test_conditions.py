"""What a path, a peer and a machine may do to packets: each by every engine, with every suite.

`tests/datapath/gateway.py` says what the gateway is. `make xfrm` runs the kernel's share.
"""

from __future__ import annotations

import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from culvert.inet import icmp, ipv4
from culvert.inet.checksum import checksum
from datapath.gateway import DEVICE, ENGINES, IPV6_TCLASS, Carried, Gateway, Kind, Session, gateway
from datapath.orders import fragmentable
from datapath.segments import VNET, summed
from netio.namespaces import inside, ip
from requirements.plugin import FIGURES

pytestmark = [pytest.mark.root, pytest.mark.timeout(600)]

KINDS = [
    *(Kind(engine, carriage=way) for engine in ENGINES for way in ("udp4", "udp6", "esp4")),
    *(Kind(engine, virtio=False) for engine in ENGINES if engine != "xfrm"),
]
JUMBO = [
    *(
        Kind(engine, carriage=way, mtu=9000)
        for engine in ENGINES
        for way in ("udp4", "udp6", "esp4")
    ),
    *(Kind(engine, virtio=False, mtu=9000) for engine in ENGINES if engine != "xfrm"),
]
COUNT = 9
VERSIONS = (4, 6)
EMULATED = (
    *(("aes-cbc", 16, "hmac-sha1-96"), ("aes-cbc", 32, "hmac-sha2-256-128")),
    *(("3des-cbc", 24, "hmac-md5-96"), ("null", 0, "hmac-sha1-96"), ("aes-gcm-16", 16, "")),
)
"""The kernel's IPsec runs on an emulated processor mostly: each cipher there, and all suites in
`test_every_suite_carries_both_families_both_ways`."""

PACKET_VNET_HDR, SOL_PACKET = 15, 263  # <linux/if_packet.h>
IP_MTU_DISCOVER, IP_PMTUDISC_DO, IP_MTU = 10, 2, 14  # <linux/in.h>
IPV6_MTU_DISCOVER, IPV6_MTU = 23, 24  # <linux/in6.h>
MOST_RESIDENT = 48 << 20
"""Octets by which a flood may make the process grow: what waits is in bounded buffers."""


@pytest.fixture(scope="module", params=KINDS, ids=str)
def on(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(request.param) as standing:
        yield standing


@pytest.fixture(autouse=True)
def told(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[None]:
    """What the kernel's IPsec has shown is written down with the kernel that it was."""
    failed = request.session.testsfailed
    yield
    if "xfrm" in request.node.name and request.session.testsfailed == failed:
        record_property(FIGURES, f"passed on Linux {os.uname().release}")


Way = Callable[[Session, list[bytes]], list[bytes]]


def numbered(count: int = COUNT) -> list[bytes]:
    return [b"%d " % number * (1 + number * 9) for number in range(count)]


def through(on: Gateway, session: Session, version: int, way: Way) -> list[bytes]:
    """What of these arrives, after the way has done to their datagrams what it does."""
    datagrams = [session.seal(session.flow(version).udp(one)) for one in numbered()]
    on.send(way(session, datagrams))
    return payloads(on.arrived(session, version))


def payloads(found: list[Carried]) -> list[bytes]:
    return [octets for octets, _ in found]


def back(on: Gateway, session: Session, version: int) -> None:
    """And answers come back, in order."""
    on.answer(session, numbered(), version)
    header = 28 if version == 4 else 48
    assert [one[header:] for one, _ in on.answered(COUNT)] == numbered()


def each(on: Gateway) -> Iterator[tuple[Session, int]]:
    for session in on.sessions:
        if on.kind.engine != "xfrm" or session.suite in EMULATED:
            for version in VERSIONS:
                yield session, version


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    found = {reason: count - before.get(reason, 0) for reason, count in after.items()}
    return {reason: count for reason, count in found.items() if count}


def test_every_suite_carries_both_families_both_ways(on: Gateway) -> None:
    for session in on.sessions:
        before = on.dropped(session)
        for version in VERSIONS:
            assert through(on, session, version, lambda _, sent: sent) == numbered()
            back(on, session, version)
        assert on.dropped(session) == before


# --- the path ----------------------------------------------------------------------------------


def test_what_is_lost_is_lost_and_nothing_else(on: Gateway) -> None:
    for session, version in each(on):
        before = on.dropped(session)
        got = through(on, session, version, lambda _, sent: [*sent[::3], *sent[1::3]])
        assert got == [*numbered()[::3], *numbered()[1::3]]
        back(on, session, version)
        assert on.dropped(session) == before


def test_what_comes_in_another_order_is_taken_in_that_order(on: Gateway) -> None:
    for session, version in each(on):
        order = random.Random(session.number).sample(range(COUNT), COUNT)
        before = on.dropped(session)
        got = through(on, session, version, lambda _, sent, by=order: [sent[at] for at in by])
        assert got == [numbered()[at] for at in order]
        back(on, session, version)
        assert on.dropped(session) == before


def test_what_comes_twice_enters_once(on: Gateway) -> None:
    for session, version in each(on):
        before = on.dropped(session)
        got = through(
            on, session, version, lambda _, sent: [one for two in sent for one in (two, two)]
        )
        assert got == numbered()
        assert more(before, on.dropped(session)) == {"replayed": COUNT}


def test_a_wrong_icv_is_refused_and_its_number_is_not_used_up(on: Gateway) -> None:
    def spoilt(_: Session, sent: list[bytes]) -> list[bytes]:
        wrong = [
            one[: -1 - at] + bytes([one[-1 - at] ^ 1 << at % 8]) + one[len(one) - at :]
            for at, one in enumerate(sent)
        ]
        return [one for two in zip(wrong, sent, strict=True) for one in two]

    for session, version in each(on):
        before = on.dropped(session)
        assert through(on, session, version, spoilt) == numbered()
        assert more(before, on.dropped(session)) == {"not-authentic": COUNT}


def test_what_was_recorded_is_refused_however_late_it_comes(on: Gateway) -> None:
    for session, version in each(on):
        recorded: list[bytes] = []
        before = on.dropped(session)
        through(on, session, version, lambda _, sent, kept=recorded: kept.extend(sent) or sent)
        assert (
            through(on, session, version, lambda _, sent, old=recorded: [*old, *sent, *old])
            == numbered()
        )
        session.next += 2000  # further than the window is wide
        assert (
            through(on, session, version, lambda _, sent, old=recorded: [*sent, *old]) == numbered()
        )
        assert more(before, on.dropped(session)) == {"replayed": 3 * COUNT}
        back(on, session, version)


def test_outer_fragments_are_put_together_on_the_way_in(on: Gateway) -> None:
    made = on.fragments_made()
    large = [bytes([number]) * 2900 for number in range(4)]
    for session, version in each(on):
        on.send([session.seal(session.flow(version).udp(one)) for one in large])
        assert payloads(on.arrived(session, version)) == large
    assert on.fragments_made() >= made + 4 * len(list(each(on)))


def test_inner_fragments_pass_both_ways_and_make_the_same_packet(on: Gateway) -> None:
    payload = bytes(range(250)) * 12
    for session, version in each(on):
        packet = session.flow(version).udp(payload)
        pieces = cut6(packet) if version == 6 else ipv4.fragments(fragmentable(packet), 1000)
        assert len(pieces) == 4
        on.send([session.seal(one) for one in reversed(pieces)])
        assert payloads(on.arrived(session, version)) == [payload]
        server = on.servers[version]
        if version == 4:
            server.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)
        on.answer(session, [payload], version)
        assert joined([one for one, _ in on.answered(3)]) == payload


def cut6(packet: bytes) -> list[bytes]:
    """An IPv6 packet in fragments, 1000 octets of payload each (RFC 8200 §4.5)."""
    body, found = packet[40:], list[bytes]()
    for at in range(0, len(body), 1000):
        piece = body[at : at + 1000]
        word = at | (at + 1000 < len(body))
        head = packet[:4] + (8 + len(piece)).to_bytes(2, "big") + b"\x2c" + packet[7:40]
        found.append(head + bytes((packet[6], 0)) + struct.pack(">HI", word, 77) + piece)
    return found


def joined(pieces: list[bytes]) -> bytes:
    """The payload of the UDP packet that these are."""
    parts: dict[int, bytes] = {}
    for one in pieces:
        if one[0] >> 4 == 4:
            parts[(int.from_bytes(one[6:8], "big") & 0x1FFF) * 8] = one[20:]
        else:
            assert one[6] == 44
            parts[int.from_bytes(one[42:44], "big") & 0xFFF8] = one[48:]
    return b"".join(parts[at] for at in sorted(parts))[8:]


# --- the peer ----------------------------------------------------------------------------------


def test_a_payload_of_no_octets_passes_both_ways(on: Gateway) -> None:
    for session, version in each(on):
        on.send([session.seal(session.flow(version).udp(b"")) for _ in range(3)])
        assert payloads(on.arrived(session, version)) == [b""] * 3
        on.answer(session, [b"", b"x", b""], version)
        header = 28 if version == 4 else 48
        assert [one[header:] for one, _ in on.answered(3)] == [b"", b"x", b""]


def test_esp_without_a_packet_in_it_is_dropped_without_harm(on: Gateway) -> None:
    """Nothing but padding; traffic-flow padding, next header 59 (RFC 4303 §2.6); and datagrams too
    short for anything."""
    for session, version in each(on):
        whole = session.flow(version).udp(b"not for you")
        odd = [
            session.seal(b"", protocol, least=least)
            for protocol in (4, 41, 59)
            for least in (0, 40)
        ]
        odd += [session.seal(whole, 59), session.seal(bytes(1200), 59)]
        before = on.dropped(session)
        on.send([*odd, *(bytes(count) for count in ((5, 8) if on.kind.bare else (0, 5, 8)))])
        assert through(on, session, version, lambda _, sent: sent) == numbered()
        if on.kind.engine != "xfrm":  # where only the kernel's own counters tell
            assert sum(more(before, on.dropped(session)).values()) == len(odd)


def test_what_is_no_packet_inside_goes_no_further(on: Gateway) -> None:
    """Authentic all of it."""
    for session, version in each(on):
        whole = session.flow(version).udp(b"question")
        start = 20 if version == 4 else 40
        odd = [
            b"\0",
            bytes(40),
            whole[: start - 1],
            whole[:start],
            bytes([whole[0] & 0xF0 | 1 if version == 4 else 0x10]) + whole[1:],
            bytes([0x4F]) + whole[1:22],
            bytes([0x50]) + whole[1:],
            b"\xff" * 60,
            longer(whole, 400),
            longer(whole, 65_000),
            wrong_sum(whole),
        ]
        protocol = 4 if version == 4 else 41
        on.send([session.seal(one, protocol) for one in odd])
        on.send([session.seal(whole, 41 if version == 4 else 4)])  # said to be the other one
        got = through(on, session, version, lambda _, sent: sent)
        # vpnc says IPv4 of every packet, so that user space believes the packet itself.
        assert [one for one in got if one != b"question"] == numbered()
        assert got.count(b"question") <= 1
        back(on, session, version)


def longer(packet: bytes, count: int) -> bytes:
    """It says to be longer than it is."""
    made = bytearray(packet)
    at = 2 if packet[0] >> 4 == 4 else 4
    made[at : at + 2] = count.to_bytes(2, "big")
    if packet[0] >> 4 == 4:
        made[10:12] = b"\0\0"
        made[10:12] = checksum(made[:20]).to_bytes(2, "big")
    return bytes(made)


def wrong_sum(packet: bytes) -> bytes:
    """Of the IPv4 header; IPv6 has none, so that of the payload."""
    at = 10 if packet[0] >> 4 == 4 else 46
    return packet[:at] + bytes([packet[at] ^ 0x55]) + packet[at + 1 :]


# --- the machine -------------------------------------------------------------------------------


def test_what_a_program_of_this_machine_writes_to_the_device_harms_nothing(on: Gateway) -> None:
    """Broken packets, and broken virtio headers as far as the kernel lets them pass."""
    session = on.sessions[0]
    chance = random.Random(5)
    flow = session.flow(4)
    down = flow.__class__(flow.destination, flow.source).tcp(bytes(3000))
    for framed in (False, True):
        with opened(on, framed=framed) as raw:
            for number in range(200):
                packet = bytearray(down[: chance.choice((1, 19, 20, 39, 40, 100, len(down)))])
                for _ in range(chance.randrange(4)):
                    packet[chance.randrange(min(60, len(packet)))] = chance.randrange(256)
                front = b""
                if framed:
                    front = VNET.pack(
                        chance.choice((0, 1, 1, 2)),
                        chance.choice((0, 1, 1, 3, 4, 5, 0x81)),
                        chance.choice((0, 14, 40, 54, 9000)),
                        chance.choice((0, 1, 100, 1000, 65535)),
                        chance.choice((0, 20, 34, 60, 3000)),
                        chance.choice((0, 6, 16, 3000)),
                    )
                with suppress(OSError):
                    raw.send(front + packet)
                if number % 20 == 0:
                    on.until(lambda: True)
    for session in (on.sessions[0], on.sessions[-1]):
        for version in VERSIONS:
            assert through(on, session, version, lambda _, sent: sent) == numbered()
    on.until(lambda: False, seconds=0.1)
    while on.cable.read_batch():
        pass
    for version in VERSIONS:
        back(on, on.sessions[-1], version)


def opened(on: Gateway, *, framed: bool) -> socket.socket:
    with inside(on.near):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    if framed:
        raw.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    raw.bind((DEVICE, 0x0800))
    raw.setblocking(False)
    return raw


# --- order, marks, sizes, floods ---------------------------------------------------------------


def test_a_long_run_keeps_its_order_both_ways(on: Gateway) -> None:
    run = [b"%d" % number * (1 + number % 300) for number in range(300)]
    for session in (on.sessions[0], on.sessions[-1]):
        for version in VERSIONS:
            on.send([session.seal(session.flow(version).udp(one)) for one in run])
            assert payloads(on.arrived(session, version)) == run
            on.answer(session, run, version)
            header = 28 if version == 4 else 48
            assert [one[header:] for one, _ in on.answered(len(run))] == run


def test_marks_go_in_and_come_out(on: Gateway) -> None:
    """DSCP and ECN outwards; inwards what a router marked, and nothing else of the outside."""
    urgent, capable, congested = 0xB8, 2, 3
    for session in (on.sessions[0], on.sessions[-1]):
        for version in VERSIONS:
            server = on.servers[version]
            for mark in (0, urgent | capable, urgent, 0):
                if version == 4:
                    server.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, mark)
                else:
                    server.setsockopt(socket.IPPROTO_IPV6, IPV6_TCLASS, mark)
                on.answer(session, [b"marked"], version)
                assert [outer for _, outer in on.answered(1)] == [mark]
            inwards = [(capable, 0, capable), (capable, congested, congested)]
            inwards += [(urgent, 0, urgent), (0, urgent, 0), (congested, capable, congested)]
            for inner, outer, seen in inwards:
                packet = with_mark(session.flow(version).udp(b"marked"), inner)
                on.send([session.seal(packet)], outer)
                assert on.arrived(session, version) == [(b"marked", seen)]
            # What cannot carry the mark is dropped (RFC 6040 §4.2), which Linux does not do.
            before = on.dropped(session)
            on.send([session.seal(session.flow(version).udp(b"unmarked"))], congested)
            kernels = on.kind.engine == "xfrm"
            assert on.arrived(session, version) == ([(b"unmarked", 0)] if kernels else [])
            assert more(before, on.dropped(session)) == ({} if kernels else {"congested": 1})


def with_mark(packet: bytes, mark: int) -> bytes:
    if packet[0] >> 4 == 4:
        return summed(packet[:1] + bytes([mark]) + packet[2:])
    return bytes((0x60 | mark >> 4, mark << 4 & 0xF0)) + packet[2:]


def test_who_sends_what_does_not_fit_is_told_what_fits(on: Gateway) -> None:
    """And what then fits passes in one piece."""
    on_link = ("-n", on.near, "link", "set", DEVICE, "mtu")
    session = on.sessions[-1]
    ip(*on_link, "1500")
    made = on.fragments_made()
    try:
        for version in VERSIONS:
            with inside(on.near):
                asked = strict(version, session.leased[version])
            with asked:
                fits = learnt(on, asked, version, 1490)
                assert 1280 <= fits < 1480
                asked.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)  # it has been told
                header = 28 if version == 4 else 48
                asked.send(bytes(fits - header))
                ((packet, _),) = on.answered(1)
                assert len(packet) == fits
                # A router behind the tunnel tells, through it, of a narrower way.
                narrower = icmp.too_big(packet, 1300)
                assert narrower is not None
                on.send([session.seal(narrower)])
                on.arrived(session, version)
                with suppress(OSError):
                    asked.send(bytes(fits - header))
                assert mtu_of(asked, version) == 1300
    finally:
        ip(*on_link, str(on.kind.inner))
    assert on.fragments_made() == made


def strict(version: int, host: str) -> socket.socket:
    """It never cuts what it sends."""
    asked = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_DGRAM)
    if version == 4:
        asked.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
    else:
        asked.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, IP_PMTUDISC_DO)
    asked.connect((host, 9))
    return asked


def mtu_of(asked: socket.socket, version: int) -> int:
    if version == 4:
        return asked.getsockopt(socket.IPPROTO_IP, IP_MTU)
    return asked.getsockopt(socket.IPPROTO_IPV6, IPV6_MTU)


def learnt(on: Gateway, asked: socket.socket, version: int, octets: int) -> int:
    """The MTU after a packet of so many octets was sent."""

    def smaller() -> bool:
        with suppress(OSError):
            asked.send(bytes(octets - 48))
        return mtu_of(asked, version) < octets

    assert on.until(smaller)
    return mtu_of(asked, version)


@pytest.fixture(scope="module", params=JUMBO, ids=str)
def roomy(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(request.param) as standing:
        yield standing


def test_jumbo_packets_pass_in_one_piece_both_ways(roomy: Gateway) -> None:
    """As long as the device inside takes, over a cable of 9000 octets."""
    for session, version in each(roomy):
        header = 28 if version == 4 else 48
        sent = [bytes([number]) * (roomy.kind.inner - header) for number in range(5)]
        roomy.send([session.seal(session.flow(version).udp(one)) for one in sent])
        assert payloads(roomy.arrived(session, version)) == sent
        roomy.answer(session, sent, version)
        assert [one[header:] for one, _ in roomy.answered(len(sent))] == sent
    assert roomy.fragments_made() == 0


def test_a_flood_waits_in_bounded_buffers_and_the_tunnel_outlives_it(on: Gateway) -> None:
    """The gateway is away while it comes: what has no room is lost, what has is in order."""
    session = on.sessions[-1]
    count = 3000
    sealed = [session.seal(session.flow(4).udp(b"%06d" % n + bytes(1300))) for n in range(count)]
    before = resident()
    for _ in range(3):
        on.send(sealed)
        on.answer(session, [b"%06d" % n + bytes(1200) for n in range(count)])
    found = payloads(on.arrived(session))
    numbers = [int(one[:6]) for one in found]
    assert numbers == sorted(set(numbers))
    assert len(numbers) > 100
    back = [int(one[28:34]) for one, _ in on.answered(1)]
    assert back == sorted(back)
    assert resident() - before < MOST_RESIDENT
    on.until(lambda: not on.cable.read_batch())
    assert through(on, session, 4, lambda _, sent: sent) == numbered()


def resident() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))
