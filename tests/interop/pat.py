"""What tests ask of the lab's PAT and of a client's device: ports given, octets that came."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from interop.ours import until

BOTH = ("client1", "client2")
ADDRESSES = {"client1": topology.CLIENT1, "client2": topology.CLIENT2}


@contextmanager
def mapped(lab: Lab, ports: Mapping[str, int], *, local: int = 4500) -> Iterator[None]:
    """The PAT gives each client this port in place of its ``local`` one."""
    try:
        _masquerade(lab, ports, local)
        yield
    finally:
        _masquerade(lab, {}, local)


def _masquerade(lab: Lab, ports: Mapping[str, int], local: int) -> None:
    nft = namespace.tool("nft")
    lab.run("pat", [nft, "flush", "chain", "ip", "nat", "postrouting"])
    out = f"oifname {topology.PAT_OUTLINK}"
    rules = [
        f"{out} ip saddr {ADDRESSES[where]} udp sport {local} masquerade to :{port}"
        for where, port in ports.items()
    ]
    for rule in (*rules, f"{out} masquerade random"):
        lab.run("pat", [nft, "add", "rule", "ip", "nat", "postrouting", *rule.split()])
    lab.flush_nat()


@contextmanager
def deaf_to_the_inside(lab: Lab) -> Iterator[None]:
    """The PAT lets nothing out, only in."""
    nft = namespace.tool("nft")
    rule = ["iifname", topology.PAT_BRIDGE, "drop"]
    lab.run("pat", [nft, "insert", "rule", "ip", "filter", "forward", *rule])
    try:
        yield
    finally:
        listed = lab.run("pat", [nft, "-a", "list", "chain", "ip", "filter", "forward"]).stdout
        handle = next(line.split()[-1] for line in listed.splitlines() if " drop #" in line)
        lab.run("pat", [nft, "delete", "rule", "ip", "filter", "forward", "handle", handle])


def ports_of(lab: Lab, local: int) -> dict[str, int]:
    """By client, the port that the PAT shows instead of ``local``."""
    return {
        row.local_address: row.global_port or 0
        for row in lab.xlate().translations
        if row.protocol == "udp" and row.local_port == local
    }


def received(lab: Lab, where: str, interface: str) -> int:
    """Octets that came out of a client's tunnel device."""
    command = ["ip", "-n", lab.ns(where), "-s", "-j", "link", "show", interface]
    (link,) = json.loads(namespace.call(command))
    count: int = link["stats64"]["rx"]["bytes"]
    return count


def forgotten_in_mid_transfer(
    lab: Lab, where: str, carried: Callable[[], int], *, silence: float
) -> None:
    """A download through the tunnel of ``where`` outlives that the PAT forgets everything.

    ``carried`` counts octets of the tunnel; who hears nothing for ``silence`` seconds gives up.
    """
    began = carried()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(lab.fetch, where, "100M.bin", silence=silence)
        until("20 MB", lambda: carried() > began + 20e6, seconds=2 * silence)
        lab.flush_nat()
        assert not running.done()
        assert running.result().identical
