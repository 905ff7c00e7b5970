"""``culvert certificate …``: import, list, show and request certificates."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import click
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: TC002

from culvert.cli.certificate_files import PRIVATE_KEY, unlocked
from culvert.cli.credentials import read_descriptor
from culvert.cli.exit_code import status_of
from culvert.cli.options import as_json as json_option
from culvert.cli.output import document, printable, table
from culvert.cli.secret_service import SecretService
from culvert.errors import ConfigError, CulvertError
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.proof import SOON
from culvert.secret import Secret
from culvert.store.certificates import (
    CertificateStore,
    directories,
    read_certificate_file,
)
from culvert.vault.credential import Contents, credential, key_pem
from culvert.vault.csr import request as make_request

Row = dict[str, object]


@click.group(epilog="Example: culvert certificate import me.p12")
def certificate() -> None:
    """Your certificates, and the authorities you trust."""


@certificate.command("import", epilog="Example: culvert certificate import me.p12 --name office")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--name", default="", help="What to call it; else after the file.")
@click.option("--replace", is_flag=True, help="Put it in the place of one of that name.")
@click.option(
    "--passphrase-fd",
    type=click.IntRange(min=0),
    metavar="N",
    help="Read the passphrase from file descriptor N (one line) instead of asking for it.",
)
@click.option("--keyring", is_flag=True, help="Keep the key in the desktop's keyring.")
@json_option
def import_(
    file: Path,
    name: str,
    replace: bool,
    passphrase_fd: int | None,
    keyring: bool,
    as_json: bool,
) -> int:
    """Take the certificate in FILE (PKCS#12, PEM, DER) into the store.

    With its private key in it, or with one that `culvert certificate request` made, it is yours;
    without, it is an authority to trust.
    """
    word = None if passphrase_fd is None else read_descriptor(passphrase_fd)
    # A key that others may have read already is taken all the same: here it will be safe.
    found = unlocked(_octets(file), str(file), passphrase=word)
    store = _store()
    called = name or file.stem
    key, ours = found.key, False
    if key is None and (waiting := _requested(store, called)) is not None:
        key, ours = waiting, True
    if key is not None:
        made = credential(called, Contents(found.certificates, key), path=str(file))
        octets, shown = made.pem(with_key=not keyring), made.own.chain[0]
        if keyring:
            # Before the file is written: without its key it would be of no use.
            pem = key_pem(key).decode("ascii")
            SecretService().put(called, PRIVATE_KEY, Secret(pem))
    else:
        if not found.certificates:
            raise ConfigError("has no certificate in it", path=str(file))
        octets, shown = b"".join(one.pem for one in found.certificates), found.certificates[0]
    path = store.save(called, octets, replacing=replace or ours)
    row = _row(called, shown, has_key=key is not None, count=len(found.certificates))
    if as_json:
        document({"certificate": row, "path": str(path)})
        return status_of("ok")
    click.echo(_told(row))
    click.echo(f"\nKept as {printable(called)} ({path}).")
    use = "certificate" if key is not None else "ca"
    value = f'"{called}"' if key is not None else f'["{called}"]'
    click.echo(f"In a profile: {use} = {value}")
    return status_of("ok")


@certificate.command("list", epilog="Example: culvert certificate list --json")
@json_option
def list_(as_json: bool) -> int:
    """What is in the store, and what expires."""
    store, rows = _store(), list[Row]()
    for saved in store.saved():
        try:
            rows.append(_described(saved.name, read_certificate_file(saved.path)))
        except CulvertError as error:
            rows.append({"name": saved.name, "problem": str(error)})
    if as_json:
        document({"certificates": rows})
        return status_of("ok")
    if not rows:
        click.echo("There is none. `culvert certificate import FILE` brings one in.")
        return status_of("ok")
    click.echo(
        table(
            ("NAME", "FOR", "KIND", "VALID UNTIL", "NOTE"),
            [
                (
                    str(row["name"]),
                    str(row.get("subject", "")),
                    str(row.get("kind", "")),
                    str(row.get("until", ""))[:10],
                    str(row.get("problem") or ""),
                )
                for row in rows
            ],
        )
    )
    return status_of("ok")


@certificate.command(epilog="Example: culvert certificate show office")
@click.argument("name", metavar="NAME|FILE")
@json_option
def show(name: str, as_json: bool) -> int:
    """What a certificate says; private keys are never shown."""
    path = Path(name)
    octets = _octets(path) if os.sep in name or path.is_file() else _store().read(name)
    row = _described(name, octets)
    if as_json:
        document({"certificate": row})
    else:
        click.echo(_told(row))
    return status_of("ok")


@certificate.command(epilog="Example: culvert certificate remove office")
@click.argument("name")
def remove(name: str) -> int:
    """Take NAME out of the store, with its private key."""
    path = _store().remove(name)
    click.echo(f"{path} is removed.")
    return status_of("ok")


@certificate.command(epilog='Example: culvert certificate request office --subject "CN=me,O=Acme"')
@click.argument("name")
@click.option("--subject", required=True, metavar="NAME", help='Such as "CN=me,OU=Sales,O=Acme".')
@click.option(
    "--for",
    "names",
    multiple=True,
    metavar="NAME",
    help="Host name, address or mail address it is for; may be given several times.",
)
@click.option(
    "--bits", type=click.Choice(("2048", "3072", "4096")), default="3072", show_default=True
)
@json_option
def request(name: str, subject: str, names: tuple[str, ...], bits: str, as_json: bool) -> int:
    """Make a key, kept as NAME, and print the request (CSR) for your authority to sign.

    `culvert certificate import FILE --name NAME` brings in what the authority gives back.
    """
    try:
        made = make_request(subject, names, bits=int(bits))
    except ValueError as error:
        raise ConfigError(f"--subject or --for: {error}") from error
    path = _store().save(name, key_pem(made.key))
    if as_json:
        document({"request": made.pem.decode("ascii"), "path": str(path)})
    else:
        click.echo(made.pem.decode("ascii"), nl=False)
        click.echo(f"The key is kept in {path}; give the request to your authority.", err=True)
    return status_of("ok")


# --- telling -----------------------------------------------------------------------------------


def _store() -> CertificateStore:
    return CertificateStore(directories(os.environ))


def _octets(path: Path) -> bytes:
    """A file that is only looked at, whoever else may read it."""
    try:
        with path.open("rb") as file:
            return file.read(2_000_000)
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", path=str(path)) from error


def _requested(store: CertificateStore, name: str) -> RSAPrivateKey | None:
    """The key that `request` made, waiting under this name for its certificate."""
    try:
        found = unlocked(store.read(name), name, interactive=False)
    except CulvertError:
        return None
    return found.key if not found.certificates else None


def _described(name: str, octets: bytes) -> Row:
    found = unlocked(octets, name)
    if not found.certificates:
        return {"name": name, "kind": "key", "problem": "a key that waits for its certificate"}
    mine = found.certificates[0]
    if found.key is not None:
        mine = credential(name, found, path=name).own.chain[0]
    return _row(name, mine, has_key=found.key is not None, count=len(found.certificates))


def _row(name: str, one: Certificate, *, has_key: bool, count: int) -> Row:
    days = (one.until - datetime.now(UTC)).days
    problem = ""
    if days < 0:
        problem = f"expired on {one.until:%Y-%m-%d}"
    elif days < SOON:
        problem = f"expires in {days} days"
    return {
        "name": name,
        "kind": "own" if has_key else "trusted",
        "subject": one.subject,
        "issuer": one.issuer,
        "names": list(one.names),
        "since": one.since.isoformat(),
        "until": one.until.isoformat(),
        "days_left": days,
        "key": f"{one.kind} {one.bits}",
        "hash": one.hash,
        "fingerprint": one.fingerprint,
        "certificates": count,
        "problem": problem,
    }


def _told(row: Row) -> str:
    labels = {
        "subject": "For",
        "names": "Names",
        "issuer": "Issued by",
        "since": "Valid from",
        "until": "Valid until",
        "key": "Key",
        "hash": "Signed with",
        "fingerprint": "SHA-256",
        "problem": "Note",
    }
    kind = "your own, with its private key" if row["kind"] == "own" else "without a private key"
    lines = [f"{'Kind':<12} {kind}"]
    for key, label in labels.items():
        value = row.get(key)
        several = cast("list[str]", value) if isinstance(value, list) else [str(value or "")]
        shown = ", ".join(several)
        if shown:
            lines.append(f"{label:<12} {printable(shown)}")
    return "\n".join(lines)
