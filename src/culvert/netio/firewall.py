"""What this machine's own packet filter (nftables) does with a datagram for one UDP port.

The rules are read, not probed: from the machine itself every datagram would come over the loopback,
which every filter lets through. A rule that asks for more than the port (an interface, a source, a
mark) may or may not hold, so it decides nothing here; firewalls elsewhere cannot be seen at all.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from culvert.errors import PlatformError

Node = Mapping[str, object]
LISTING = ("nft", "-j", "list", "ruleset")
PATIENCE = 10.0
"""Seconds for a listing of very many rules."""
DEEPEST = 16
"""Chains that call chains; the kernel allows as many (NFT_JUMP_STACK_SIZE)."""
REFUSALS = ("drop", "reject")


def ruleset() -> Node:
    """All rules of this network namespace. Raises PlatformError where they cannot be had."""
    try:
        done = subprocess.run(  # noqa: S603  # words of our own
            LISTING, capture_output=True, timeout=PATIENCE, check=True
        )
        found = rules_of(done.stdout)
    except FileNotFoundError as error:
        raise PlatformError("nftables is not installed, so its rules cannot be read") from error
    except subprocess.SubprocessError as error:
        raise PlatformError("the rules of nftables cannot be read", action="Ask root.") from error
    if found is None:
        raise PlatformError("what nftables says of its rules cannot be understood")
    return found


def rules_of(listing: bytes) -> Node | None:
    """The listing of `nft`; None for what is none."""
    try:
        found: object = json.loads(listing)
    except (ValueError, RecursionError):
        return None
    return _node(found)


def closed_to(rules: Node, port: int) -> list[str]:
    """The chains that refuse a datagram for this UDP port which nobody expects."""
    parts = [_node(one) for one in _list(rules.get("nftables"))]
    chains = {_place(chain, "name"): chain for one in parts if (chain := _node(one.get("chain")))}
    lines: dict[tuple[str, ...], list[Node]] = {place: [] for place in chains}
    for one in parts:
        if rule := _node(one.get("rule")):
            lines.setdefault(_place(rule, "chain"), []).append(rule)
    known: dict[tuple[str, ...], str] = {}
    return [
        " ".join(place)
        for place, chain in chains.items()
        if chain.get("hook") == "input"
        and (_verdict(place, lines, port, known) or str(chain.get("policy", "accept"))) in REFUSALS
    ]


def _verdict(
    place: tuple[str, ...],
    lines: Mapping[tuple[str, ...], Sequence[Node]],
    port: int,
    known: dict[tuple[str, ...], str],
    depth: int = 0,
) -> str:
    """Of the first rule that surely holds; empty: none does. Each chain is gone through once,
    however many call it: ``known`` keeps what came of it."""
    if place not in known:
        known[place] = ""
        known[place] = _gone_through(place, lines, port, known, depth)
    return known[place]


def _gone_through(
    place: tuple[str, ...],
    lines: Mapping[tuple[str, ...], Sequence[Node]],
    port: int,
    known: dict[tuple[str, ...], str],
    depth: int,
) -> str:
    for rule in lines.get(place, ()) if depth < DEEPEST else ():
        for step in _steps(rule):
            kind = next(iter(step), "")
            if kind == "match":
                if not _holds(_node(step[kind]), port):
                    break
            elif kind in ("accept", *REFUSALS):
                return kind
            elif kind in ("jump", "goto"):
                target = (*place[:-1], str(_node(step[kind]).get("target", "")))
                if found := _verdict(target, lines, port, known, depth + 1):
                    return found
            elif kind == "return":
                return ""
    return ""


def _holds(match: Node, port: int) -> bool:
    left, right = _node(match.get("left")), match.get("right")
    payload, meta = _node(left.get("payload")), _node(left.get("meta"))
    if match.get("op") not in ("==", "in"):
        return False
    if payload.get("protocol") in ("udp", "th") and payload.get("field") == "dport":
        return any(low <= port <= high for low, high in _ranges(right))
    if meta.get("key") == "l4proto" or payload.get("field") == "protocol":
        return "udp" in str(right)
    return False


def _ranges(right: object) -> Iterator[tuple[int, int]]:
    for one in _list(_node(right).get("set")) or [right]:
        if isinstance(one, int):
            yield one, one
        ends = [end for end in _list(_node(one).get("range")) if isinstance(end, int)]
        if len(ends) == 2:
            yield ends[0], ends[1]


def _steps(rule: Node) -> Iterator[Node]:
    return (_node(one) for one in _list(rule.get("expr")))


def _place(one: Node, name: str) -> tuple[str, ...]:
    return tuple(str(one.get(key, "")) for key in ("family", "table", name))


def _node(value: object) -> Node:
    return cast("Node", value) if isinstance(value, Mapping) else {}


def _list(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list) else ()
