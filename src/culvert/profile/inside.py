"""Networks inside a tunnel, which are IPv4 ones (decision 0194)."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from culvert.profile.proposal import shown


def unusable(text: str, example: str) -> str:
    """What is wrong with ``text`` as such a network, and what to write; empty: nothing."""
    try:
        IPv4Network(text)
    except ValueError:
        pass
    else:
        return ""
    try:
        IPv6Network(text, strict=False)
    except ValueError:
        return f"{shown(text)} is not an IPv4 network such as {example}"
    return (
        f"{shown(text)} is an IPv6 network, and only IPv4 travels inside a tunnel: leave it out, "
        f"and name IPv4 networks, such as {example}"
    )
