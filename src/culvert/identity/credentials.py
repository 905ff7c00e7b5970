"""Credentials: what someone says of themselves, before anyone believed it."""

from __future__ import annotations

from dataclasses import dataclass

from culvert.secret import Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """``source`` is the host they come from; ``method`` how they were asked (``xauth``)."""

    user: str
    password: Secret
    group: str
    source: str
    method: str = "xauth"
