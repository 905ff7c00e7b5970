"""ike-scan offers one suite after the other: our gateway takes what its settings name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.ike.suite import IkeSuite
from culvert.lab.lab import Lab
from interop.matrix.suites import EVERYTHING, PLENTY
from interop.ours import OurGateway
from interop.peers.credentials import GROUP
from interop.peers.ike_scan import ike_scan
from interop.rows import MODES, PHASE1, phase1

pytestmark = [pytest.mark.root, pytest.mark.peer("ike-scan"), pytest.mark.interop_matrix]

CASES = [
    pytest.param(suite, mode, marks=pytest.mark.cell(phase1(suite, mode), "ike-scan"))
    for mode in MODES
    for suite in PHASE1
]


@pytest.fixture(scope="module")
def gateway(lab: Lab) -> Iterator[OurGateway]:
    # It never ends what it begins: each run leaves a half-open exchange behind.
    general = {"main_mode_group": GROUP, "half_open_per_source": 2 * len(CASES), **PLENTY}
    with OurGateway(lab, general=general, phase1=PHASE1, legacy=EVERYTHING) as running:
        yield running


@pytest.mark.parametrize(("suite", "mode"), CASES)
def test_a_handshake_with(lab: Lab, gateway: OurGateway, suite: str, mode: str) -> None:
    named = IkeSuite.named(suite)
    length = f"14={named.cipher.key_bits}," if named.cipher.key_bits else ""
    group = named.group.number
    transform = f"(1={named.cipher.number},{length}2={named.hash.number},3=65001,4={group})"
    # A port of its own for each: the gateway bounds what one address and port leave unfinished.
    words = [f"--trans={transform}", "--sport=0"]
    if mode == "aggressive":
        words += ["--aggressive", f"--dhgroup={group}", f"--id={GROUP}", "--idtype=11"]
    scan = ike_scan(lab, *words)
    assert scan.handshake, scan.output
    assert f"Group={group}:" in scan.output
