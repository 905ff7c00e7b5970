"""The gateway's certificate files: every mistake is told where the file is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from culvert.gateway.config import Examined, examine
from culvert.identity.certificates.rules import Purpose, Strictness
from culvert.vault.credential import key_pem
from identity.certificates.authority import issue, middle, root, rsa_key

REST = """
[[pool]]
name = "clients"
addresses = ["10.77.0.0/24"]

[[group]]
name = "sales"
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    own = issue("gw", middle(), number=2)
    written = {
        "own.pem": key_pem(own.key) + own.certificate.pem + middle().certificate.pem,
        "cert.pem": own.certificate.pem,
        "key.pem": key_pem(own.key),
        "other.pem": key_pem(rsa_key(5)),
        "root.pem": root().certificate.pem,
        "locked.pem": own.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
        )
        + own.certificate.pem,
        "rubbish.pem": b"hello",
    }
    for name, octets in written.items():
        (tmp_path / name).write_bytes(octets)
        (tmp_path / name).chmod(0o600)
    return tmp_path


def looked_at(folder: Path, *lines: str) -> Examined:
    text = "\n".join(["[gateway]", 'authentication = ["rsa"]', *lines]) + REST
    return examine(text, str(folder / "gateway.toml"))


def problems(folder: Path, *lines: str) -> str:
    return "\n".join(f"{one.line}: {one.what}" for one in looked_at(folder, *lines).problems)


def test_everything_that_is_named_is_read(files: Path) -> None:
    for named in (
        ['certificate = "own.pem"'],
        ['certificate = "cert.pem"', 'private_key = "key.pem"'],
    ):
        found = looked_at(files, *named, 'client_ca = ["root.pem"]', 'revocation = "hard"')
        assert found.config is not None, found.problems
        trust = found.config.trust
        assert trust.own is not None
        assert trust.own.chain[0].name == "gw"
        assert trust.rules.authorities == (root().certificate,)
        assert (trust.rules.purpose, trust.rules.revocation) == (Purpose.CLIENT, Strictness.HARD)
        assert trust.rules.verify_identity
        assert not found.warnings


def test_without_certificates_the_ways_that_need_them_are_warned_of(files: Path) -> None:
    found = looked_at(files)
    assert found.config is not None
    assert found.config.trust.own is None
    said = " ".join(one.what for one in found.warnings)
    assert "name its file as certificate" in said
    assert "client_ca" in said


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('certificate = "none.pem"', "cannot be read: No such file"),
        ('certificate = "cert.pem"', "has no private key"),
        ('certificate = "rubbish.pem"', "neither a certificate nor a key"),
        ('certificate = "locked.pem"', "without a passphrase"),
        ('client_ca = ["rubbish.pem"]', "neither a certificate nor a key"),
        ('client_ca = ["key.pem"]', "no certificate in it"),
        ('revocation_lists = ["none.crl"]', "cannot be read"),
        ('revocation = "maybe"', "must be one of off, soft, hard"),
        ('fetch_targets = ["10.1.0.1/16"]', "host bits"),
    ],
)
def test_each_mistake_is_told_on_its_line(files: Path, line: str, what: str) -> None:
    said = problems(files, line)
    assert what in said
    assert said.startswith("3: ")


def test_a_key_of_another_certificate_is_told(files: Path) -> None:
    said = problems(files, 'certificate = "cert.pem"', 'private_key = "other.pem"')
    assert "belongs to that key" in said


def test_a_key_that_others_can_read_is_warned_of(files: Path) -> None:
    (files / "own.pem").chmod(0o644)
    found = looked_at(files, 'certificate = "own.pem"', 'client_ca = ["root.pem"]')
    assert ["is open to others" in one.what for one in found.warnings] == [True]


def test_no_message_holds_the_key(files: Path) -> None:
    (files / "own.pem").write_bytes((files / "own.pem").read_bytes().replace(b"MII", b"MIX", 1))
    said = problems(files, 'certificate = "own.pem"')
    assert said
    body = (files / "own.pem").read_text().splitlines()[3]
    assert body not in said
