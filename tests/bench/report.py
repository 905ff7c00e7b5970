"""What a run of `throughput` came to: performance.json, .svg, and a section of .md in docs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median, quantiles
from typing import Protocol

SUSPECT = 0.7
"""A peer below this share of its known figure makes the run suspect."""

SCHEMA = 1

TITLE = "## Throughput"
"""The last section of docs/performance.md. What stands before it was not measured here."""


@dataclass(frozen=True)
class Figures:
    """One variant in one round: Gbit/s, CPU seconds per 10^9 octets (gateway, client), ms."""

    up: float
    down: float
    up_cpu: tuple[float, float]
    down_cpu: tuple[float, float]
    ping: float
    loaded_ping: float
    small_packets: float
    idle_before: float

    def __str__(self) -> str:
        cpu = " ".join(f"{one:.2f}" for one in (*self.up_cpu, *self.down_cpu))
        return (
            f"up {self.up:.2f} down {self.down:.2f} Gbit/s, CPU s/GB {cpu}, "
            f"ping {self.ping:.2f} loaded {self.loaded_ping:.2f} ms, "
            f"{self.small_packets:.0f} small/s, idle before {self.idle_before:.0%}"
        )


@dataclass(frozen=True)
class Bar:
    """``variant`` shall reach ``least`` times what ``peer`` does in the same round; or its client,
    a program that is not ours, take the share ``busy`` of a core (0: that does not count)."""

    figure: str
    variant: str
    peer: str
    least: float
    busy: float = 0.0


@dataclass(frozen=True)
class Known:
    """What a peer reached on a quiet machine in Gbit/s, and what the plain path did then."""

    peer: str
    up: float
    down: float
    path_up: float
    path_down: float

    def rate(self, way: str) -> float:
        return self.up if way == "up" else self.down

    def share(self, way: str) -> float:
        return self.rate(way) / (self.path_up if way == "up" else self.path_down)


@dataclass(frozen=True)
class Result:
    """One line of docs/performance.json."""

    figure: str
    value: float
    unit: str
    peer: str
    peer_value: float
    ratio: float
    bar: str
    met: bool
    lower_quartile: float


@dataclass(frozen=True)
class Share:
    """What a gateway of so many ``workers`` did of ``figure``, medians of its rounds: in a second;
    in a second of its processor time; and how much of a processor each of its busy processes, the
    load and everything else took. ``lost``: packets, in all rounds."""

    figure: str
    workers: int
    rate: float
    unit: str
    of_processor: float
    gateway: tuple[float, ...]
    load: float
    others: float
    lost: int


Rounds = Mapping[str, Sequence[Figures]]


def bars(wanted: Sequence[Bar], rounds: Rounds) -> list[Result]:
    """Every bar whose two variants were measured, and the bars on CPU, latency and packets."""
    found: list[Result] = []
    for one in wanted:
        mine, peers = rounds.get(one.variant, ()), rounds.get(one.peer, ())
        if mine and peers:
            for way in ("up", "down"):
                pairs = [
                    (getattr(a, way), getattr(b, way)) for a, b in zip(mine, peers, strict=True)
                ]
                made = _at_least(f"{one.figure}, {way}", "Gbit/s", one.peer, pairs, one.least)
                found += _or_busy(made, one.busy, mine, way) if one.busy else [made]
    mine, peers = rounds.get("culvert gcm", ()), rounds.get("strongswan gcm", ())
    both = tuple(zip(mine, peers, strict=False))
    if both:
        cost = [(a.up_cpu[0] + a.down_cpu[0], b.up_cpu[0] + b.down_cpu[0]) for a, b in both]
        found += [
            _at_most("gateway CPU, both directions", "s/GB", "strongswan gcm", cost, 0.25),
            _ping_under_load([a.loaded_ping for a, _ in both]),
            _at_least(
                "64-octet UDP packets",
                "1/s",
                "strongswan gcm",
                [(a.small_packets, b.small_packets) for a, b in both],
                3.0,
            ),
        ]
    return found


def idle_bar(peer: str, pairs: Pairs) -> Result:
    """Of medians in ms, ours and the peer's, of tunnels that took turns (`bench.idle`)."""
    return _at_most("ping, idle tunnel", "ms", peer, pairs, 1.0)


