"""Faults in a lab: what is broken in it, and put right again at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from culvert.lab import namespace, topology
from culvert.lab.lab import Lab

TABLE = "faults"
BEFORE_ANYTHING = -450
"""Priority of a hook that sees fragments before something puts them together."""

EVERYTHING = "ip version 4"
A_THIRD = "numgen random mod 100 < 30"
PORT_4500 = "udp dport 4500", "udp sport 4500"
UDP = "ip protocol udp"
TCP_10000 = "tcp dport 10000"
ESP = "ip protocol esp"
FRAGMENTS = "ip frag-off & 0x3fff != 0"
IKE_FRAGMENT = 132
SECOND_PIECE = f"udp dport 500 @th,192,8 {IKE_FRAGMENT} @th,336,8 2"
"""By the next payload in the header of ISAKMP, and the number in the fragment's own."""
SHAKY, SHAKY_TABLE = "shaky", "77"
NEW_GATEWAY = "172.16.172.99"


@dataclass
class Dropped:
    """How many packets the rules took, up to now."""

    lab: Lab
    where: str

    @property
    def count(self) -> int:
        nft = [namespace.tool("nft"), "-j", "list", "table", "ip", TABLE]
        listed = json.loads(self.lab.run(self.where, nft).stdout)["nftables"]
        said = [part for one in listed if "rule" in one for part in one["rule"]["expr"]]
        return sum(part["counter"]["packets"] for part in said if "counter" in part)


@contextmanager
def dropping(lab: Lab, *rules: str, where: str = "inet") -> Iterator[Dropped]:
    """Whatever fits one of ``rules`` of nftables does not get through ``where``."""
    lines = "".join(f"{rule} counter drop\n" for rule in rules)
    hook = f"type filter hook prerouting priority {BEFORE_ANYTHING};"
    nft = namespace.tool("nft")
    given = f"table ip {TABLE} {{\nchain in {{\n{hook}\n{lines}}}\n}}\n"
    lab.run(where, [nft, "-f", "-"], given=given)
    try:
        yield Dropped(lab, where)
    finally:
        lab.run(where, [nft, "delete", "table", "ip", TABLE])


@contextmanager
def shaky(lab: Lab, seconds: float) -> Iterator[None]:
    """Between PAT and gateway each packet takes up to so much longer."""
    script = str(Path(__file__).with_name("shaky.py"))
    running = lab.spawn("inet", [sys.executable, "-I", script, SHAKY, str(seconds)], label="shaky")
    running.wait_for("ready")
    ip = namespace.tool("ip")
    into = [f"rule add iif {side} lookup {SHAKY_TABLE}" for side in ("pat", "gw")]
    lines = [
        f"link set {SHAKY} up",
        f"route add default dev {SHAKY} table {SHAKY_TABLE}",
        *into,
    ]
    lab.run("inet", [ip, "-batch", "-"], given="\n".join(lines) + "\n")
    try:
        yield
    finally:
        undone = "".join(f"{line.replace('add', 'del')}\n" for line in into)
        lab.run("inet", [ip, "-batch", "-"], given=undone)
        running.stop()


@contextmanager
def narrow(lab: Lab, where: str, octets: int) -> Iterator[None]:
    """The link of ``where`` takes only packets of so many octets."""
    ip = [namespace.tool("ip"), "link", "set", "eth0", "mtu"]
    lab.run(where, [*ip, str(octets)])
    try:
        yield
    finally:
        lab.run(where, [*ip, "1500"])


@contextmanager
def gateway_elsewhere(lab: Lab) -> Iterator[None]:
    """Its name stands for another address, which it has, and the old one is nobody's."""
    _give_address(lab, topology.GATEWAY, NEW_GATEWAY)
    try:
        yield
    finally:
        _give_address(lab, NEW_GATEWAY, topology.GATEWAY)


def _give_address(lab: Lab, old: str, new: str) -> None:
    ip = namespace.tool("ip")
    for words in (
        f"addr del {old}/24 dev eth0",
        f"addr add {new}/24 dev eth0",
        f"route replace default via {topology.INET_GATEWAY}",
    ):
        lab.run("gw", [ip, *words.split()])
    for where in topology.NAMES:
        hosts = namespace.ETC_NETNS / lab.ns(where) / "hosts"
        # In place: a program's /etc/hosts is this very file.
        with hosts.open("r+", encoding="utf-8") as file:
            text = file.read().replace(f"{old} ", f"{new} ")
            file.seek(0)
            file.write(text)
            file.truncate()
