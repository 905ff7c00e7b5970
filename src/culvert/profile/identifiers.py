"""Identifiers in a profile: who an end says it is in phase 1 (RFC 2407 §4.6.2)."""

from __future__ import annotations

from collections.abc import Iterator

from culvert.identity.certificates.names import OWN_ADDRESS, identity_from

FROM_CERTIFICATE = "%certificate"


def wrong_identifiers(
    local: str, remote: str, *, certified: bool, exchange_mode: str
) -> Iterator[tuple[str, str]]:
    """Key and sentence for everything that cannot be. ``certified``: we show a certificate."""
    for key, text in (("local_id", local), ("remote_id", remote)):
        if text in ("", OWN_ADDRESS) or (key == "local_id" and text == FROM_CERTIFICATE):
            continue
        if text.startswith("%"):
            yield key, f"there is no {text[:64]!a}; only {OWN_ADDRESS} and {FROM_CERTIFICATE}"
            continue
        try:
            identity_from(text)
        except ValueError as error:
            yield key, str(error)
    if local == FROM_CERTIFICATE and not certified:
        yield "local_id", f"{FROM_CERTIFICATE} needs an authentication with a certificate"
    if local == OWN_ADDRESS and exchange_mode == "aggressive":
        yield (
            "local_id",
            f'{OWN_ADDRESS} needs exchange_mode = "main": in aggressive mode the name goes out '
            "before this machine knows which of its addresses is used; write the address itself",
        )