Pairs = Sequence[tuple[float, float]]
Costs = Sequence[tuple[str, str, float]]
"""Whose, of what kind, and the share of all that was not idle (bench.costs)."""
LITTLE = 0.005


def _at_least(figure: str, unit: str, peer: str, pairs: Pairs, least: float) -> Result:
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    worst = quartile(ratios, upper=False)
    return _result(figure, unit, peer, pairs, ratios, f">= {least:g} x", worst >= least, worst)


def _or_busy(made: Result, least: float, rounds: Sequence[Figures], way: str) -> list[Result]:
    """The bar with its way out, and beside it how much of a core the client took in each round."""
    cores = [getattr(one, way) / 8 * getattr(one, f"{way}_cpu")[1] for one in rounds]
    worst = quartile(cores, upper=False)
    bar = f"{made.bar}, or its client at {least:.0%} of a core"
    beside = Result(
        f"{made.figure}: what its client takes",
        round(median(cores), 2),
        "of a core",
        "",
        0.0,
        0.0,
        "",
        True,
        round(worst, 2),
    )
    return [replace(made, bar=bar, met=made.met or worst >= least), beside]


def _at_most(figure: str, unit: str, peer: str, pairs: Pairs, most: float) -> Result:
    ratios = [mine / theirs for mine, theirs in pairs if theirs]
    worst = quartile(ratios, upper=True)
    return _result(figure, unit, peer, pairs, ratios, f"<= {most:g} x", worst <= most, worst)


def _ping_under_load(values: Sequence[float]) -> Result:
    worst = quartile(values, upper=True)
    value = round(median(values), 2)
    return Result("ping, full-rate stream", value, "ms", "", 0.0, 0.0, "<= 5 ms", worst <= 5, worst)


class Noticed(Protocol):
    """What a ping beside a flood took longer than before it, in ms (`bench.fairness.Flooded`)."""

    @property
    def extra(self) -> float: ...
    @property
    def extra_p95(self) -> float: ...


def fairness_bars(floods: Sequence[Noticed]) -> list[Result]:
    """Of the median over all floods, and of the 95th percentile, for whoever wants to know."""
    return [
        _within("another session's flood, extra on a ping, median", [one.extra for one in floods]),
        _within("another session's flood, extra on a ping, p95", [one.extra_p95 for one in floods]),
    ]


def _within(figure: str, values: Sequence[float]) -> Result:
    worst = quartile(values, upper=True)
    value = round(median(values), 2)
    return Result(figure, value, "ms", "", 0.0, 0.0, "<= 5 ms", worst <= 5, round(worst, 2))


def _result(
    figure: str,
    unit: str,
    peer: str,
    pairs: Pairs,
    ratios: Sequence[float],
    bar: str,
    met: bool,
    worst: float,
) -> Result:
    mine, theirs = (round(median(column), 3) for column in zip(*pairs, strict=True))
    ratio = round(median(ratios), 2)
    return Result(figure, mine, unit, peer, theirs, ratio, bar, met, round(worst, 2))


def quartile(values: Sequence[float], *, upper: bool) -> float:
    """The quartile on the bad side; with too few rounds the worst of them."""
    if len(values) < 4:
        return max(values) if upper else min(values)
    return quantiles(values, n=4, method="inclusive")[2 if upper else 0]


def suspicions(rounds: Rounds, known: Sequence[Known]) -> list[str]:
    """Peers so slow, beside the plain path, that this run says little about anybody."""
    path = rounds.get("plain path", ())
    found: list[str] = []
    for one in known:
        for way in ("up", "down"):
            shares = [
                getattr(peer, way) / getattr(road, way)
                for peer, road in zip(rounds.get(one.peer, ()), path, strict=False)
            ]
            if shares and median(shares) < SUSPECT * one.share(way):
                rate = median([getattr(peer, way) for peer in rounds[one.peer]])
                found.append(
                    f"{one.peer}, {way}: {median(shares):.1%} of the plain path, "
                    f"{one.share(way):.1%} where it was quiet; {rate:.2f} Gbit/s, "
                    f"{one.rate(way):.2f} there"
                )
    return found


