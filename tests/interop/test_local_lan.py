"""Allow Local LAN Access: a printer beside the client, permitted by the gateway or not (S4-22)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from culvert.lab import topology
from culvert.lab.lab import Lab
from interop.ours import OurClient, OurGateway, traces, until
from interop.peers.tunnel import prove_data
from interop.test_topologies import status

pytestmark = [pytest.mark.root, pytest.mark.peer("culvert")]

PRINTER, PORT = topology.CLIENT2, 631
LAN = "10.10.10.0/24"
WHERE_THE_CLIENT_IS = "0.0.0.0/32"


@pytest.fixture(autouse=True)
def printer(lab: Lab) -> Iterator[None]:
    serving = lab.spawn("client2", ["python3", "-m", "http.server", str(PORT)], label="printer")
    until("the printer answers", lambda: prints(lab), seconds=10)
    before = traces(lab, "client1")
    yield
    serving.stop()
    assert traces(lab, "client1") == before


def prints(lab: Lab) -> bool:
    """Whether the printer answers client1."""
    try:
        return lab.inside("client1", lambda: status(PRINTER, PORT, patience=1.5)) == 200
    except OSError:
        return False


@pytest.mark.requirement("S4-22")
@pytest.mark.cell("local-lan", "ourselves")
@pytest.mark.parametrize("shape", ["network", "everywhere"])
@pytest.mark.parametrize("permits", [False, True], ids=["forbidden", "permitted"])
@pytest.mark.parametrize("asks", [False, True], ids=["not asked", "asked"])
def test_the_printer_is_reachable_only_where_both_say_so(
    lab: Lab, asks: bool, permits: bool, shape: str
) -> None:
    group = {"split_include": [], "split_exclude": [WHERE_THE_CLIENT_IS] if permits else []}
    with (
        OurGateway(lab, group=group) as gateway,
        OurClient(lab, profile={"topology": shape, "allow_local_lan": asks}) as client,
    ):
        with client.connected():
            assert prints(lab) == (asks and permits)
            prove_data(lab, "client1")
        assert prints(lab), "as before"
        gateway.wait_until_empty()


@pytest.mark.requirement("S4-22")
@pytest.mark.parametrize("shape", ["network", "everywhere"])
def test_a_network_that_the_gateway_names_as_its_own_is_its_own(lab: Lab, shape: str) -> None:
    group = {
        "split_include": [topology.PRIVATE, LAN],
        "split_exclude": [WHERE_THE_CLIENT_IS],
    }
    with (
        OurGateway(lab, group=group),
        OurClient(lab, profile={"topology": shape, "allow_local_lan": True}) as client,
        client.connected(),
    ):
        assert not prints(lab)
        prove_data(lab, "client1")
        notes = [each["fields"]["note"] for each in client.events("client.machine-note")]
        assert any(f"{LAN} is here and behind the gateway too" in note for note in notes)
