"""What is fuzzed: every parser of octets or text from outside, as a function of octets.

A target returns for whatever it is given, or it has found a bug: refusals that are documented are
caught here, by their type.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from culvert.cli.replay import again
from culvert.datapath.python_engine import PythonEngine
from culvert.driver.record import Fed, RecordError, entries, head
from culvert.driver.replaying import replay
from culvert.errors import ConfigError, ProtocolError, WireError
from culvert.esp.ipcomp import MOST, NAMES, PROTOCOL, IpComp
from culvert.esp.sa import Refusal
from culvert.eventlog.event import LogEvent
from culvert.gateway.config import examine
from culvert.identity.certificates.certificate import receive
from culvert.identity.certificates.match import match
from culvert.identity.certificates.names import spoken
from culvert.identity.certificates.proof import Claim, prove
from culvert.identity.certificates.reason import Untrusted
from culvert.identity.certificates.revocation import Standing, decide_list, decide_ocsp, sources
from culvert.identity.certificates.rules import Purpose, Rules
from culvert.ike import vendor
from culvert.ike.fragments import PATIENCE, Bounds, Reassembly
from culvert.ike.proposal import choose_esp, choose_ike, compare_esp, compare_ike
from culvert.ike.suite import EspSuite, IkeSuite
from culvert.ike.wire.announcement import ANNOUNCEMENT, Announcement
from culvert.ike.wire.attribute import join, parse_attributes
from culvert.ike.wire.before_ike import BeforeIke, is_one
from culvert.ike.wire.config import ConfigMessage
from culvert.ike.wire.fragment import FRAGMENT, Fragment
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import Delete, Notify
from culvert.ike.wire.payload import ATTRIBUTES, DELETE, ID, NOTIFY, SA, Part
from culvert.ike.wire.proposal import SecurityAssociation
from culvert.ike.wire.reason import DELETE_WITH_REASON, Reason
from culvert.inet import ipv4
from culvert.inet.icmp import too_big
from culvert.inet.mss import clamp
from culvert.inet.packet import whole
from culvert.octets.cursor import Cursor
from culvert.profile.adapters.detect import adapt_any
from culvert.profile.toml import read, write
from culvert.rng import SeededRandom
from culvert.vault.credential import PassphraseNeeded, contents, credential
from datapath.orders import CLIENT, LEASED, SERVER, both_ends
from fuzz import files, insiders, machine, processes, servers
from identity.certificates.authority import NOW, issue
from simulation.target import Target

Fuzzed = Callable[[bytes], None]

IKE_SUITES = (IkeSuite.named("aes256-sha2_256-modp2048"), IkeSuite.named("3des-sha1-modp1024"))
ESP_SUITES = (EspSuite.named("aes256gcm16"), EspSuite.named("aes128-sha1-modp1024"))
KNOWN = issue("Root", ca=True, number=0).certificate
RULES = Rules((KNOWN,), Purpose.CLIENT)
TODAY = NOW

MODES, GROUPS = frozenset((3,)), frozenset((2, 14))


def isakmp(octets: bytes) -> None:
    """Header and chain of a clear message, and every payload that has a parser of its own."""
    try:
        header = parse_header(octets)
        parts = clear_body(octets, header)
    except WireError as error:
        assert 0 <= error.offset <= len(octets)
        return
    again = clear_message(header, parts) if parts else octets
    assert [part.body for part in clear_body(again, parse_header(again))] == [
        part.body for part in parts
    ]
    vendor.features(parts)
    if is_one(octets):
        with suppress(ProtocolError):
            BeforeIke.parse(octets)
    for part in parts:
        try:
            _payload(part)
        except ProtocolError:
            continue


def _payload(part: Part) -> None:
    match part.kind:
        case kind if kind == SA:
            _offer(SecurityAssociation.parse(part))
        case kind if kind == ID:
            identity = Identity.parse(part)
            assert identity.to_bytes() == part.body
            LogEvent("ike.group-unknown", {"group": str(identity), "peer": ""})
            identity.network()
        case kind if kind == NOTIFY:
            notify = Notify.parse(part)
            if notify.kind == ANNOUNCEMENT:
                told = Announcement.parse(notify.data)
                assert Announcement.parse(told.to_bytes()) == told
        case kind if kind == DELETE:
            Delete.parse(part)
        case kind if kind == ATTRIBUTES:
            ConfigMessage.parse(part)
        case kind if kind == DELETE_WITH_REASON:
            Reason.parse(part)
        case _:
            pass


def _offer(offered: SecurityAssociation) -> None:
    choose_ike(offered, IKE_SUITES)
    compare_ike(offered, IKE_SUITES)
    choose_esp(offered, ESP_SUITES, MODES, GROUPS)
    compare_esp(offered, ESP_SUITES, MODES, GROUPS)


def fragments(octets: bytes) -> None:
    """Fragments, each behind its length, from one of four places: bounded, and nothing is made
    that was not sent."""
    cursor = Cursor(octets)
    bounds = Bounds(octets=8_000, per_host=5_000)
    gathering = Reassembly(bounds)
    now = 0.0
    while cursor.left > 2:
        where, size = cursor.u8("where"), cursor.u8("size")
        body = cursor.octets(min(size, cursor.left), "fragment")
        head = Header(b"initiate", bytes(8), FRAGMENT, 4, 0, 0)
        datagram = head.to_bytes(len(body)) + body
        peer = f"192.0.2.{where & 1}", where & 2
        now += where / 64
        gathering.tick(now=now)
        try:
            piece = Fragment.parse(datagram, parse_header(datagram))
        except WireError as error:
            assert 0 <= error.offset <= len(datagram)
            continue
        whole = gathering.take((bytes(16), peer), piece, now=now)
        assert gathering.octets <= bounds.octets
        assert whole is None or piece.octets in whole
    gathering.tick(now=now + PATIENCE)
    assert (gathering.octets, len(gathering)) == (0, 0)


def attributes(octets: bytes) -> None:
    """A list of attributes; what parses is written back as it was."""
    try:
        found = parse_attributes(Cursor(octets))
    except WireError as error:
        assert 0 <= error.offset <= len(octets)
        return
    assert join(found) == octets


def gateway(octets: bytes) -> None:
    """A whole gateway, and a stranger who sends this on both ports."""
    for reaction in Target().throw_both_ways(octets):
        assert sum(map(len, reaction.sent)) <= len(octets) + 200


def inbound(octets: bytes) -> None:
    """Datagrams on the NAT-T port, cut where the octets say, at a plane with a session."""
    plane = PythonEngine(SeededRandom(1))
    order, _ = both_ends()
    plane.install(order)
    plane.activate(1, 1)
    batch = [(piece, CLIENT) for piece in octets.split(b"\xfe\xff\xfe\xff")]
    found = plane.from_network(batch, 0.0)
    assert found.inside == []


def outbound(octets: bytes) -> None:
    """Packets from the machine: anything, and a good one among them still gets through."""
    plane = PythonEngine(SeededRandom(1))
    order, _ = both_ends()
    plane.install(order)
    plane.activate(1, 1)
    good = ipv4.build(17, _host(SERVER), _host(LEASED), bytes(8))
    found = plane.from_tunnel([octets, good], 0.0)
    assert found.bursts


def packets(octets: bytes) -> None:
    """What is done to an inner packet."""
    try:
        packet = whole(octets)
    except WireError:
        return
    assert len(clamp(packet, 1400)) == len(packet)
    for work in (lambda: too_big(packet, 1280), lambda: ipv4.fragments(packet, 576)):
        try:
            work()
        except WireError:
            continue


RECOMPRESSED = 3000  # octets: more would cost the time of many examples


def compressed(octets: bytes) -> None:
    """Compressed payloads of a peer: bounded, and what comes out can be compressed again."""
    for name in sorted(NAMES):
        ends = IpComp(name, 1000, 1000)
        found = ends.unwrap((PROTOCOL, bytes.fromhex("0400 03e8") + octets))
        if isinstance(found, Refusal):
            continue
        assert len(found[1]) <= MOST
        short = found[0], found[1][:RECOMPRESSED]
        assert ends.unwrap(ends.wrap(short)) == short


def profiles(octets: bytes) -> None:
    """A connection profile in any format; one that is taken can be written and read again."""
    try:
        adapted = adapt_any(_text(octets), "", name="fuzz")
    except ConfigError:
        return
    assert read(write(adapted.profile), name="fuzz") == adapted.profile


def records(octets: bytes) -> None:
    """A record file: replayed as far as it makes sense, refused with its line where it does not."""
    lines = octets.split(b"\n")
    fed = Fed()
    with suppress(RecordError):
        core, commands = again(head(lines[0]), fed)
        replay(core, fed, entries(lines[1:]), commands, lambda _: None)


def configurations(octets: bytes) -> None:
    """The gateway's configuration file."""
    found = examine(_text(octets), "gateway.toml")
    assert (found.config is None) == bool(found.problems)


