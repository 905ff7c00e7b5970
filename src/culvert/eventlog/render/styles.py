"""The renderings of the event log by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines, own
from culvert.eventlog.render.cisco_client import CiscoClient
from culvert.eventlog.render.lancom import Lancom
from culvert.eventlog.render.vpn3000 import Vpn3000

Render = Callable[[Entry], str]

STYLES: Mapping[str, Callable[[], Render]] = {
    "own": lambda: own.render,
    "json": lambda: json_lines.render,
    "cisco": lambda: CiscoClient().render,
    "vpn3000": lambda: Vpn3000().render,
    "lancom": lambda: Lancom().render,
}
"""Each makes a renderer for one log: the older products number their records."""
