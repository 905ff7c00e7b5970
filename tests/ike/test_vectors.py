"""Two recorded connections between vpnc and strongSwan: every datagram and every derived value.

``tests/vectors/ikev1.json`` holds them with all secrets (throw-away lab values). ESP datagrams are
opened in ``tests/esp``; here they only count as not ours to parse.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from culvert.identity.certificates.certificate import read
from culvert.identity.certificates.signature import verified
from culvert.ike.exchanged import Exchanged
from culvert.ike.keys import (
    Phase1Keys,
    exchange_hash,
    hash_i,
    hash_r,
    keymat,
    phase1_keys,
    quick_hash_3,
    skeyid_from_psk,
)
from culvert.ike.proposal import choose_ike
from culvert.ike.script import AGGRESSIVE
from culvert.ike.sealing import Sealing
from culvert.ike.suite import IkeSuite
from culvert.ike.wire.certificate import certificates
from culvert.ike.wire.config import ConfigMessage
from culvert.ike.wire.header import Header
from culvert.ike.wire.identity import Identity
from culvert.ike.wire.message import clear_body, clear_message, parse_header
from culvert.ike.wire.notify import Delete, Notify
from culvert.ike.wire.payload import (
    ATTRIBUTES,
    DELETE,
    HASH,
    ID,
    KE,
    NONCE,
    NOTIFY,
    SA,
    SIG,
    Chain,
    join_chain,
    must,
    one,
)
from culvert.ike.wire.proposal import SecurityAssociation

RECORDING: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "vectors" / "ikev1.json").read_text()
)
SESSIONS: list[dict[str, Any]] = RECORDING["sessions"]
MARKER = bytes(4)


@dataclass
class Counts:
    parsed: int = 0
    decrypted: int = 0
    encoded_again: int = 0
    hashes: int = 0
    esp: int = 0


def suite() -> IkeSuite:
    return IkeSuite.named("aes256-sha1-modp1024")


def public_values(session: dict[str, Any]) -> tuple[bytes, bytes]:
    messages = [bytes.fromhex(d["udp_payload"]) for d in session["datagrams"][:2]]
    bodies = [one(clear_body(m, parse_header(m)), KE) for m in messages]
    assert bodies[0] is not None and bodies[1] is not None
    return bodies[0].body, bodies[1].body


def keys_of(session: dict[str, Any]) -> Phase1Keys:
    """From exchanged values alone, SKEYID included where the method lets us."""
    nonces = bytes.fromhex(session["ni_b"]), bytes.fromhex(session["nr_b"])
    shared = bytes.fromhex(session["g_xy"])
    cookies = bytes.fromhex(session["cky_i"] + session["cky_r"])
    if session["auth"] == "psk":
        skeyid = skeyid_from_psk("sha1", session["psk"].encode(), *nonces)
    else:
        skeyid = skeyid_from_psk("sha1", nonces[0] + nonces[1], shared, b"")
    return phase1_keys(suite(), skeyid, shared, cookies, *public_values(session))


@pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s["name"])
def test_every_derived_value_is_reproduced(session: dict[str, Any]) -> None:
    keys = keys_of(session)
    public = public_values(session)
    cookies = bytes.fromhex(session["cky_i"] + session["cky_r"])
    sa, id_i, id_r = (bytes.fromhex(session[k]) for k in ("sai_b", "idii_b", "idir_b"))
    made = {
        "skeyid": keys.skeyid,
        "skeyid_d": keys.skeyid_d,
        "skeyid_a": keys.skeyid_a,
        "skeyid_e": keys.skeyid_e,
        "ka": keys.cipher_key,
        "iv0": keys.first_iv,
        "hash_i": hash_i(keys, *public, cookies, sa, id_i),
        "hash_r": hash_r(keys, *public, cookies, sa, id_r),
    }
    nonces = bytes.fromhex(session["qm_ni"]), bytes.fromhex(session["qm_nr"])
    for name, spi in (("keymat_to_initiator", "spi_i"), ("keymat_to_responder", "spi_r")):
        wanted = bytes.fromhex(session[name])
        made[name] = keymat(keys, len(wanted), 3, bytes.fromhex(session[spi]), *nonces)
    assert {name: value.hex() for name, value in made.items()} == {
        name: session[name] for name in made
    }


def hybrid_answer() -> tuple[dict[str, Any], Chain]:
    """The recording with hybrid authentication, and the gateway's message 2 in it."""
    (session,) = [one for one in SESSIONS if one["auth"] == "hybrid"]
    octets = bytes.fromhex(session["datagrams"][1]["udp_payload"])
    return session, clear_body(octets, parse_header(octets))


def test_the_recorded_signature_is_over_our_hash_and_over_nothing_else() -> None:
    session, parts = hybrid_answer()
    AGGRESSIVE[1].check(parts)
    (der,) = certificates(parts)
    key = read(der).rsa_key
    assert key is not None
    signature = must(parts, SIG).body
    digest = bytes.fromhex(session["hash_r"])
    assert verified(key, digest, signature)
    for wrong in (bytes.fromhex(session["hash_i"]), digest[:-1], digest + b"\0", digest[::-1]):
        assert not verified(key, wrong, signature)
    for cut in (signature[:-1], signature + b"\0", bytes(len(signature)), b""):
        assert not verified(key, digest, cut)


