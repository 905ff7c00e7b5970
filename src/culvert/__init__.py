"""culvert: remote-access VPN, client and gateway."""

from __future__ import annotations

__version__ = "0.1.0"
