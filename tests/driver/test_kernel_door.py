"""The worker's way to the kernel's IPsec: what passes, and what a captured worker cannot do."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from culvert.datapath.xfrm.messages import add_state
from culvert.datapath.xfrm.orders import Order, Policy, PolicyName, Seen, State, StateName
from culvert.driver.kernel_door import PAGE, KernelDoor
from culvert.driver.message import MessageError, written
from culvert.driver.remote_hand import RemoteHand
from culvert.errors import PlatformError
from culvert.netio.xfrm import KernelIpsec

STATE = State(
    0x1234, "192.0.2.1", "192.0.2.2", "aes-gcm-16", "", bytes(16), bytes(4), b"", 1, 4500, 4500
)
POLICY = Policy("in", "10.9.0.5/32", "10.0.0.0/24", "192.0.2.2", "192.0.2.1", 1)


@dataclass
class Tables:
    """What would stand in the kernel."""

    done: list[Order] = field(default_factory=list[Order])
    standing: list[Seen] = field(default_factory=list[Seen])
    flushed: int = 0

    def carry_out(self, order: Order) -> None:
        if isinstance(order, State) and order.spi == 0xBAD:
            raise PlatformError("the kernel says no", action="ask it why")
        self.done.append(order)

    def state(self, name: StateName) -> Seen | None:
        return next((one for one in self.standing if one.spi == name.spi), None)

    def states(self) -> list[Seen]:
        return self.standing

    def flush(self) -> None:
        self.flushed += 1


@pytest.fixture
def tables() -> Tables:
    return Tables()


@pytest.fixture
def line(tables: Tables) -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair()
    KernelDoor(cast("KernelIpsec", tables)).serve(theirs)
    with ours:
        yield ours


def test_orders_arrive_as_they_were_given(tables: Tables, line: socket.socket) -> None:
    hand = RemoteHand(line)
    orders = (STATE, POLICY, PolicyName("in", "10.9.0.5/32", "10.0.0.0/24"), StateName(1, "::1"))
    for order in orders:
        hand.carry_out(order)
    assert tuple(tables.done) == orders


def test_a_fresh_worker_finds_nothing_of_the_one_before(
    tables: Tables, line: socket.socket
) -> None:
    RemoteHand(line).carry_out(POLICY)
    assert tables.flushed == 1


def test_the_kernels_refusal_reaches_the_worker_in_words(line: socket.socket) -> None:
    hand = RemoteHand(line)
    refused = State(0xBAD, "192.0.2.1", "192.0.2.2", "null", "", b"", b"", b"", 1)
    with pytest.raises(PlatformError, match="the kernel says no") as caught:
        hand.carry_out(refused)
    assert caught.value.action == "ask it why"
    hand.carry_out(STATE)


@pytest.mark.parametrize("asked", [replace(STATE, spi=-1), replace(STATE, soft_octets=1 << 64)])
def test_a_number_for_which_the_kernel_has_no_room_is_refused_in_words(asked: State) -> None:
    class Hand(Tables):
        def carry_out(self, order: Order) -> None:
            assert isinstance(order, State)
            add_state(order, 1)

    ours, theirs = socket.socketpair()
    with ours:
        KernelDoor(cast("KernelIpsec", Hand())).serve(theirs)
        with pytest.raises(PlatformError, match="has no room for a number"):
            RemoteHand(ours).carry_out(asked)


def test_a_long_table_comes_in_pages_and_whole(tables: Tables, line: socket.socket) -> None:
    tables.standing = [Seen(n, "192.0.2.2", 1, n, n, 0, 0) for n in range(1, 2 * PAGE + 7)]
    hand = RemoteHand(line)
    assert hand.states() == tables.standing
    assert hand.state(StateName(3, "192.0.2.2")) == tables.standing[2]
    assert hand.state(StateName(999_999, "192.0.2.2")) is None


@pytest.mark.parametrize(
    "asked", [["flush"], ["do", "everything"], ["look", PolicyName("in", "::/0", "::/0")], [], 7]
)
def test_who_asks_for_anything_else_finds_the_door_closed(
    tables: Tables, line: socket.socket, asked: object
) -> None:
    line.sendall(written(asked).encode() + b"\n")
    assert line.recv(100) == b""
    assert not tables.done
    with pytest.raises((MessageError, OSError)):
        RemoteHand(line).carry_out(STATE)
