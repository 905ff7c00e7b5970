"""The gateway's certificate and whom it believes, from the files that its configuration names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from culvert.errors import ConfigError
from culvert.gateway.checking import OTHERS
from culvert.gateway.reading import Table
from culvert.identity.certificates.certificate import Certificate
from culvert.identity.certificates.rules import Purpose, Rules, Strictness
from culvert.ike.suite import AUTHENTICATION
from culvert.netio.fetch import Targets
from culvert.vault.credential import (
    Contents,
    Credential,
    PassphraseNeeded,
    authorities,
    contents,
    credential,
)
from culvert.vault.trust import Trust


@dataclass(frozen=True, slots=True)
class CertificateSettings:
    """What the configuration says about certificates; `gateway_trust` reads the files."""

    certificate: str
    private_key: str
    client_ca: tuple[str, ...]
    verify_client_id: bool
    revocation: str
    revocation_lists: tuple[str, ...]
    fetch_targets: tuple[str, ...]


def certificate_settings(gateway: Table) -> CertificateSettings:
    return CertificateSettings(
        certificate=gateway.text("certificate"),
        private_key=gateway.text("private_key"),
        client_ca=gateway.texts("client_ca"),
        verify_client_id=gateway.flag("verify_client_id"),
        revocation=gateway.text("revocation"),
        revocation_lists=gateway.texts("revocation_lists"),
        fetch_targets=gateway.texts("fetch_targets"),
    )


LARGEST_LIST = 16_777_216
"""Octets of a file with a revocation list."""

Value = TypeVar("Value")


def gateway_trust(gateway: Table, folder: Path, on: frozenset[str]) -> Trust:
    """What is wrong with a file is noted with its key; ``on`` are the gateway's legacy switches."""
    made = _credential(gateway, folder)
    nobody: tuple[Certificate, ...] = ()
    trusted = tuple(
        one
        for name in gateway.texts("client_ca")
        for one in _noted(gateway, "client_ca", folder / name, _authorities, nobody)
    )
    lists = tuple(
        _noted(gateway, "revocation_lists", folder / name, _list, b"")
        for name in gateway.texts("revocation_lists")
    )
    _check_ways(gateway, made, trusted)
    _check_targets(gateway)
    rules = Rules(
        trusted,
        Purpose.CLIENT,
        verify_identity=gateway.flag("verify_client_id"),
        legacy=on,
        revocation=Strictness(gateway.text("revocation")),
        lists=tuple(filter(None, lists)),
    )
    return Trust(rules, made, gateway.texts("fetch_targets"))


def _check_ways(gateway: Table, made: Credential | None, trusted: tuple[Certificate, ...]) -> None:
    given = gateway.texts("authentication")
    ways = [AUTHENTICATION[name] for name in given if name in AUTHENTICATION]
    if made is None and any(way.proof_r == "signature" for way in ways):
        gateway.warning(
            "authentication",
            "there is no certificate of the gateway, so nobody can come in by rsa or hybrid; "
            "name its file as certificate",
        )
    if not trusted and any(way.proof_i == "signature" for way in ways):
        gateway.warning(
            "authentication",
            "nobody may vouch for callers with certificates, so all of them are refused; name the "
            "authority's file in client_ca",
        )


def _check_targets(gateway: Table) -> None:
    try:
        Targets.of(gateway.texts("fetch_targets"))
    except ValueError as error:
        gateway.problem("fetch_targets", f"fetch_targets: {error}")


def _credential(gateway: Table, folder: Path) -> Credential | None:
    name, key = gateway.text("certificate"), gateway.text("private_key")
    if not name:
        if key:
            gateway.warning("private_key", "private_key is of no use without its certificate")
        return None
    found = _noted(gateway, "certificate", folder / name, _contents, Contents((), None))
    if key:
        held = _noted(gateway, "private_key", folder / key, _contents, Contents((), None))
        found = Contents(found.certificates, held.key)
    if not found.certificates:
        return None  # told already
    try:
        return credential("gateway", found, path=str(folder / name))
    except ConfigError as error:
        gateway.problem("certificate", f"certificate {folder / name} {error.what}")
        return None


def _noted(
    gateway: Table, key: str, path: Path, read: Callable[[bytes], Value], otherwise: Value
) -> Value:
    """What ``read`` makes of a file; what is wrong with it becomes a problem of ``key``."""
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            octets = file.read(LARGEST_LIST + 1)
    except OSError as error:
        gateway.problem(key, f"{key} {path} cannot be read: {error.strerror}")
        return otherwise
    if b"PRIVATE KEY" in octets and mode & OTHERS:
        gateway.warning(key, f"{key} {path} is open to others; chmod 600 {path}")
    try:
        return read(octets)
    except PassphraseNeeded:
        gateway.problem(
            key,
            f"{key} {path} is encrypted, and nobody is there to ask at start; write it without a "
            f"passphrase: openssl pkcs12 -in {path} -nodes -out FILE.pem; chmod 600 FILE.pem",
        )
    except ConfigError as error:
        gateway.problem(key, f"{key} {path} {error.what}")
    return otherwise


def _contents(octets: bytes) -> Contents:
    return contents(octets)


def _authorities(octets: bytes) -> tuple[Certificate, ...]:
    return authorities(octets)


def _list(octets: bytes) -> bytes:
    if len(octets) > LARGEST_LIST:
        raise ConfigError(f"has more than {LARGEST_LIST} octets")
    return octets
