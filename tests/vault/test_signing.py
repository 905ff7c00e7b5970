"""Private keys: read from the forms people have them in, used for nothing but the hash of IKE."""

from __future__ import annotations

from dataclasses import fields

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs7,
    pkcs12,
)

from culvert.effects import Sign
from culvert.errors import ConfigError
from culvert.identity.certificates.signature import verified
from culvert.secret import Secret
from culvert.vault.credential import (
    PassphraseNeeded,
    authorities,
    contents,
    credential,
    key_pem,
)
from culvert.vault.signing import BURST, EXCHANGES, SigningKeys
from identity.certificates.authority import Holder, issue, middle, root, rsa_key

DIGEST = bytes(range(20))
WORD = Secret("a passphrase")


def peer() -> Holder:
    return issue("me", middle(), number=2)


def pem(*holders: Holder) -> bytes:
    return b"".join(one.certificate.parsed.public_bytes(Encoding.PEM) for one in holders)


def p12(word: bytes | None) -> bytes:
    one = peer()
    how = BestAvailableEncryption(word) if word else NoEncryption()
    others = [root().certificate.parsed, middle().certificate.parsed]
    return pkcs12.serialize_key_and_certificates(
        b"me", one.key, one.certificate.parsed, others, how
    )


def encrypted_pem() -> bytes:
    how = BestAvailableEncryption(WORD.octets())
    return peer().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)


def old_pem() -> bytes:
    return peer().key.private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(WORD.octets())
    )


def test_a_signature_is_the_hash_alone_in_its_padding() -> None:
    """RFC 2409 §5.1: without the name of an algorithm."""
    signed = SigningKeys({"me": rsa_key(2)}).sign(Sign(1, "me", DIGEST, "aa/bb"))
    assert (signed.ticket, signed.problem) == (1, "")
    number = int.from_bytes(signed.signature, "big")
    public = rsa_key(2).public_key().public_numbers()
    padded = pow(number, public.e, public.n).to_bytes(256, "big")
    assert padded == b"\x00\x01" + b"\xff" * (256 - 3 - 20) + b"\x00" + DIGEST
    assert verified(rsa_key(2).public_key(), DIGEST, signed.signature)
    assert not verified(rsa_key(3).public_key(), DIGEST, signed.signature)
    assert not verified(rsa_key(2).public_key(), DIGEST[:-1] + b"x", signed.signature)
    assert not verified(rsa_key(2).public_key(), DIGEST, signed.signature[1:])


def test_an_exchange_gets_one_signature_and_the_same_again() -> None:
    keys = SigningKeys({"me": rsa_key(2)})
    first = keys.sign(Sign(1, "", DIGEST, "aa/bb"))
    again = keys.sign(Sign(2, "", DIGEST, "aa/bb"))
    other = keys.sign(Sign(3, "", bytes(20), "aa/bb"))
    assert first.signature == again.signature != b""
    assert (other.signature, other.problem) == (b"", "this exchange has had its signature")


@pytest.mark.parametrize("octets", [0, 15, 65, 256])
def test_nothing_but_a_hash_is_signed(octets: int) -> None:
    signed = SigningKeys({"me": rsa_key(2)}).sign(Sign(1, "me", bytes(octets), "aa/bb"))
    assert signed.signature == b""
    assert "no hash" in signed.problem


def test_a_captured_worker_gets_no_more_signatures_than_real_exchanges_need() -> None:
    now = [0.0]
    keys = SigningKeys({"me": rsa_key(20, 1024)}, monotonic=lambda: now[0])
    made = [keys.sign(Sign(n, "me", DIGEST, str(n))) for n in range(int(BURST) + 50)]
    assert sum(bool(one.signature) for one in made) == BURST
    assert "try again" in made[-1].problem
    now[0] = 1.0
    assert keys.sign(Sign(1, "me", DIGEST, "later")).signature


def test_what_it_remembers_is_bounded() -> None:
    now = [0.0]
    keys = SigningKeys({"me": rsa_key(20, 1024)}, monotonic=lambda: now[0])
    for number in range(EXCHANGES + 10):
        now[0] += 1.0
        keys.sign(Sign(number, "me", DIGEST, str(number)))
    assert len(keys._signed) == EXCHANGES


def test_a_name_that_nobody_has_is_told() -> None:
    assert "no private key" in SigningKeys({}).sign(Sign(1, "", DIGEST, "aa/bb")).problem


def test_a_key_is_never_shown() -> None:
    found = contents(p12(WORD.octets()), WORD)
    made = credential("me", found)
    keys = SigningKeys({"me": made.key})
    number = str(made.key.private_numbers().d)
    for one in (found, made, keys):
        assert "RSAPrivateKey" not in repr(one)
        assert number not in repr(one)
    assert [f.name for f in fields(made) if f.repr] == ["own"]


@pytest.mark.parametrize(
    "octets",
    [
        p12(WORD.octets()),
        encrypted_pem() + pem(peer(), middle(), root()),
        pem(root(), middle(), peer()) + b"Bag Attributes\n" + old_pem(),
    ],
    ids=["pkcs12", "pkcs8", "of old"],
)
def test_encrypted_files_ask_for_their_passphrase(octets: bytes) -> None:
    with pytest.raises(PassphraseNeeded, match="is needed"):
        contents(octets, path="me.p12")
    with pytest.raises(PassphraseNeeded, match="is wrong"):
        contents(octets, Secret("another"), path="me.p12")
    made = credential("me", contents(octets, WORD))
    assert [one.name for one in made.own.chain] == ["me", "Middle"]
    assert made.own.key == "me"


def test_files_without_a_passphrase_are_read_as_they_are() -> None:
    for octets in (p12(None), key_pem(peer().key) + pem(peer(), middle())):
        for word in (None, WORD) if octets.startswith(b"-----") else (None,):
            assert credential("me", contents(octets, word)).own.chain[0].name == "me"


def test_what_is_written_is_read_back() -> None:
    made = credential("me", contents(p12(None)))
    again = credential("me", contents(made.pem()))
    assert again.own == made.own
    assert again.key.private_numbers() == made.key.private_numbers()
    assert contents(made.pem(with_key=False)).key is None


def test_a_key_of_another_certificate_is_not_taken() -> None:
    with pytest.raises(ConfigError, match="belongs to that key"):
        credential("me", contents(key_pem(rsa_key(5)) + pem(peer())))
    with pytest.raises(ConfigError, match="no private key"):
        credential("me", contents(pem(peer())))


def test_a_key_that_is_not_rsa_is_told() -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    octets = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="RSA"):
        contents(octets + pem(peer()))


def test_authorities_come_in_every_form() -> None:
    parsed = [root().certificate.parsed, middle().certificate.parsed]
    bundle = pkcs7.serialize_certificates(parsed, Encoding.DER)
    assert authorities(pem(root(), middle()))[0] == root().certificate
    assert authorities(root().der) == (root().certificate,)
    assert set(authorities(bundle)) == {root().certificate, middle().certificate}
    for rubbish in (b"", b"hello", b"\x30\x80", key_pem(rsa_key(2))):
        with pytest.raises(ConfigError):
            authorities(rubbish)


def test_a_file_that_is_too_large_is_none() -> None:
    with pytest.raises(ConfigError, match="more than"):
        contents(bytes(2_000_000))


def test_padding_that_carries_a_digest_name_is_not_ours() -> None:
    from cryptography.hazmat.primitives import hashes

    signature = rsa_key(2).sign(b"text", PKCS1v15(), hashes.SHA256())
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"text")
    assert not verified(rsa_key(2).public_key(), digest.finalize(), signature)
