"""Two machines that prove themselves by certificates: imported, shown, used, withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    pkcs12,
)

from cli.place import GATEWAY, Place, place
from culvert.vault.credential import key_pem
from identity.certificates.authority import Holder, issue, subject

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

CONFIG = """
[gateway]
lan = ["192.168.2.0/24"]
authentication = ["rsa", "hybrid"]
certificate = "gateway.pem"
client_ca = ["root.pem"]
revocation = "hard"
revocation_lists = ["root.crl"]

[[pool]]
name = "clients"
addresses = ["10.77.0.0/24"]

[[group]]
name = "sales"
pool = "clients"
split_include = ["192.168.2.0/24"]
"""

PROFILE = f"""
host = "{GATEWAY}"
exchange_mode = "main"
"""

NOW = datetime.now(UTC).replace(microsecond=0)
VALID: dict[str, Any] = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=365)}
WORD = "a passphrase"


@dataclass(frozen=True)
class Hierarchy:
    root: Holder
    gateway: Holder
    ann: Holder
    bob: Holder

    def crl(self, *withdrawn: Holder) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.certificate.parsed.subject)
            .last_update(NOW - timedelta(hours=1))
            .next_update(NOW + timedelta(days=1))
        )
        for one in withdrawn:
            entry = (
                x509.RevokedCertificateBuilder()
                .serial_number(one.certificate.parsed.serial_number)
                .revocation_date(NOW - timedelta(hours=2))
                .build()
            )
            builder = builder.add_revoked_certificate(entry)
        made = builder.sign(self.root.key, hashes.SHA256())
        return made.public_bytes(Encoding.DER)


def hierarchy() -> Hierarchy:
    root = issue("Root", ca=True, number=0, **VALID)
    return Hierarchy(
        root,
        issue("gw", root, number=2, names=(GATEWAY,), **VALID),
        issue(subject("ann", "sales"), root, number=3, names=("ann@example.org",), **VALID),
        issue(subject("bob", "sales"), root, number=4, names=("bob@example.org",), **VALID),
    )


ISSUED = hierarchy()


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("certificates")
    with place(folder) as found:
        near = found.config.parent
        found.config.write_text(CONFIG)
        own = near / "gateway.pem"
        own.write_bytes(key_pem(ISSUED.gateway.key) + ISSUED.gateway.certificate.pem)
        own.chmod(0o600)
        (near / "root.pem").write_bytes(ISSUED.root.certificate.pem)
        (near / "root.crl").write_bytes(ISSUED.crl(ISSUED.bob))
        found.start_gateway()
        yield found


@pytest.fixture(autouse=True)
def store(at: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("CULVERT_CERTIFICATES", str(tmp_path / "certificates"))
    yield tmp_path / "certificates"
    at.client.culvert("down", "--all")


def bring(at: Place, who: Holder, name: str, tmp_path: Path) -> None:
    """Import a PKCS#12 file, as people get it."""
    file = tmp_path / f"{name}.p12"
    how = BestAvailableEncryption(WORD.encode())
    file.write_bytes(
        pkcs12.serialize_key_and_certificates(
            name.encode(), who.key, who.certificate.parsed, [ISSUED.root.certificate.parsed], how
        )
    )
    brought = at.client.culvert(
        "certificate", "import", str(file), "--passphrase-fd", "0", given=f"{WORD}\n"
    )
    assert brought.status == 0, brought.err
    authority = tmp_path / "root.crt"
    authority.write_bytes(ISSUED.root.der)
    assert at.client.culvert("certificate", "import", str(authority), "--replace").status == 0


def up(at: Place, *lines: str) -> tuple[int, str]:
    at.profile.write_text(PROFILE + "\n".join(lines) + "\n")
    done = at.client.culvert("up", str(at.profile), "--no-input")
    return done.status, done.err


@pytest.mark.requirement("S1-73", part="certificate")
def test_a_certificate_each_and_the_tunnel_is_up(at: Place, tmp_path: Path) -> None:
    bring(at, ISSUED.ann, "ann", tmp_path)
    status, said = up(at, 'authentication = "rsa"', 'certificate = "ann"', 'ca = ["root"]')
    assert status == 0, said
    assert at.ping()
    (theirs,) = at.gateway.culvert("gateway", "sessions", "--json").document["sessions"]
    assert theirs["group"] == "sales", "the organisational unit is the group"
    assert theirs["user"] == "ann"


def test_a_withdrawn_certificate_does_not_come_in(at: Place, tmp_path: Path) -> None:
    bring(at, ISSUED.bob, "bob", tmp_path)
    status, _ = up(at, 'authentication = "rsa"', 'certificate = "bob"', 'ca = ["root"]')
    assert status != 0
    told = at.gateway.culvert("log", "--json").out + at.gateway.culvert("gateway", "log").out
    assert "withdrawn" in told


@pytest.mark.requirement("S1-76", part="verify remote identifier")
def test_a_gateway_of_another_name_is_refused_with_both_names(at: Place, tmp_path: Path) -> None:
    bring(at, ISSUED.ann, "ann", tmp_path)
    lines = ['authentication = "rsa"', 'certificate = "ann"', 'ca = ["root"]']
    status, said = up(at, *lines, 'remote_id = "vpn.example.org"')
    assert status == 13, said
    assert "vpn.example.org" in said
    assert GATEWAY in said
    status, said = up(at, *lines, 'remote_id = "vpn.example.org"', "verify_remote_id = false")
    assert status == 0, said
    assert "verify_remote_id is off" in said


def test_a_gateway_of_another_authority_is_refused(at: Place, tmp_path: Path) -> None:
    bring(at, ISSUED.ann, "ann", tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(issue("Other", ca=True, number=5, **VALID).certificate.pem)
    lines = ['authentication = "rsa"', 'certificate = "ann"']
    status, said = up(at, *lines, f'ca = ["{other}"]')
    assert status == 13, said
    assert "does not lead to an authority" in said


def test_what_is_missing_is_said_before_anything_is_sent(at: Place) -> None:
    status, said = up(at, 'authentication = "rsa"')
    assert status != 0
    assert "culvert certificate import" in said


def test_hybrid_takes_a_certificate_of_the_gateway_and_a_password(
    at: Place, tmp_path: Path
) -> None:
    authority = tmp_path / "root.pem"
    authority.write_bytes(ISSUED.root.certificate.pem)
    lines = ['authentication = "hybrid"', 'group = "sales"', f'ca = ["{authority}"]']
    at.profile.write_text(PROFILE + "\n".join(lines) + "\n")
    wrong = at.up(password="wrong")
    assert wrong.status == 14, wrong.err
    right = at.up()
    assert right.status == 0, right.err
    assert at.ping()