def write(
    folder: Path,
    rounds: Rounds,
    results: Sequence[Result],
    known: Sequence[Known],
    spent_on: Sequence[tuple[str, Costs]] = (),
    shares: Sequence[Share] = (),
    *,
    pairs: int,
    seconds: float,
) -> None:
    machine = described()
    doubts = suspicions(rounds, known)
    document = {
        "schema": SCHEMA,
        "machine": machine,
        "suspect": doubts,
        "bars": [asdict(one) for one in results],
        "costs": {name: [list(row) for row in rows] for name, rows in spent_on},
        "workers": [asdict(one) for one in shares],
        "rounds": {name: [asdict(one) for one in values] for name, values in rounds.items()},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False)
    (folder / "performance.json").write_text(text + "\n", "utf-8")
    (folder / "performance.svg").write_text(plot(rounds), "utf-8")
    page = folder / "performance.md"
    others = page.read_text("utf-8").partition(f"\n{TITLE}\n")[0] if page.exists() else ""
    section = _section(machine, doubts, rounds, results, pairs, seconds)
    section += _missed(results) + _shares(shares)
    costs = "".join(_costs(name, rows) for name, rows in spent_on if rows)
    page.write_text(f"{others.rstrip()}\n\n{section}{costs}".lstrip(), "utf-8")


def described() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    python = platform.python_version()
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {python}"


def _section(
    machine: str,
    doubts: Sequence[str],
    rounds: Rounds,
    results: Sequence[Result],
    pairs: int,
    seconds: float,
) -> str:
    lines = [
        TITLE,
        "",
        f"Made by `make bench` on {machine}. {pairs} rounds, each variant once per round, "
        f"{seconds:g} s per direction; one TCP stream (iperf3, cubic), client behind the PAT, "
        "server behind the gateway, everything on this one machine. Peers as Debian ships them. "
        "Ours and the peer's are medians of the rounds; the ratio is the median of the rounds' own "
        "ratios, so it need not be their quotient. A bar is met if their worse quartile meets it. "
        "Idle tunnels are pinged in rounds of their own: both are up and take turns.",
        "",
    ]
    if doubts:
        lines += [
            "**This run is suspect**: peers carry less of the plain path than they did on a quiet "
            "machine. Where their own rates are not lower than there, it is the plain path that "
            "was faster, and nothing speaks against the ratios between tunnels:",
            "",
        ]
        lines += [*(f"- {one}" for one in doubts), ""]
    lines += [
        "| figure | ours | peer | ratio (quartile) | bar | met |",
        "|---|---|---|---|---|---|",
    ]
    for one in results:
        theirs = f"{one.peer_value:g} ({one.peer})" if one.peer else ""
        mine = f"{one.value:g} {one.unit}" + ("" if one.bar else f" ({one.lower_quartile:g})")
        ratio = f"{one.ratio:g} ({one.lower_quartile:g})" if one.peer else ""
        lines.append(
            f"| {one.figure} | {mine} | {theirs} | {ratio} | {one.bar} | "
            f"{('yes' if one.met else 'no') if one.bar else ''} |"
        )
    lines += [
        "",
        "![Gbit/s by variant](performance.svg)",
        "",
        "| variant | up Gbit/s | down Gbit/s | gateway CPU s/GB | client CPU s/GB | ping ms "
        "| loaded |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_row(name, values) for name, values in rounds.items() if values]
    return "\n".join(lines) + "\n"


REASONS = {
    "share of the plain path": "the plain path hands one super-packet from namespace to namespace "
    "without a copy; a tunnel encrypts and decrypts each octet and takes it over the border of the "
    "kernel four times, on the same two cores as sender and receiver (see the profile)",
    "unmodified vpnc": "vpnc has one thread, which seals, opens and copies each packet by itself; "
    "our gateway, sender and receiver share the other core",
    "ping, idle tunnel": "the packet wakes our process at either end, twice, and what it costs "
    "beside the network's own part is Python between two system calls "
    "(docs/decisions/0210-packets-before-asyncio.md)",
    "set-ups in a second": "two workers ask the ledger and tell each other what one need not, and "
    "the monitor is woken by both",
    "two workers beside one": "two workers want two cores, and what else ran here took of "
    "them what the table below says",
    "extra on a ping, p95": "gateway, both clients and what floods share two cores; what "
    "waits in that one of twenty is the scheduler's turn",
}
"""Why a bar may be missed where one machine does everything, by part of its figure's name."""


def _missed(results: Sequence[Result]) -> str:
    """Every bar that was not met, by how much and why."""
    missed = [one for one in results if not one.met]
    if not missed:
        return "\nEvery bar is met.\n"
    lines = ["\n### What is missed\n"]
    for one in missed:
        got = f"{one.lower_quartile:g}{' x' if one.peer else f' {one.unit}'}"
        why = next(
            (text for part, text in REASONS.items() if part in one.figure), "not explained yet"
        )
        lines.append(f"- {one.figure}: {got} in the worse quartile, the bar is {one.bar}; {why}.")
    return "\n".join(lines) + "\n"


def _shares(shares: Sequence[Share]) -> str:
    """One worker beside two, with what the processors did."""
    if not shares:
        return ""
    lines = [
        "\n### Two workers beside one\n",
        "Two gateways of our own in turn, with one worker and with two; medians of the rounds. 64 "
        "sessions, whose ESP was sealed before the clock ran: a load process sends it in trains of "
        "datagrams, always so much ahead that no worker waits. What comes out of a TUN is counted "
        "there and dropped before routing. Packets of 1,400 octets, from clients only. Tunnels are "
        "set up by a process that is all clients. What more cores would give is planned, not "
        "measured ([0157](decisions/0157-several-workers.md)).\n",
        "| figure | workers | rate | in a second of the gateway's processor time | the gateway's "
        "processes, of a processor each | load | all else | lost |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {one.figure} | {one.workers} | {one.rate:g} {one.unit} | {one.of_processor:g} | "
            f"{' + '.join(f'{share:.0%}' for share in one.gateway)} | {one.load:.0%} | "
            f"{one.others:.0%} | {one.lost} |"
            for one in shares
        ),
    ]
    return "\n".join(lines) + "\n"


