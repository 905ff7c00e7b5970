"""Lines per second of the explainer on one core, by family, and how time grows with length.

    PYTHONPATH=src python tests/bench/explain_speed.py

Each sample of a family is repeated as one log whose times go on; processor time is counted, of
decoding octets to the finished explanation. Samples are the dense worst case: nearly every line of
them means something, and an attempt is over after twenty. Prints the table of
docs/explain-accuracy.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

from culvert.explain import explain
from culvert.explain.decode import lines

SAMPLES = Path(__file__).parents[1] / "explain" / "samples"
LINES = 40_000
CHUNK = 1 << 18
BEST_OF = 3
CLOCK = re.compile(r"\b\d\d:\d\d:\d\d\b")
FAMILIES = {
    "strongSwan": "charon",
    "Libreswan": "pluto",
    "racoon": "racoon",
    "vpnc": "vpnc",
    "Shrew": "shrew",
    "OpenConnect": "openconnect",
    "Cisco VPN Client": "ciscoclient",
    "VPN 3000": "vpn3000",
    "ASA": "asa",
    "IOS": "ios",
    "LANCOM": "lancom",
    "AnyConnect": "anyconnect",
    "FortiGate": "fortigate",
    "ocserv": "ocserv",
}


def log(samples: Sequence[Path], wanted: int) -> bytes:
    """One log of all samples, each repeated for its share of the lines."""
    made: list[str] = []
    for path in samples:
        block = path.read_text("utf-8", "replace").splitlines()
        for number in range(wanted // len(samples) // len(block) + 1):
            clock = f"{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}"
            made += [CLOCK.sub(clock, line, count=1) for line in block]
    return "\n".join(made).encode()


def count(octets: bytes) -> int:
    return octets.count(b"\n") + 1


def seconds(octets: bytes) -> float:
    """Processor time of one explanation, the best of a few."""
    found: list[float] = []
    for _ in range(BEST_OF):
        begun = time.process_time()
        explain(lines(octets[at : at + CHUNK] for at in range(0, len(octets), CHUNK)))
        found.append(time.process_time() - begun)
    return min(found)


def main() -> None:
    print("| family | lines/s |\n|:--|--:|")
    for title, prefix in FAMILIES.items():
        octets = log(sorted(SAMPLES.glob(f"{prefix}-*.log")), LINES)
        seconds(octets[: CHUNK // 4])
        print(f"| {title} | {count(octets) / seconds(octets):,.0f} |", flush=True)
    print("\n| strongSwan, lines | seconds | of one |\n|--:|--:|--:|")
    once = 0.0
    for times in (1, 2, 4):
        octets = log(sorted(SAMPLES.glob("charon-*.log")), times * LINES)
        took = seconds(octets)
        once = once or took
        print(f"| {count(octets):,} | {took:.2f} | {took / once:.2f} |", flush=True)


if __name__ == "__main__":
    main()