def test_the_recorded_suite_is_hybrid_and_its_keys_follow_from_what_was_exchanged() -> None:
    session, parts = hybrid_answer()
    hybrid = IkeSuite.named("aes256-sha1-modp1024", "hybrid")
    chosen = choose_ike(SecurityAssociation.parse(must(parts, SA)), [hybrid])
    assert chosen is not None
    made = Exchanged()
    made.cookies = bytes.fromhex(session["cky_i"] + session["cky_r"])
    made.nonce_i, made.nonce_r = (bytes.fromhex(session[name]) for name in ("ni_b", "nr_b"))
    made.public_i, made.public_r = public_values(session)
    keys = made.keys(chosen.suite, bytes.fromhex(session["g_xy"]))
    names = ("skeyid", "skeyid_d", "skeyid_a", "skeyid_e")
    assert [getattr(keys, name).hex() for name in names] == [session[name] for name in names]


@pytest.mark.parametrize("session", SESSIONS, ids=lambda s: s["name"])
def test_every_datagram_parses_decrypts_and_encodes_again(
    session: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    keys = keys_of(session)
    reader, writer = Sealing(keys), Sealing(keys)
    quick = bytes.fromhex(session["qm_ni"]), bytes.fromhex(session["qm_nr"])
    counts = Counts()
    quick_turn = 0
    for datagram in session["datagrams"]:
        octets = bytes.fromhex(datagram["udp_payload"])
        if datagram["dst"].endswith(":4500") or datagram["src"].endswith(":4500"):
            if not octets.startswith(MARKER):
                counts.esp += 1
                continue
            octets = octets[len(MARKER) :]
        header = parse_header(octets)
        counts.parsed += 1
        if not header.encrypted:
            parts = clear_body(octets, header)
            assert clear_message(header, parts) == octets
            counts.encoded_again += 1
            check_bodies_encode_again(parts)
            continue
        parts, body = reader.open(octets, header)
        reader.accept(octets, header)
        counts.decrypted += 1
        check_bodies_encode_again(parts)
        if header.message_id:
            nonce = {1: quick[0]}.get(quick_turn, b"") if header.exchange == 32 else b""
            check_hash(keys, header, parts, nonce, quick, quick_turn)
            counts.hashes += 1
            quick_turn += header.exchange == 32
        counts.encoded_again += sealed_again(writer, header, parts, body) == octets
        if header.exchange == 4:
            reader.finish_phase1()
            writer.finish_phase1()
    with capsys.disabled():
        print(f"\n  {session['name']}: {counts}")
    assert counts.parsed + counts.esp == len(session["datagrams"]) == 26
    assert counts.encoded_again == counts.parsed == counts.decrypted + 2
    assert counts.hashes == counts.decrypted - 1


def sealed_again(writer: Sealing, header: Header, parts: Chain, body: bytes) -> bytes:
    """What we would have sent with the peer's padding (strongSwan adds a whole block at times)."""
    plain = join_chain(parts)
    assert body.startswith(plain)
    padding = body[len(plain) :]
    assert padding == bytes(len(padding)), "both peers pad with zeros"
    return writer.seal(replace(header, flags=header.flags & ~1), plain + padding, parts[0].kind)


def check_bodies_encode_again(parts: Chain) -> None:
    for part in parts:
        match part.kind:
            case k if k == SA:
                assert SecurityAssociation.parse(part).to_bytes() == part.body
            case k if k == ID:
                assert Identity.parse(part).to_bytes() == part.body
            case k if k == NOTIFY:
                assert Notify.parse(part).to_bytes() == part.body
            case k if k == DELETE:
                assert Delete.parse(part).to_bytes() == part.body
            case k if k == ATTRIBUTES:
                assert ConfigMessage.parse(part).part().body == part.body
            case _:
                pass


def check_hash(
    keys: Phase1Keys,
    header: Header,
    parts: Chain,
    nonce: bytes,
    quick: tuple[bytes, bytes],
    turn: int,
) -> None:
    assert parts[0].kind == HASH
    if header.exchange == 32 and turn == 2:
        assert parts[0].body == quick_hash_3(keys, header.message_id, *quick)
        return
    rest = join_chain(parts[1:])
    assert parts[0].body == exchange_hash(keys, header.message_id, rest, nonce)


def test_the_quick_mode_nonces_are_those_on_the_wire() -> None:
    session = SESSIONS[0]
    reader = Sealing(keys_of(session))
    nonces: list[bytes] = []
    for datagram in session["datagrams"]:
        octets = bytes.fromhex(datagram["udp_payload"])
        if not octets.startswith(MARKER):
            continue
        octets = octets[4:]
        header = parse_header(octets)
        parts, _ = reader.open(octets, header)
        reader.accept(octets, header)
        reader.finish_phase1()
        if header.exchange == 32 and (part := one(parts, NONCE)):
            nonces.append(part.body)
    assert [n.hex() for n in nonces] == [session["qm_ni"], session["qm_nr"]]


def test_cavp_psk_vector() -> None:
    """libreswan's CAVP case for IKEv1 with a pre-shared key and SHA-1."""
    nonces = bytes.fromhex("b9a2d0e922dc66dd"), bytes.fromhex("2130166863b5ddef")
    shared = bytes.fromhex("739003ba2c11c982946c65e26acf661fbf8ebb78011a9fead79efa12fe3e71cc")
    cookies = bytes.fromhex("83d374c30b3b50825afc0da06c728029")
    skeyid = skeyid_from_psk("sha1", b"\x75", *nonces)
    keys = phase1_keys(suite(), skeyid, shared, cookies, b"", b"")
    assert keys.skeyid.hex() == "62b04d112877e442fc3282fc37c076997718a0b9"
    assert keys.skeyid_d.hex() == "369e5aad1bdb5faf6a3d929d500cdc236710a9ab"
    assert keys.skeyid_a.hex() == "588e957d8d790d093b3a39f121473473af78e9bb"
    assert keys.skeyid_e.hex() == "cd74b0c048219db81384d3fda8f6cda51e398a2b"
