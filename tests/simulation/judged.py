"""What `culvert why` says at each end of a simulated connection."""

from __future__ import annotations

from collections.abc import Iterator

from culvert.eventlog.diagnosis import Verdict, diagnose
from eventlog.samples import Happening
from eventlog.samples import client as told_by_client
from eventlog.samples import gateway as told_by_gateway
from simulation.ends import ClientEnd, End
from simulation.journal import Told
from simulation.world import World


def _happened(world: World, end: End) -> Iterator[Happening]:
    for told in world.network.journal:
        if isinstance(told, Told) and told.name == end.name:
            yield told.at, told.event.code, told.event.fields


def verdicts(world: World, client: ClientEnd) -> tuple[Verdict, Verdict]:
    """At the client, and at the gateway."""
    here, there = _happened(world, client), _happened(world, world.gateway)
    return diagnose(told_by_client(*here)), diagnose(told_by_gateway(*there))
