"""What a client says it runs: its APPLICATION_VERSION, as the session page shows it (S4-43)."""

from __future__ import annotations

import re

LONGEST = 64
"""Characters shown of what a stranger wrote."""

_CISCO_MANNER = re.compile(r"(?:.*?\s)?(?P<version>\d[^:]*?)\s*:\s*(?P<system>[^:]*)")


def client_software(application: str) -> tuple[str, str]:
    """Type and version: ``Cisco Systems VPN Client 3.6.1 (Rel):WinNT`` is ``WinNT`` and
    ``3.6.1 (Rel)``. Whatever is not written in that manner is shown whole, as the version."""
    text = "".join(sign for sign in application if sign.isprintable()).strip()[:LONGEST]
    found = _CISCO_MANNER.fullmatch(text)
    return (found["system"], found["version"]) if found else ("", text)
