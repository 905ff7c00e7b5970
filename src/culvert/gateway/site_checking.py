"""Makes sites out of the file's tables, and checks them against each other and the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from culvert.errors import ConfigError
from culvert.gateway import checking
from culvert.gateway.reading import Table
from culvert.ike.natt import permitted
from culvert.ike.selector import Network
from culvert.policy.group import Group
from culvert.policy.site import MOST_DYNAMIC, Site
from culvert.profile.proposal import shown
from culvert.secret import Secret


@dataclass(frozen=True, slots=True)
class KeyedSite:
    site: Site
    key: Secret


def sites(
    tables: Sequence[Table], folder: Path, outer: frozenset[str], groups: Iterable[str]
) -> tuple[KeyedSite, ...]:
    """Every site; ``groups`` are names that are taken, ``outer`` the gateway's switches."""
    checking.same_names(tables)
    taken = set(groups)
    for table in tables:
        if table.text("name") in taken:
            name = shown(table.text("name"))
            table.problem("name", f"[[site]] {name} has the name of a group; names tell keys apart")
    made = [_site(table, folder, outer) for table in tables]
    changing = [table for one, table in zip(made, tables, strict=True) if one.site.dynamic]
    for table in changing[MOST_DYNAMIC:]:
        table.problem("dynamic", f"more than {MOST_DYNAMIC} sites are dynamic")
    for (first, _), (second, table) in combinations(zip(made, tables, strict=True), 2):
        _check_pair(first.site, second.site, table)
    return tuple(made)


def _check_pair(first: Site, second: Site, table: Table) -> None:
    if first.peer and first.peer == second.peer:
        table.problem(
            "peer",
            f"sites {shown(first.name)} and {shown(second.name)} have the same peer; its address "
            "is all that main mode tells them apart by",
        )
    for far in second.remote:
        for other in first.remote:
            if far.overlaps(other):
                table.problem(
                    "remote_networks",
                    f"{far} and {other} overlap (sites {shown(second.name)} and "
                    f"{shown(first.name)}): packets could go to one of them only",
                )


def _site(table: Table, folder: Path, outer: frozenset[str]) -> KeyedSite:
    on = checking.switches(table)
    checking.check_proposals(table, on, outer)
    local, remote = _networks(table, "local_networks"), _networks(table, "remote_networks")
    for near in local:
        for far in remote:
            if near.overlaps(far):
                table.problem(
                    "remote_networks",
                    f"{far} and {near} of local_networks overlap: one of the two sites has to "
                    "take other addresses",
                )
    checking.check_early(table, on)
    made = Site(
        Group(
            name=table.text("name"),
            ike_proposals=table.texts("phase1"),
            esp_proposals=table.texts("phase2"),
            legacy=on,
            ike_life_seconds=table.number("phase1_lifetime"),
            esp_life_seconds=table.number("phase2_lifetime"),
            esp_life_kilobytes=table.number("phase2_volume"),
            natt=permitted(table.text("nat_traversal"), on),
            natt_force=table.text("nat_traversal") == "force",
            keepalive_seconds=table.number("keepalive_interval"),
            liveness=checking.liveness(table),
        ),
        _peer(table),
        local,
        remote,
        calls=table.flag("initiate"),
        transport=table.flag("transport_mode"),
        dynamic=table.flag("dynamic"),
    )
    if made.transport and any(net.num_addresses > 1 for net in (*local, *remote)):
        table.problem(
            "transport_mode",
            "transport_mode does not go with networks: it carries only what the two gateways "
            "themselves say to each other; leave it out, or name one address at each end",
        )
    return KeyedSite(made, checking.key_of(table, folder))


def _networks(table: Table, name: str) -> tuple[Network, ...]:
    if table.gives(name) and not table.texts(name):
        table.problem(name, f"{name} of [[site]] {shown(table.text('name'))} is empty")
    return table.each(name, checking.network4)


def _peer(table: Table) -> str:
    if not table.gives("peer"):
        return ""
    try:
        return checking.ipv4(table.text("peer"))
    except (ConfigError, ValueError):
        said = shown(table.text("peer"))
        table.problem("peer", f"peer: {said} is no IPv4 address; main mode finds keys by address")
        return ""
