"""What programs do that no standard says (quirks.toml)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from culvert.tables.loader import rows

RENEWS_DELETED_PAIRS = "renews-deleted-pairs"


@dataclass(frozen=True, slots=True)
class Quirk:
    """``application``: what the beginning of its APPLICATION_VERSION matches."""

    name: str
    application: str
    who: str
    meaning: str


QUIRKS = rows("quirks.toml", "quirk", Quirk)


def quirks_of(application: str) -> frozenset[str]:
    """Names of what the program that calls itself so does."""
    return frozenset(row.name for row in QUIRKS if re.match(row.application, application))
