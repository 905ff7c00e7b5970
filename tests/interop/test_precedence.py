"""Which way ESP goes, for every switch on or off at both ends: TCP, NAT-T, UDP, else plain."""

from __future__ import annotations

from itertools import product

import pytest

from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway

pytestmark = [pytest.mark.root]

OFF_OR_ON = tuple(product((False, True), repeat=3))


def switches(tcp: bool, natt: bool, udp: bool) -> dict[str, object]:
    return {
        "ipsec_over_tcp": tcp,
        "nat_traversal": "auto" if natt else "off",
        "ipsec_over_udp": udp,
    }


def expected(ours: tuple[bool, ...], theirs: tuple[bool, ...]) -> str:
    both = [here and there for here, there in zip(ours, theirs, strict=True)]
    return next((way for way, on in zip(("tcp", "nat-t", "udp"), both, strict=True) if on), "esp")


@pytest.mark.requirement("S4-13")
@pytest.mark.timeout(60)
@pytest.mark.parametrize("theirs", OFF_OR_ON, ids=str)
def test_tcp_comes_before_nat_traversal_and_that_before_udp(
    lab: Lab, theirs: tuple[bool, bool, bool]
) -> None:
    """Behind the PAT, so that there is something to traverse."""
    found: dict[tuple[bool, ...], tuple[object, object]] = {}
    with (
        OurGateway(lab, general=switches(*theirs)) as gateway,
        OurClient(lab, "client1") as client,
    ):
        for ours in OFF_OR_ON:
            with client.connected(**switches(*ours)) as row:
                found[ours] = row["transport"], gateway.session_of(client.user)["transport"]
            gateway.wait_until_empty()
    assert found == {ours: (expected(ours, theirs),) * 2 for ours in OFF_OR_ON}
