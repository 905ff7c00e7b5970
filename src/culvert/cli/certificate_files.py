"""Certificates that a profile names, read for the service; passphrases are asked for."""

from __future__ import annotations

import os

import click

from culvert.cli.credentials import Credentials, ask
from culvert.profile.profile import Profile
from culvert.secret import Secret
from culvert.store.certificates import CertificateStore, directories
from culvert.vault.credential import Contents, PassphraseNeeded, contents, credential

PRIVATE_KEY = "private_key"
"""Under which kind the keyring has the key of a certificate that was imported with --keyring."""

TRIES = 3
"""How often a passphrase is asked for."""


def certificates_for(profile: Profile, given: Credentials) -> dict[str, str]:
    """What `up` hands the service besides the profile: PEM with our key, PEM of those trusted."""
    store = CertificateStore(directories(os.environ))
    found: dict[str, str] = {}
    if profile.certificate:
        octets = store.read(profile.certificate)
        opened = unlocked(octets, profile.certificate, interactive=given.interactive)
        if opened.key is None and given.service is not None:
            kept = given.service.get(profile.certificate, PRIVATE_KEY)
            if kept is not None:
                opened = contents(kept.octets() + octets, path=profile.certificate)
        made = credential("own", opened, path=profile.certificate)
        found["certificate"] = made.pem().decode("ascii")
    if profile.ca:
        pem = [
            one.pem
            for name in profile.ca
            for one in contents(store.read(name), path=name).certificates
        ]
        found["authorities"] = b"".join(pem).decode("ascii")
    return found


def unlocked(
    octets: bytes, path: str, *, passphrase: Secret | None = None, interactive: bool = True
) -> Contents:
    """What is in a file; its passphrase is asked for where it needs one.

    Raises PassphraseNeeded when the person gives up, or was wrong too often.
    """
    for attempt in range(TRIES + 1):
        try:
            return contents(octets, passphrase, path=path)
        except PassphraseNeeded:
            if not interactive or attempt == TRIES or (passphrase is not None and attempt == 0):
                raise
            try:
                passphrase = ask("passphrase", message=f"{path} is encrypted.")
            except click.Abort:
                raise PassphraseNeeded(f"{path} needs its passphrase") from None
    raise PassphraseNeeded(f"{path} needs its passphrase")
