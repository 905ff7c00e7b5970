"""Refused: policy says no. An expected outcome, so a value and not an exception."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refused:
    """``reason`` is a row of tables/endings.toml; ``detail`` is for the operator's eyes only."""

    reason: str
    detail: str = ""
