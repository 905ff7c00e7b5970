"""A fault in a lab: both ends as processes, and what each of them wrote since it began."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from culvert.eventlog.entry import Entry
from culvert.eventlog.render import json_lines
from culvert.eventlog.render.styles import STYLES
from culvert.explain import explain
from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from faults.catalogue import FAULTS
from faults.provoked import written
from faults.record import LAB as NAMESPACES
from faults.record import PROPERTY, run, words
from interop.ours import OurClient, OurGateway, until
from interop.peers.credentials import USERS
from interop.test_topologies import SiteGateway

Record = Callable[[str, object], None]

SOON = 5.0
"""Seconds in which a connection is back, once it can be."""

IMPATIENT = {"dpd_delay": 2, "dpd_timeout": 10, "peer_timeout": 8}
IMPATIENT_GATEWAY = {"dpd_delay": 2, "dpd_retry": 1, "dpd_tries": 3}
HALF_OPEN = 45.0
"""Seconds in which a gateway has given up who never proved anything."""


@dataclass
class Scene:
    """Both ends of one fault, and what they wrote since its beginning."""

    lab: Lab
    fault: str
    where: str = "client1"
    general: Mapping[str, object] = field(default_factory=dict[str, object])
    profile: Mapping[str, object] = field(default_factory=dict[str, object])
    group: Mapping[str, object] = field(default_factory=dict[str, object])
    site: Mapping[str, object] | None = None
    """The gateway knows the client by a key of its own, and no people."""
    patient: bool = False
    """Both ends wait as long as they usually do until they give the other one up."""

    def __post_init__(self) -> None:
        ours, theirs = ({}, {}) if self.patient else (IMPATIENT, IMPATIENT_GATEWAY)
        self.gateway = self._made({**theirs, **self.general})
        self.client = OurClient(self.lab, self.where, {**ours, **self.profile})
        ends = {"client": self.client, "gateway": self.gateway}
        self._ends = ends
        self._before = {end: len(program.events()) for end, program in ends.items()}

    def _made(self, general: Mapping[str, object]) -> OurGateway:
        if self.site is None:
            return OurGateway(self.lab, general=general, group=self.group)
        return SiteGateway(self.lab, general=general, site=self.site)

    def __enter__(self) -> Scene:
        self.gateway.start()
        self.client.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.stop()
        self.gateway.stop()

    def log(self, end: str) -> tuple[Entry, ...]:
        """What this end has written into its file since."""
        file = self._ends[end].state / "events.jsonl"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        return tuple(json_lines.parse(line) for line in lines[self._before[end] :])

    def says(self, end: str, style: str = "json") -> str:
        told = explain(written(self.log(end), style, 13))
        return told.diagnoses[0].id if told.diagnoses else ""

    def wrote(self, end: str, code: str) -> bool:
        return any(entry.code == code for entry in self.log(end))

    def pings(self) -> bool:
        return self.lab.ping(self.where, topology.SERVER, wait=0.3)

    def back(self, *, within: float) -> float:
        """Seconds from now until something came back through the tunnel."""
        return round(until("packets pass both ways", self.pings, seconds=within), 1)

    def flood(self, seconds: float) -> int:
        """Send packets of a thousand octets, fifty a second; how many came back."""
        count = round(seconds * 50)
        command = [namespace.tool("ping"), "-n", "-q", "-i", "0.02", "-s", "1000", "-W", "1"]
        command += ["-c", str(count), topology.SERVER]
        said = self.lab.run(self.where, command, timeout=seconds * 4 + 20, check=False).stdout
        return int(said.split(" received")[0].rsplit(" ", 1)[-1])

    def told(
        self,
        record: Record,
        counters: dict[str, int],
        back: float | None = None,
    ) -> None:
        """Each end's log alone leads to the right diagnosis, in every rendering."""
        row = FAULTS[self.fault]
        said = {end: words(explain(written(self.log(end), "own", 13))) for end in self._ends}
        record(
            PROPERTY,
            run(self.fault, NAMESPACES, said["client"], said["gateway"], counters, back),
        )
        assert any(counters.values()), counters
        for end in filter(row.expected, self._ends):
            for style in STYLES:
                assert self.says(end, style) == row.expected(end), (end, style, said[end])

    def traffic(self) -> dict[str, int]:
        ours, theirs = self.client.row, self.gateway.session_of(USERS[self.where])
        return {
            "packets the client sent": int(ours["packets_out"]),
            "packets the client got": int(ours["packets_in"]),
            "octets the gateway got": int(theirs["bytes_in"]),
            "octets the gateway sent": int(theirs["bytes_out"]),
        }
