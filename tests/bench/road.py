"""A lab for figures of one worker beside two: a namespace that calls, and one for each gateway."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.processes import family
from bench.report import Result, quartile
from culvert.lab import namespace, topology
from culvert.lab.lab import Lab
from culvert.profile.profile import Profile
from culvert.profile.proposal import WEAKNESSES
from culvert.secret import Secret
from culvert.vault.password import FastHash
from interop.ours import OurGateway, toml

WORKERS = (1, 2)
LEAST = 1.7
"""Times what one worker does: near to twice."""
IDLE = 0.02
"""Of a processor: less is not told."""
LOAD = "load"

GROUP, GROUP_KEY = "staff", "a group key of the benchmark, and a long one"
USER, PASSWORD = "alice", "the password of everybody here"


class Road(Lab):
    """A namespace that calls, with a cable to that of each gateway."""

    def ns(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    @property
    def names(self) -> tuple[str, ...]:
        return (LOAD, *map(place, WORKERS))

    def down(self) -> None:
        super().down()
        namespace.remove([self.ns(name) for name in self.names])

    def _build(self) -> None:
        for name in self.names:
            namespace.give_etc(self.ns(name), hosts=topology.HOSTS)
        namespace.add([self.ns(name) for name in self.names])
        for name in self.names:
            namespace.set_kernel(self.ns(name), dict(topology.SYSCTLS))
            self._ip(name, "link set lo up")
        for workers in WORKERS:
            name = place(workers)
            self._ip(LOAD, f"link add {name} type veth peer name eth0 netns {self.ns(name)}")
            self._ip(LOAD, f"addr add {near(workers)}/24 dev {name}", f"link set {name} up")
            self._ip(LOAD, f"route add local {callers(workers)}.0.0/16 dev lo")
            self._ip(
                name,
                f"addr add {host(workers)}/24 dev eth0",
                "link set eth0 up",
                f"route add {callers(workers)}.0.0/16 via {near(workers)}",
                f"addr add {topology.SERVER}/24 dev lo",
            )

    def _ip(self, name: str, *lines: str) -> None:
        namespace.call(["ip", "-n", self.ns(name), "-batch", "-"], given="\n".join(lines) + "\n")


def place(workers: int) -> str:
    return f"gw{workers}"


def near(workers: int) -> str:
    return f"203.0.{workers}.2"


def host(workers: int) -> str:
    return f"203.0.{workers}.1"


def callers(workers: int) -> str:
    return f"198.{17 + workers}"


@dataclass
class Gateway(OurGateway):
    """One for whom passwords cost nothing, with room for everybody."""

    workers: int = 1

    @property
    def config(self) -> Path:
        return self.lab.state / f"{self.where}.toml"

    @property
    def tuns(self) -> tuple[str, ...]:
        return ("culvert0", *[f"culvert0-{number}" for number in range(2, 1 + self.workers)])

    def start(self) -> None:
        super().start()
        for pid in family(self.running.pid):
            prefer(pid)

    def text(self) -> str:
        general = {
            "lan": [topology.PRIVATE],
            "phase1": self.phase1,
            "phase2": self.phase2,
            "legacy": sorted({*WEAKNESSES, "fast-hash"}),
            "session_limit": 1000,
            "dpd_delay": 0,
            "workers": self.workers,
            **self.general,
        }
        group = {"name": GROUP, "key": GROUP_KEY, "split_include": [topology.PRIVATE]}
        person = {
            "name": USER,
            "password_hash": FastHash().hash(Secret(PASSWORD)),
            "groups": [GROUP],
        }
        pool = {"name": "clients", "addresses": ["10.64.0.0/16"]}
        return (
            f'[gateway]\n{toml(general)}[users]\nbackend = "fast-hash"\n[[pool]]\n{toml(pool)}'
            f"[[group]]\n{toml(group)}[[user]]\n{toml(person)}"
        )


def prefer(pid: int) -> None:
    """The niceness of this run holds for the process's session too, where the kernel shares time
    out among sessions first (sched(7), autogroup)."""
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(os.nice(0)), "ascii")


def profile(workers: int, phase1: str, phase2: str, pfs: str = "") -> Profile:
    return Profile(
        "bench",
        host=host(workers),
        group=GROUP,
        group_key=Secret(GROUP_KEY),
        user=USER,
        password=Secret(PASSWORD),
        save_password=True,
        phase1=(phase1,),
        phase2=(phase2,),
        pfs=pfs or None,
        legacy=tuple(sorted(WEAKNESSES)),
        dpd_delay=0,
    )


def of_each(cpu: Sequence[tuple[float, ...]], seconds: Sequence[float]) -> tuple[float, ...]:
    """Of a processor, the busiest first; those that did next to nothing are left out."""
    rows = [[used / long for used in one] for one, long in zip(cpu, seconds, strict=True)]
    columns = zip(*rows, strict=True)
    found = [round(median(column), 3) for column in columns]
    return tuple([one for one in found if one >= IDLE])


def beside_one(
    figure: str, unit: str, pairs: Sequence[tuple[float, float]], least: float = LEAST
) -> Result:
    each = [two / one for one, two in pairs]
    worst = quartile(each, upper=False)
    alone, both = (median(column) for column in zip(*pairs, strict=True))
    return Result(
        figure,
        round(both, 2),
        unit,
        "one worker",
        round(alone, 2),
        round(median(each), 2),
        f">= {least:g} x",
        worst >= least,
        round(worst, 2),
    )
