"""``culvert certificate …``: what people hold in files becomes names that profiles use."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import keyring
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    pkcs12,
)

from cli.test_credentials import Drawer
from culvert.cli.certificate_files import certificates_for
from culvert.cli.credentials import Credentials
from culvert.cli.main import culvert
from culvert.cli.secret_service import SecretService
from culvert.errors import CulvertError
from culvert.profile.profile import Profile
from culvert.store.certificates import CertificateStore
from culvert.vault.credential import contents, key_pem
from identity.certificates.authority import Holder, issue, rsa_key, subject

NOW = datetime.now(UTC)
VALID: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=400)}
WORD = "a passphrase"


@dataclass(frozen=True)
class Run:
    folder: Path

    def __call__(self, *words: str, given: str = "") -> str:
        done = CliRunner().invoke(culvert, ["certificate", *words], input=given)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.output

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self(*words, "--json"))
        return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("CULVERT_CERTIFICATES", str(tmp_path / "store"))
    return Run(tmp_path)


def authority() -> Holder:
    return issue("Root", ca=True, number=0, **VALID)


def ann() -> Holder:
    return issue(subject("ann", "sales"), authority(), number=3, **VALID)


def p12(folder: Path) -> Path:
    one, file = ann(), folder / "ann.p12"
    others = [authority().certificate.parsed]
    how = BestAvailableEncryption(WORD.encode())
    made = pkcs12.serialize_key_and_certificates(
        b"ann", one.key, one.certificate.parsed, others, how
    )
    file.write_bytes(made)
    return file


def with_passphrase(run: Run, file: Path, word: str, *words: str) -> str:
    """The passphrase comes by a descriptor, as a script gives it."""
    there, here = os.pipe()
    os.write(here, f"{word}\n".encode())
    os.close(here)
    try:
        return run("import", str(file), "--passphrase-fd", str(there), *words)
    finally:
        os.close(there)


def test_an_imported_file_becomes_a_name_and_its_key_is_the_owners_alone(run: Run) -> None:
    said = with_passphrase(run, p12(run.folder), WORD)
    assert "CN=ann" in said
    assert 'certificate = "ann"' in said
    kept = run.folder / "store" / "ann.pem"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    found = contents(kept.read_bytes())
    assert found.key is not None
    assert [one.name for one in found.certificates] == ["ann"]


def test_a_wrong_passphrase_is_told_and_nothing_is_kept(run: Run) -> None:
    with pytest.raises(CulvertError, match="is wrong"):
        with_passphrase(run, p12(run.folder), "another")
    assert not (run.folder / "store").exists()


def test_an_authority_is_kept_as_one_to_trust(run: Run) -> None:
    file = run.folder / "root.crt"
    file.write_bytes(authority().der)
    assert 'ca = ["root"]' in run("import", str(file))
    (row,) = run.json("list")["certificates"]
    assert (row["name"], row["kind"], row["key"]) == ("root", "trusted", "RSA 2048")


def test_what_is_shown_never_holds_a_key(run: Run) -> None:
    with_passphrase(run, p12(run.folder), WORD)
    number = format(ann().key.private_numbers().d, "x")
    for said in (run("show", "ann"), run("list"), run("show", "ann", "--json")):
        assert "ann" in said
        assert "PRIVATE" not in said
        assert number not in said.lower()
    row = run.json("show", "ann")["certificate"]
    assert row["fingerprint"] == ann().certificate.fingerprint or len(row["fingerprint"]) == 95
    assert row["days_left"] in (399, 400)


def test_what_expires_is_told(run: Run) -> None:
    for name, days in (("soon", 5), ("gone", -1)):
        one = issue(
            name,
            number=4,
            since=NOW - timedelta(days=9),
            until=NOW + timedelta(days=days, hours=1),
        )
        file = run.folder / f"{name}.pem"
        file.write_bytes(one.certificate.pem)
        run("import", str(file))
    rows = {row["name"]: row["problem"] for row in run.json("list")["certificates"]}
    assert rows["soon"] == "expires in 5 days"
    assert rows["gone"].startswith("expired on ")


def test_a_request_and_its_certificate_come_together(run: Run) -> None:
    asked = run.json(
        "request",
        "office",
        "--subject",
        "CN=ann,O=Acme",
        "--for",
        "ann@example.org",
        "--bits",
        "2048",
    )
    csr = x509.load_pem_x509_csr(asked["request"].encode())
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == "CN=ann,O=Acme"
    (row,) = run.json("list")["certificates"]
    assert row["kind"] == "key"
    issued = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(authority().certificate.parsed.subject)
        .public_key(csr.public_key())
        .serial_number(7)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=90))
        .sign(rsa_key(0), csr.signature_hash_algorithm)  # type: ignore[arg-type]  # SHA-256
    )
    file = run.folder / "answer.pem"
    file.write_bytes(issued.public_bytes(Encoding.PEM))
    assert run.json("import", str(file), "--name", "office")["certificate"]["kind"] == "own"
    found = contents(CertificateStore([run.folder / "store"]).read("office"))
    assert found.key is not None


def test_a_request_is_not_lost_to_another_certificate(run: Run) -> None:
    run("request", "office", "--subject", "CN=ann", "--bits", "2048")
    file = run.folder / "other.pem"
    file.write_bytes(ann().certificate.pem)
    with pytest.raises(CulvertError, match="belongs to that key"):
        run("import", str(file), "--name", "office")
    assert run.json("list")["certificates"][0]["kind"] == "key"


@pytest.mark.parametrize("name", ["", "../escape", "a/b", ".hidden", "x" * 65])
def test_names_lead_nowhere_else(run: Run, name: str) -> None:
    file = run.folder / "root.crt"
    file.write_bytes(authority().der)
    if name:
        with pytest.raises(CulvertError):
            run("import", str(file), "--name", name)
    with pytest.raises(CulvertError):
        run("remove", name)
    assert {path.name for path in run.folder.iterdir()} <= {"root.crt", "store"}


def test_one_is_not_overwritten_by_chance_and_can_be_removed(run: Run) -> None:
    file = run.folder / "root.crt"
    file.write_bytes(authority().der)
    run("import", str(file))
    with pytest.raises(CulvertError, match="--replace"):
        run("import", str(file))
    run("import", str(file), "--replace")
    run("remove", "root")
    assert run.json("list")["certificates"] == []
    with pytest.raises(CulvertError, match="no certificate is called"):
        run("show", "root")


def test_a_key_that_others_can_read_is_not_used(run: Run) -> None:
    store = run.folder / "store"
    store.mkdir()
    (store / "open.pem").write_bytes(key_pem(ann().key) + ann().certificate.pem)
    (store / "open.pem").chmod(0o644)
    with pytest.raises(CulvertError, match="open to others"):
        CertificateStore([store]).read("open")
    (row,) = run.json("list")["certificates"]
    assert "chmod 600" in row["problem"]


@pytest.mark.parametrize("octets", [b"", b"hello", b"\x30\x80\x00"])
def test_what_is_no_certificate_is_refused_with_the_file(run: Run, octets: bytes) -> None:
    file = run.folder / "odd.pem"
    file.write_bytes(octets)
    with pytest.raises(CulvertError, match=r"odd\.pem"):
        run("import", str(file))


def test_an_encrypted_key_without_anybody_to_ask_is_told(run: Run) -> None:
    how = BestAvailableEncryption(WORD.encode())
    file = run.folder / "ann.pem"
    key = ann().key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    file.write_bytes(key + ann().certificate.pem)
    with pytest.raises(CulvertError, match="passphrase is needed"):
        run("import", str(file))


def test_a_key_in_the_keyring_is_in_no_file(run: Run) -> None:
    before = keyring.get_keyring()
    drawer = Drawer()
    keyring.set_keyring(drawer)
    try:
        with_passphrase(run, p12(run.folder), WORD, "--keyring")
        kept = run.folder / "store" / "ann.pem"
        assert b"PRIVATE" not in kept.read_bytes()
        profile = Profile(
            name="office", host="192.0.2.1", authentication="rsa", certificate="ann", ca=("ann",)
        )
        given = Credentials("office", service=SecretService(), interactive=False)
        handed = certificates_for(profile, given)
        assert "PRIVATE KEY" in handed["certificate"]
        assert "PRIVATE KEY" not in handed["authorities"]
        with pytest.raises(CulvertError, match="no private key"):
            certificates_for(profile, Credentials("office", interactive=False))
    finally:
        keyring.set_keyring(before)
