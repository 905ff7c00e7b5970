"""What the lab's PAT knows, printed as a PIX prints it: `show xlate` and `show arp` (S4-02).

The translations are conntrack's entries whose source was rewritten; the neighbours are the
kernel's. The PIX's words stand in `tables/pix.toml`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

from culvert.lab import topology
from culvert.netio.path_mtu import DISCARD
from culvert.tables.loader import document

WORD = re.compile(r"(\w+)=(\S+)")
SIDES = {topology.PAT_OUTLINK: "outside", topology.PAT_BRIDGE: "inside"}


@dataclass(frozen=True, slots=True, order=True)
class Translation:
    """One rewritten flow. Ports are None where the protocol has none (plain ESP)."""

    protocol: str
    global_address: str
    global_port: int | None
    local_address: str
    local_port: int | None
    remote_address: str
    remote_port: int | None

    def __str__(self) -> str:
        forms = document("pix.toml")["xlate"]
        form = forms.get(self.protocol) or forms["pat" if self.local_port is not None else "nat"]
        return str(form).format(**{name: getattr(self, name) for name in self.__slots__})


@dataclass(frozen=True, slots=True)
class Xlate:
    """The translation table and the most entries it ever held."""

    translations: tuple[Translation, ...]
    most_used: int

    def __str__(self) -> str:
        head = str(document("pix.toml")["xlate"]["head"])
        first = head.format(in_use=len(self.translations), most_used=self.most_used)
        return "\n".join([first, *(str(translation) for translation in self.translations)])


@dataclass(frozen=True, slots=True, order=True)
class Neighbour:
    """One line of `show arp`."""

    side: str
    address: str
    hardware: str

    def __str__(self) -> str:
        digits = self.hardware.replace(":", "")
        dotted = f"{digits[:4]}.{digits[4:8]}.{digits[8:]}"
        form = str(document("pix.toml")["arp"]["line"])
        return form.format(side=self.side, address=self.address, hardware=dotted)


def translation(line: str) -> Translation | None:
    """One line of `conntrack -L` or `-E`; None if its source was not rewritten, or if a client
    asked there how wide the way is (netio.path_mtu): no tunnel of these is meant."""
    pairs: list[tuple[str, str]] = WORD.findall(line)
    halves: list[dict[str, str]] = []
    for name, value in pairs:
        if name == "src":
            halves.append({})
        if halves:
            halves[-1].setdefault(name, value)
    if len(halves) != 2:
        return None
    there, back = halves
    if "dst" not in there or "dst" not in back or there["src"] == back["dst"]:
        return None
    if port(there, "dport") == DISCARD:
        return None
    words = [word for word in line.split() if not word.startswith("[")]
    return Translation(
        protocol=words[0],
        global_address=back["dst"],
        global_port=port(back, "dport"),
        local_address=there["src"],
        local_port=port(there, "sport"),
        remote_address=there["dst"],
        remote_port=port(there, "dport"),
    )


def port(half: dict[str, str], name: str) -> int | None:
    # ICMP has an identifier in place of ports.
    number = half.get(name, half.get("id"))
    return None if number is None else int(number)


def translations(listing: str) -> tuple[Translation, ...]:
    """The rewritten flows of `conntrack -L`, in a steady order."""
    found = (translation(line) for line in listing.splitlines())
    return tuple(sorted((one for one in found if one), key=str))


def peak(events: Iterable[str]) -> int:
    """The most translations at one time, from the lines of `conntrack -E`."""
    living: set[Translation] = set()
    most = 0
    for line in events:
        mark, _, rest = line.strip().partition("] ")
        one = translation(rest)
        if one is None:
            continue
        if mark.endswith("NEW"):
            living.add(one)
            most = max(most, len(living))
        elif mark.endswith("DESTROY"):
            living.discard(one)
    return most


def neighbours(listing: str) -> tuple[Neighbour, ...]:
    """The PAT's neighbours from `ip -j -4 neigh`: outside first, as a PIX lists them."""
    rows = json.loads(listing or "[]")
    found = [
        Neighbour(SIDES[row["dev"]], row["dst"], row["lladdr"])
        for row in rows
        if row.get("dev") in SIDES and row.get("lladdr")
    ]
    found.sort(key=lambda row: (row.side != "outside", row.address))
    return tuple(found)
