"""The page itself: a table of all faults, then each with what both ends say and count."""

from __future__ import annotations

from collections import Counter
from typing import Any

from faults.catalogue import FAULTS, Fault
from faults.record import LAB, VIRTUAL

Run = dict[str, Any]
ENDS = {"client": "Client", "gateway": "Gateway"}
HEAD = """\
# Faults

Written by `make faults` from its runs (`tools/fault_list`, from `docs/results/faults.json`); edits
would be lost. Each fault is provoked on purpose: all of them in virtual time, where the real cores
of both ends talk over a simulated network, and those of the network once more between real
processes in namespaces. What an end says is the diagnosis that `culvert why` and `culvert explain`
give from its log alone, in each of the four renderings; the tests are in `tests/faults`.

*Back* is the time from the moment at which the connection could work again until packets passed
both ways, without anybody doing anything; a dash: it ends, and says why.
"""


def made(record: Run) -> str:
    runs = {(one["fault"], one["where"]): one for one in record["faults"]}
    parts = [HEAD, summary(runs)]
    for section in dict.fromkeys(fault.section for fault in FAULTS.values()):
        parts.append(f"## {section}\n")
        parts += [told(fault, runs) for fault in FAULTS.values() if fault.section == section]
    return "\n".join(parts)


def summary(runs: dict[tuple[str, str], Run]) -> str:
    lines = ["| Fault | client says | gateway says | back | virtual time | namespaces |"]
    lines.append("|---|---|---|--:|---|---|")
    for fault in FAULTS.values():
        both = [runs.get((fault.id, where)) for where in (VIRTUAL, LAB)]
        link = f"[{fault.title}](#{anchor(fault.title)})"
        said = " | ".join(f"`{id}`" if id else "nothing" for id in (fault.client, fault.gateway))
        first = next((one for one in both if one), None)
        back = f"{first['back']} s" if first and first["back"] is not None else "–"
        days = " | ".join(day(one) for one in both)
        lines.append(f"| {link} | {said} | {back} | {days} |")
    return "\n".join(lines) + "\n"


def day(run: Run | None) -> str:
    if run is None:
        return ""
    when = str(run["date"])[:10]
    return when if run["outcome"] == "passed" else f"failed {when}"


def anchor(title: str) -> str:
    """As renderers of Markdown make it of a heading."""
    kept = "".join(sign for sign in title.lower() if sign.isalnum() or sign in " -_")
    return kept.replace(" ", "-")


def told(fault: Fault, runs: dict[tuple[str, str], Run]) -> str:
    lines = [f"### {fault.title}", ""]
    for where, how in ((VIRTUAL, fault.virtual), (LAB, fault.lab)):
        if how:
            lines += [f"- Provoked in {where}: {how}."]
            lines += _proof(runs.get((fault.id, where)))
    shown = runs.get((fault.id, VIRTUAL)) or runs.get((fault.id, LAB))
    if shown is None:
        return "\n".join([*lines, "- Not run.", ""])
    for end, name in ENDS.items():
        lines += _said(name, shown[end])
    return "\n".join([*lines, ""])


def _proof(run: Run | None) -> list[str]:
    if run is None:
        return []
    counted = ", ".join(f"{count} {name}" for name, count in run["counters"].items())
    back = f" Back after {run['back']} s." if run["back"] is not None else ""
    return [f"  Counted: {counted}.{back}"]


def _said(name: str, said: Run) -> list[str]:
    if not said:
        return [f"- **{name}**: nothing reached it, so its log has nothing to say."]
    lines = [f"- **{name}**, `{said['id']}`: *{said['what']}.* {said['why'].rstrip('.')}."]
    lines += [f"  - {action}" for action in said["actions"]]
    return lines


def counted(record: Run) -> str:
    kinds = Counter(one["outcome"] for one in record["faults"])
    return ", ".join(f"{count} {name}" for name, count in sorted(kinds.items()))
