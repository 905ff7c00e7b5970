"""Orders of the coordinator as they reach the kernel, with a kernel made of two tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from culvert.datapath.plane import BARE, Counters, Worn
from culvert.datapath.xfrm.orders import (
    Expired,
    Order,
    Policy,
    PolicyName,
    Remapped,
    Seen,
    State,
    StateName,
)
from culvert.datapath.xfrm.plane import KernelPlane
from culvert.effects import InstallSa, SaHalf
from culvert.errors import MisuseError, PlatformError

HERE, PEER = "192.0.2.1", ("198.51.100.7", 61234)


class Tables:
    """What the kernel would hold; ``refuses`` an SA of this SPI."""

    def __init__(self) -> None:
        self.sas: dict[StateName, State] = {}
        self.policies: dict[PolicyName, Policy] = {}
        self.carried: dict[StateName, tuple[int, int]] = {}
        self.refuses = 0

    def carry_out(self, order: Order) -> None:
        match order:
            case State():
                if order.spi == self.refuses:
                    raise PlatformError("no")
                self.sas[StateName(order.spi, order.destination)] = order
            case StateName():
                self.sas.pop(order, None)
            case Policy():
                name = PolicyName(order.direction, order.source, order.destination)
                self.policies[name] = order
            case PolicyName():
                del self.policies[order]

    def state(self, name: StateName) -> Seen | None:
        found = self.sas.get(name)
        octets, packets = self.carried.get(name, (0, 0))
        if found is None:
            return None
        return Seen(
            name.spi, name.destination, 1, octets, packets, 0, 0, packets, packets, b"\1" * 128
        )

    def states(self) -> Sequence[Seen]:
        return list(self._all())

    def _all(self) -> Iterator[Seen]:
        for name in self.sas:
            if (seen := self.state(name)) is not None:
                yield seen


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def plane(tables: Tables) -> KernelPlane:
    made = KernelPlane(tables)
    made.heard(PEER[0], HERE)
    return made


def pair(number: int = 1, session: int = 7) -> InstallSa:
    return InstallSa(
        session,
        number,
        "aes-gcm-16",
        "",
        SaHalf(0x1000 + number + session * 16, bytes(16), bytes(4), b""),
        SaHalf(0x2000 + number + session * 16, bytes(16), bytes(4), b""),
        ("10.0.0.0/24",),
        ("10.9.0.5/32",),
        PEER,
        4500,
        udp_encapsulated=True,
    )


OUT = PolicyName("out", "10.0.0.0/24", "10.9.0.5/32")
IN = PolicyName("in", "10.9.0.5/32", "10.0.0.0/24")
FORWARD = replace(IN, direction="forward")


def test_a_pair_is_two_sas_that_end_where_the_peer_called(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(order := pair())
    into = tables.sas[StateName(order.inbound.spi, HERE)]
    out = tables.sas[StateName(order.outbound.spi, PEER[0])]
    assert (into.source, into.source_port, into.destination_port) == (*PEER, 4500)
    assert (out.source, out.source_port, out.destination_port) == (HERE, 4500, PEER[1])
    assert into.request == out.request == order.session


def test_packets_leave_only_by_a_pair_that_was_activated(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(order := pair())
    assert set(tables.policies) == {IN, FORWARD}
    plane.activate(order.session, order.pair)
    assert tables.policies[OUT].spi == order.outbound.spi


def test_a_renewal_changes_over_and_the_older_pair_still_opens(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(old := pair(1))
    plane.activate(7, 1)
    plane.install(new := pair(2))
    assert tables.policies[OUT].spi == old.outbound.spi
    plane.activate(7, 2)
    assert tables.policies[OUT].spi == new.outbound.spi
    assert len(tables.sas) == 4
    plane.remove(7, 1)
    assert tables.policies[OUT].spi == new.outbound.spi
    assert set(tables.policies) == {IN, OUT, FORWARD}
    assert {name.spi for name in tables.sas} == {new.inbound.spi, new.outbound.spi}


def test_when_the_youngest_pair_ends_first_the_older_one_carries_again(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(old := pair(1))
    plane.install(pair(2))
    plane.activate(7, 1)
    plane.activate(7, 2)
    plane.remove(7, 2)
    assert tables.policies[OUT].spi == old.outbound.spi


def test_a_session_that_takes_anothers_place_keeps_its_policies_when_that_one_ends(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(pair(1, session=7))
    plane.activate(7, 1)
    plane.install(pair(1, session=8))
    plane.activate(8, 1)
    plane.forget(7)
    assert {policy.request for policy in tables.policies.values()} == {8}
    plane.forget(8)
    assert not tables.policies
    assert not tables.sas


def test_a_pair_the_kernel_refuses_half_of_leaves_nothing(
    plane: KernelPlane, tables: Tables
) -> None:
    order = pair()
    tables.refuses = order.outbound.spi
    with pytest.raises(PlatformError):
        plane.install(order)
    assert not tables.sas
    assert not tables.policies
    tables.refuses = 0
    plane.install(order)


def test_a_peer_that_moved_keeps_its_sequence_numbers_window_and_counters(
    plane: KernelPlane, tables: Tables
) -> None:
    plane.install(order := pair())
    plane.activate(7, 1)
    tables.carried = {
        StateName(order.inbound.spi, HERE): (500, 5),
        StateName(order.outbound.spi, PEER[0]): (900, 9),
    }
    elsewhere = ("203.0.113.9", 4500)
    plane.move(7, elsewhere, 4500)
    out = tables.sas[StateName(order.outbound.spi, elsewhere[0])]
    into = tables.sas[StateName(order.inbound.spi, HERE)]
    assert out.sequence == 9
    assert (into.source, into.highest, into.seen) == (elsewhere[0], 5, b"\1" * 128)
    assert tables.policies[OUT].far == tables.policies[IN].near == elsewhere[0]
    assert len(tables.sas) == 2
    tables.carried = {}
    plane.look(1.0)
    assert plane.traffic(7).octets_out == 900


def test_counters_are_the_kernels_and_outlive_a_pair(plane: KernelPlane, tables: Tables) -> None:
    plane.install(order := pair())
    tables.carried = {StateName(order.inbound.spi, HERE): (500, 5)}
    plane.look(10.0)
    counted = Counters(500, 0, 5, 0, last_inbound=10.0)
    assert plane.traffic(7) == counted
    plane.look(11.0)
    assert plane.traffic(7).last_inbound == 10.0
    plane.remove(7, 1)
    plane.look(12.0)
    assert plane.traffic(7) == counted
    assert plane.traffic(99) == Counters()


def test_what_the_kernel_tells_of_an_sa_names_its_session_and_pair(plane: KernelPlane) -> None:
    plane.install(order := pair())
    spi = order.inbound.spi
    soft, hard = Expired(spi, HERE, hard=False), Expired(spi, HERE, hard=True)
    assert plane.told([soft, soft, Expired(1, HERE, hard=True)]) == ([(7, 1, False)], [])
    assert plane.told([hard]) == ([(7, 1, True)], [])
    moved = Remapped(spi, HERE, "203.0.113.9", 999)
    assert plane.told([moved]) == ([], [(7, ("203.0.113.9", 999), 4500)])


def test_what_the_kernel_leaves_on_the_port_is_ike(plane: KernelPlane) -> None:
    found = plane.from_network([(bytes(4) + b"ike", PEER), (b"\1\2\3\4esp", PEER)], 0.0)
    assert found.ike == [(b"ike", PEER)]
    assert not plane.from_tunnel([b"packet"], 0.0).bursts


def test_a_small_block_cipher_is_renewed_at_its_own_volume(
    plane: KernelPlane, tables: Tables
) -> None:
    order = replace(pair(), cipher="3des-cbc", integrity="hmac-sha1-96", soft_octets=5_000_000_000)
    plane.install(order)
    assert tables.sas[StateName(order.inbound.spi, HERE)].soft_octets == 1_000_000_000


def test_a_client_without_its_port_tells_the_kernel_the_real_one(tables: Tables) -> None:
    plane = KernelPlane(tables, {4500: 40123})
    plane.heard(PEER[0], HERE)
    plane.install(order := pair())
    assert tables.sas[StateName(order.outbound.spi, PEER[0])].source_port == 40123


def test_plain_esp_has_no_ports(plane: KernelPlane, tables: Tables) -> None:
    order = replace(pair(), udp_encapsulated=False, local_port=BARE, peer=(PEER[0], 0))
    plane.install(order)
    out = tables.sas[StateName(order.outbound.spi, PEER[0])]
    assert (out.source_port, out.destination_port) == (0, 0)


@pytest.mark.parametrize(
    "order",
    [
        replace(pair(), transport=True),
        replace(pair(), compression="deflate"),
        replace(pair(), peer=("192.0.2.99", 4500)),
    ],
    ids=["transport", "compression", "a peer never heard"],
)
def test_what_the_kernel_cannot_carry_is_refused(plane: KernelPlane, order: InstallSa) -> None:
    with pytest.raises(MisuseError):
        plane.install(order)


def test_what_the_kernel_told_nobody_heard_is_found_at_the_next_look(
    plane: KernelPlane, tables: Tables
) -> None:
    order = replace(pair(), soft_octets=1000, hard_octets=2000)
    plane.install(order)
    into = StateName(order.inbound.spi, HERE)
    assert plane.look(1.0) == []
    tables.carried[into] = (1000, 1)
    assert plane.look(2.0) == [Worn(7, 1)]
    assert plane.told([Expired(into.spi, into.destination, hard=False)]) == ([], [])
    del tables.sas[into]
    assert plane.look(3.0) == [Worn(7, 1, spent=True)]
    assert plane.told([Expired(into.spi, into.destination, hard=True)]) == ([], [])
    assert plane.look(4.0) == []
    plane.remove(7, 1)
    assert tables.sas == {}
    assert plane.look(5.0) == []
