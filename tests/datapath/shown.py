"""Which test shows what of which engine: docs/reference/engine-tests.md, from shown.toml.

PYTHONPATH=tests python -m datapath.shown
"""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
PAGE = ROOT / "docs" / "reference" / "engine-tests.md"
TABLE = Path(__file__).with_name("shown.toml")
ENGINES = ("compiled", "python", "xfrm")
FOR = {"all": ENGINES, "user": ENGINES[:2], **{one: (one,) for one in ENGINES}}
WHOLE = ("datapath/test_conditions.py", "datapath/test_offloads_lost.py")
"""Every test of these is one of the table."""
PARTS = {
    "way": "What a way, a peer and a machine do to packets",
    "queues": "Marks, sizes, order and queues",
    "offloads": "Offloads that are missing, or lost on the way",
}

HEAD = """\
# Which test shows what of which engine

Made by `tests/datapath/shown.py` from `tests/datapath/shown.toml`; a test compares them, sees to it
that each test named is there, and that those of the kernel's IPsec have passed on a kernel that has
it (`make xfrm`, last on {kernels}). What the engines are: [engines.md](engines.md).

● shown by this test
"""


@dataclass(frozen=True)
class Row:
    part: str
    what: str
    tests: Mapping[str, tuple[str, ...]]
    """Engines by test, in the order of the table."""
    none: Mapping[str, str]


def rows() -> Iterator[Row]:
    for one in tomllib.loads(TABLE.read_text("utf-8"))["row"]:
        tests: dict[str, tuple[str, ...]] = {}
        for word in FOR.keys() & one.keys():
            for test in one[word]:
                tests[test] = tests.get(test, ()) + FOR[word]
        written = [test for word in FOR for test in one.get(word, ())]
        yield Row(
            one["part"],
            one["what"],
            {test: tests[test] for test in dict.fromkeys(written)},
            one.get("none", {}),
        )


@cache
def functions(file: str) -> frozenset[str]:
    """Of the tests of a file."""
    tree = ast.parse((TESTS / file).read_text("utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@cache
def passed() -> Mapping[str, str]:
    """What kernel each test of the kernel's IPsec has passed on, parameters left out."""
    found: dict[str, str] = {}
    for file in sorted((ROOT / "docs" / "results").glob("xfrm*.json")):
        for test, said in json.loads(file.read_text("utf-8"))["figures"].items():
            if said.startswith("passed on "):
                name = test.removeprefix("tests/").partition("[")[0]
                found[name] = said.removeprefix("passed on ").partition(" in ")[0]
    return found


def problems() -> Iterator[str]:
    """What is wrong with the table."""
    named: set[str] = set()
    for row in rows():
        if row.part not in PARTS:
            yield f"{row.what}: no part {row.part}"
        for engine in ENGINES:
            shown = any(engine in engines for engines in row.tests.values())
            if shown == (engine in row.none):
                yield f"{row.what}: say for {engine} either a test or why there is none"
        for test, engines in row.tests.items():
            named.add(test)
            file, _, function = test.partition("::")
            if not (TESTS / file).exists() or function not in functions(file):
                yield f"there is no test {test}"
            if "xfrm" in engines and test not in passed():
                yield f"{test} has not passed with the kernel's IPsec: make xfrm"
    for file in WHOLE:
        for function in sorted(functions(file)):
            if f"{file}::{function}" not in named:
                yield f"{file}::{function} is not in the table"


def page() -> str:
    kernels = sorted(set(passed().values()))
    lines = [HEAD.format(kernels=" and ".join(kernels))]
    every = list(rows())
    for part, title in PARTS.items():
        lines += [f"## {title}\n", "| what | test | compiled | Python | kernel's IPsec |"]
        lines += ["|---|---|---|---|---|"]
        for row in every:
            if row.part == part:
                lines += _lines(row)
        lines.append("")
    return "\n".join(lines)


def _lines(row: Row) -> Sequence[str]:
    made: list[str] = []
    for test, engines in row.tests.items():
        marks = " | ".join("●" if one in engines else "" for one in ENGINES)
        made.append(f"| {'' if made else row.what} | `{test}` | {marks} |")
    for engine, why in row.none.items():
        cells = " | ".join(why if one == engine else "" for one in ENGINES)
        made.append(f"| | | {cells} |")
    return made


def main() -> None:
    PAGE.write_text(page(), "utf-8")
    for one in problems():
        print(one)


if __name__ == "__main__":
    main()
