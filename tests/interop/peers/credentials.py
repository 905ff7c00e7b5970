"""The accounts of the lab: one group, two people, one password."""

from __future__ import annotations

GROUP = "ciscovpn"
GROUP_KEY = "group-secret"
USERS = {"client1": "vpnclient1", "client2": "vpnclient2", "pub": "vpnclient1"}
PASSWORD = "user-secret"
GATEWAY_NAME = "vpn.example.test"


class PeerFailure(AssertionError):
    """A peer did not do what it should; the message holds its log."""
