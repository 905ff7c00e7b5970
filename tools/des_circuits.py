#!/usr/bin/env python3
"""Search small circuits for the S-boxes of DES and write src/culvert/esp/des_sboxes.h.

    tools/des_circuits.py [--tries 20000]

A function of six bits is an integer of 64 bits (its truth table). A wanted function is made of one
gate between functions there are already, or else cut in two by one of its inputs
(Shannon: f = f0 ^ x & (f0 ^ f1)) until it can be. Which input first, and which output, is drawn
again and again; the smallest circuit found for each box is kept, if smaller than the one in the
file. Kwan's best circuits have 51 gates on average; half again as many cost us little.
"""

from __future__ import annotations

import argparse
import random
import re
from itertools import combinations
from pathlib import Path

HEADER = Path(__file__).parents[1] / "src/culvert/esp/des_sboxes.h"
ALL = 2**64 - 1
WIDTH = 98

# FIPS 46-3, appendix 1: rows 0 to 3 of each box, a hexadecimal digit per entry.
BOXES = (
    "e4d12fb83a6c59070f74e2d1a6cb953841e8d62bfc973a50fc8249175b3ea06d",
    "f18e6b34972dc05a3d47f28ec01a69b50e7ba4d158c6932fd8a13f42b67c05e9",
    "a09e63f51dc7b428d709346a285ecbf1d6498f30b12c5ae71ad069874fe3b52c",
    "7de3069a1285bc4fd8b56f03472c1ae9a690cb7df13e52843f06a1d8945bc72e",
    "2c417ab6853fd0e9eb2c47d150fa3986421bad78f9c5630eb8c71e2d6f09a453",
    "c1af92680d34e75baf427c9561de0b389ef528c3704a1db6432c95fabe17608d",
    "4b2ef08d3c975a61d0b7491ae35c2f8614bdc37eaf6805926bd814a7950fe23c",
    "d2846fb1a93e50c71fd8a374c56b0e927b419ce206adf35821e74a8dfc90356b",
)

Gate = tuple[int, str, int, int]
INPUTS = [sum(1 << x for x in range(64) if x >> (5 - k) & 1) for k in range(6)]


def outputs(box: int) -> list[int]:
    """Truth tables of the four outputs; the six inputs count from the most significant bit."""
    tables = [0] * 4
    for x in range(64):
        row, column = x >> 4 & 2 | x & 1, x >> 1 & 15
        entry = int(BOXES[box][16 * row + column], 16)
        for k in range(4):
            tables[k] |= (entry >> (3 - k) & 1) << x
    return tables


class Circuit:
    """Gates in order, and every function that they make."""

    def __init__(self, order: list[int], most: int) -> None:
        self.gates: list[Gate] = []
        self._have = dict.fromkeys(INPUTS)
        self._order = order
        self._most = most

    def make(self, wanted: int, level: int = 0) -> bool:
        """Whether ``wanted`` could be made with as few gates as allowed."""
        if self._one_gate(wanted):
            return True
        variable, level, low, high = self._cut(wanted, level)
        differs = low ^ high
        ways = [(low, "&"), (high, "&~")]
        if differs == ALL:
            del ways[1]
        random.shuffle(ways)
        base, sign = min(ways, key=lambda way: way[0] not in self._have)
        parts = [part for part in (differs, base) if part not in (0, ALL)]
        random.shuffle(parts)
        if not all(self.make(part, level) for part in parts):
            return False
        masked = (variable if sign == "&" else ALL ^ variable) & differs
        if self._one_gate(wanted):
            return True
        return self._one_gate(masked) and self._one_gate(wanted)

    def _cut(self, wanted: int, level: int) -> tuple[int, int, int, int]:
        """The next input that matters, and the function where it is 0 and where it is 1."""
        for at in range(level, 6):
            number = self._order[at]
            variable, shift = INPUTS[number], 1 << (5 - number)
            high = wanted & variable
            low = wanted & (ALL ^ variable)
            high, low = high | high >> shift, low | low << shift
            if low != high:
                return variable, at + 1, low, high
        raise AssertionError("a function of no input")

    def _one_gate(self, wanted: int) -> bool:
        found = wanted in self._have or self._found(wanted)
        return found and len(self.gates) <= self._most

    def _found(self, wanted: int) -> bool:
        have = list(self._have)
        for one in have:
            if one ^ wanted in self._have:
                return self._add(wanted, "^", one, one ^ wanted)
        if ALL ^ wanted in self._have:
            return self._add(wanted, "~", ALL ^ wanted, 0)
        above = [one for one in have if one & wanted == wanted]
        below = [one for one in have if one & wanted == one]
        beside = [one for one in have if not one & wanted]
        for one, other in combinations(above, 2):
            if one & other == wanted:
                return self._add(wanted, "&", one, other)
        for one, other in combinations(below, 2):
            if one | other == wanted:
                return self._add(wanted, "|", one, other)
        for one in above:
            for other in beside:
                if (one ^ wanted) & other == one ^ wanted:
                    return self._add(wanted, "&~", one, other)
        return False

    def _add(self, made: int, sign: str, one: int, other: int) -> bool:
        self._have[made] = None
        self.gates.append((made, sign, one, other))
        return True


