"""LANCOM's VPN-Status trace: ``[VPN-Status] 2007/12/04 14:37:57,210 VPN: …`` (S3-02)."""

from __future__ import annotations

from datetime import UTC

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import own
from culvert.eventlog.render.foreign import Facts
from culvert.tables.texts.lancom import speakers, stamp_styles

STYLE = "lancom"
MANAGER = frozenset({"CLIENT", "SYSTEM", "SESSION", "AUTH"})
"""Classes that the connection manager tells about; of the others key negotiation does."""


class Lancom:
    """``year`` chooses the form of the time stamp, 2004's or 2007's. Times are UTC."""

    def __init__(self, year: int = 2007) -> None:
        self._facts = Facts()
        self.worded = False
        """Whether LANCOM has words of its own for the entry rendered last."""
        self._stamp = next(style.stamp for style in reversed(stamp_styles()) if style.year <= year)

    def render(self, entry: Entry) -> str:
        """One line for each record of the entry; what begins with a blank goes on with one."""
        at = entry.at.astimezone(UTC)
        stamp = self._stamp.format(
            date=f"{at:%Y/%m/%d}",
            time=f"{at:%H:%M:%S}",
            milliseconds=f"{at.microsecond // 1000:03}",
        )
        found = [line for _, lines in self._facts.fitting(entry, STYLE) for line in lines]
        self.worded = bool(found)
        return "\n".join(
            line if line.startswith(" ") else f"{stamp}{line}" for line in found or [_ours(entry)]
        )


def _ours(entry: Entry) -> str:
    manager, negotiation = (one.prefix for one in speakers())
    speaker = manager if entry.row.event_class in MANAGER else negotiation
    return f"{speaker} {own.marked(entry)}"