def certificates(octets: bytes) -> None:
    """What a peer sends to prove itself: read or refused in words, and never accepted."""
    identity = Identity(octets[0] % 14 if octets else 0, octets[1:200])
    spoken(identity)
    for payloads in ((octets,), (octets[1:], KNOWN.der)):
        try:
            found = receive(payloads)
            for one in found.certificates:
                match(identity, one)
                sources(one, KNOWN)
                decide_list(octets, one, KNOWN, at=TODAY)
            prove(Claim(payloads, identity, bytes(20), octets[-256:]), RULES, at=TODAY)
        except Untrusted as error:
            assert error.sentence
            continue
        raise AssertionError("nobody signed, and it was accepted")


def answers(octets: bytes) -> None:
    """What a revocation service says: nothing that is not signed is believed."""
    for decide in (decide_list, decide_ocsp):
        status = decide(octets, KNOWN, KNOWN, at=TODAY)
        assert status.standing is Standing.UNKNOWN
        assert status.why


def key_files(octets: bytes) -> None:
    """A file with a certificate or key, of any form."""
    try:
        found = contents(octets)
        credential("fuzz", found)
    except (ConfigError, PassphraseNeeded):
        return


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _host(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


TARGETS: dict[str, Fuzzed] = {
    target.__name__: target
    for target in (
        isakmp,
        fragments,
        attributes,
        gateway,
        insiders.client,
        insiders.at_gateway,
        insiders.at_client,
        inbound,
        outbound,
        packets,
        compressed,
        profiles,
        records,
        configurations,
        certificates,
        answers,
        key_files,
        servers.replies,
        servers.captures,
        machine.kernel,
        machine.stream,
        machine.super_packets,
        processes.requests,
        processes.workers,
        processes.orders,
        processes.neighbours,
        processes.handed,
        files.undo_logs,
        files.event_files,
        files.logs,
        files.small_files,
    )
}