def attempt(box: int, most: int) -> list[Gate] | None:
    """One random circuit without idle gates; None if it grew too large."""
    circuit = Circuit(random.sample(range(6), 6), most)
    wanted = outputs(box)
    random.shuffle(wanted)
    if not all(circuit.make(one) for one in wanted):
        return None
    used = set(wanted)
    live: list[Gate] = []
    for gate in reversed(circuit.gates):
        if gate[0] in used:
            live.append(gate)
            used |= {gate[2], gate[3]}
    return live[::-1]


def written(box: int, gates: list[Gate]) -> str:
    """The box as a C function."""
    names = {table: "abcdef"[k] for k, table in enumerate(INPUTS)}
    lines, line = [f"BOX_OF({box + 1}) /* {len(gates)} gates */", "{"], "   "
    for number, (made, sign, one, other) in enumerate(gates):
        names[made] = f"t{number}"
        operator = {"&~": " & ~", "~": ""}.get(sign, f" {sign} ")
        right = f"{names[one]}{operator}{names[other]}" if sign != "~" else f"~{names[one]}"
        word = f" lane t{number} = {right};"
        if len(line) + len(word) > WIDTH:
            lines.append(line)
            line = "   "
        line += word
    told = " ".join(
        f"*{place} ^= {names[table]};" for place, table in zip("wxyz", outputs(box), strict=True)
    )
    return "\n".join([*lines, line, f"    {told}", "}"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Search small circuits")
    parser.add_argument("--tries", type=int, default=20_000, help="for each box")
    tries = parser.parse_args().tries
    kept = HEADER.read_text() if HEADER.exists() else ""
    boxes: list[str] = []
    for box in range(8):
        old = re.search(rf"BOX_OF\({box + 1}\) /\* (\d+) gates \*/\n{{.*?\n}}", kept, re.DOTALL)
        fewest, best = (int(old[1]), old[0]) if old else (400, "")
        for _ in range(tries):
            gates = attempt(box, fewest + 6)
            if gates is not None and len(gates) < fewest:
                fewest, best = len(gates), written(box, gates)
        print(f"box {box + 1}: {fewest} gates")
        boxes.append(best)
    total = sum(int(number) for number in re.findall(r"/\* (\d+) gates", "\n".join(boxes)))
    head = f"""\
/* The S-boxes of DES (FIPS 46-3) as circuits, {total} gates; made by tools/des_circuits.py. */
#define BOX_OF(n) \\
    static inline void box##n(lane a, lane b, lane c, lane d, lane e, lane f, lane *w, lane *x, \\
                              lane *y, lane *z)
"""
    HEADER.write_text("\n\n".join([head.rstrip(), *boxes]) + "\n#undef BOX_OF\n")


if __name__ == "__main__":
    main()
