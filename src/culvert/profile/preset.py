"""What a preset means for a profile: defaults of the keys that its file leaves out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from culvert.profile.profile import AUTHENTICATIONS
from culvert.tables.presets import PRESETS, preset_values
from culvert.tables.proposal_names import PROPOSAL_NAMES


def implied(preset: str, authentication: str) -> Mapping[str, object]:
    """Key → value; nothing for a preset that does not exist, which the profile itself refuses."""
    found = PRESETS.get(preset)
    values: dict[str, object] = {
        key: tuple(cast("list[object]", value)) if isinstance(value, list) else value
        for key, value in preset_values(preset, authentication).items()
    }
    way = AUTHENTICATIONS.get(authentication)
    if found is not None and found.phase1_names and way is not None:
        values["phase1"] = tuple(
            [
                row.name
                for row in PROPOSAL_NAMES
                if row.phase == 1 and row.authentication in way.methods
            ]
        )
    return values