def _costs(name: str, rows: Costs) -> str:
    """A table of a profile; what is too little to matter is left out."""
    lines = [
        f"\n### Where the time of one stream goes, {name}\n",
        "perf, both processors, what is not idle; sender, both ends of the tunnel, the PAT between "
        "them and receiver all share them.\n",
        "| whose | what | share |",
        "|---|---|--:|",
        *(f"| {whose} | {what} | {share:.1%} |" for whose, what, share in rows if share >= LITTLE),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, values: Sequence[Figures]) -> str:
    def spread(way: str) -> str:
        column = [getattr(one, way) for one in values]
        return f"{median(column):.2f} ({min(column):.2f}..{max(column):.2f})"

    def cpu(end: int) -> str:
        return " / ".join(
            f"{median(getattr(one, way)[end] for one in values):.2f}"
            for way in ("up_cpu", "down_cpu")
        )

    pings = f"{median(v.ping for v in values):.2f} | {median(v.loaded_ping for v in values):.2f}"
    return f"| {name} | {spread('up')} | {spread('down')} | {cpu(0)} | {cpu(1)} | {pings} |"


def plot(rounds: Rounds) -> str:
    """Bars of the medians, both directions, without the plain path that would dwarf them."""
    shown = {name: values for name, values in rounds.items() if values and name != "plain path"}
    most = max((max(v.up, v.down) for values in shown.values() for v in values), default=1.0)
    height = 40 * len(shown) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" '
        'font-family="sans-serif" font-size="12">'
    ]
    for number, (name, values) in enumerate(shown.items()):
        top = 10 + 40 * number
        parts.append(f'<text x="180" y="{top + 20}" text-anchor="end">{name}</text>')
        for row, (way, colour) in enumerate((("up", "#2a6f97"), ("down", "#89c2d9"))):
            value = median(getattr(one, way) for one in values)
            y = top + 2 + 15 * row
            parts.append(
                f'<rect x="190" y="{y}" width="{value / most * 460:.1f}" height="13" '
                f'fill="{colour}"/><text x="{195 + value / most * 460:.1f}" y="{y + 11}">'
                f"{value:.2f} {way}</text>"
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
