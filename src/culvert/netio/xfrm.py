"""The kernel's IPsec (XFRM), by netlink: SAs and policies of one virtual interface.

pyroute2 knows the interface, not what belongs to it (docs/decisions/0160), so the messages are our
own (`culvert.datapath.xfrm.messages`). The kernel answers inside the call that asks: a socket of
this kind never waits for anybody.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Self

from culvert.datapath.xfrm.layout import structure
from culvert.datapath.xfrm.messages import (
    DUMP,
    Request,
    add_state,
    all_policies,
    all_states,
    get_state,
    messages_in,
    put_policy,
    read_error,
    read_news,
    read_policy,
    read_state,
    remove_policy,
    remove_state,
)
from culvert.datapath.xfrm.orders import (
    News,
    Order,
    Policy,
    PolicyName,
    Seen,
    State,
    StateName,
)
from culvert.errors import MisuseError, PlatformError, WireError
from culvert.netio.netlink import KernelRefused, code_of, kernel
from culvert.tables.packet import PACKET_CIPHERS, PACKET_INTEGRITIES
from culvert.tables.xfrm import MESSAGES

OTHER_ENGINE = (
    "let user space carry it: CULVERT_ENGINE=user, or --engine user of the service or gateway"
)
"""`culvert up` has no such option: it may speak to a service that runs already."""

NETLINK_XFRM = 6  # <linux/netlink.h>
SOL_NETLINK, NETLINK_ADD_MEMBERSHIP = 270, 1
EXPIRIES, MAPPINGS = 2, 8  # XFRMNLGRP_…
LARGEST = 1 << 16
"""Octets of one read: the kernel fills at most 32 KiB of a dump."""
BUFFER = 4 << 20
"""Octets that may wait unread: the news of tens of thousands of SAs."""
PATIENCE = 5.0
"""Seconds for an answer that is there before the question returns: later, something is broken."""
NEWS = 256
"""Messages per `KernelIpsec.news`: the rest has its turn later."""

_SPI = 0x100
"""The first that RFC 4303 §2.1 does not reserve: of the SA that shows whether there is ESP."""
_LOOPBACK = "127.0.0.1"
_SHORT = 2
"""Seconds the kernel keeps it, should we die before we remove it."""


class KernelIpsec:
    """The hand of a process on SAs and policies of the virtual interface ``interface``. What
    belongs to another, or to none, is never touched."""

    def __init__(self, interface: int) -> None:
        self.interface = interface
        self._socket = _open()
        self._told: socket.socket | None = None
        self._numbers = count(1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """What was made stays."""
        self._socket.close()
        if self._told is not None:
            self._told.close()

    def carry_out(self, order: Order) -> None:
        """Make it, or remove what has this name. Raises PlatformError, and MisuseError for what
        cannot be said to the kernel.

        An SA that is there already stays as it is: who takes over a data path finds it in use.
        """
        match order:
            case State():
                self._add(order)
            case StateName():
                if self._owns(order):
                    self._do(remove_state(order), "end of an SA", missing=errno.ESRCH)
            case Policy():
                self._do(put_policy(order, self.interface), "policy")
            case PolicyName():
                request = remove_policy(order, self.interface)
                self._do(request, "end of a policy", missing=errno.ENOENT)

    def states(self) -> list[Seen]:
        """All of this interface. Raises PlatformError."""
        what = "list of SAs"
        answers = self._ask(all_states(), what)
        with _understood(what):
            found = [read_state(body) for kind, body in answers if kind == MESSAGES["new-sa"]]
        return [one for one in found if one.interface == self.interface]

    def state(self, name: StateName) -> Seen | None:
        """Raises PlatformError."""
        what = "look at an SA"
        try:
            answers = self._ask(get_state(name), what)
        except _Refused as refused:
            if refused.number == errno.ESRCH:
                return None
            raise
        for _, body in answers:
            with _understood(what):
                found = read_state(body)
            return found if found.interface == self.interface else None
        return None

    def policies(self) -> list[PolicyName]:
        """All of this interface. Raises PlatformError."""
        what = "list of policies"
        answers = self._ask(all_policies(), what)
        bodies = [body for kind, body in answers if kind == MESSAGES["new-policy"]]
        with _understood(what):
            found = [one for one in map(read_policy, bodies) if one is not None]
        return [name for name, interface in found if interface == self.interface]

    def flush(self) -> None:
        """Remove everything of this interface. Raises PlatformError."""
        for policy in self.policies():
            self.carry_out(policy)
        for one in self.states():
            self.carry_out(StateName(one.spi, one.destination))

    # --- what the kernel tells unasked ---------------------------------------------------------

    def listen(self) -> int:
        """From now on `news` tells; the descriptor to wait at. Raises PlatformError."""
        if self._told is None:
            self._told = _open()
            self._told.setblocking(False)
            for group in (EXPIRIES, MAPPINGS):
                self._told.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        return self._told.fileno()

    def news(self) -> list[News]:
        """What has come since, of all SAs of this machine; never waits."""
        found: list[News] = []
        for _ in range(NEWS if self._told is not None else 0):
            try:
                octets = self._told.recv(LARGEST) if self._told is not None else b""
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    continue  # more than the buffer holds: counters will tell
                break
            with suppress(WireError):
                for kind, body in messages_in(octets):
                    one = read_news(kind, body)
                    if one is not None:
                        found.append(one)
        return found

    # --- asking --------------------------------------------------------------------------------

    def _owns(self, name: StateName) -> bool:
        return self.state(name) is not None

    def _add(self, order: State) -> None:
        try:
            self._ask(add_state(order, self.interface), f"SA {order.spi:#010x}")
        except _Refused as refused:
            name = StateName(order.spi, order.destination)
            if refused.number != errno.EEXIST or not self._owns(name):
                raise

    def _do(self, request: Request, what: str, *, missing: int = 0) -> None:
        try:
            self._ask(request, what)
        except _Refused as refused:
            if refused.number != missing:
                raise

    def _ask(self, request: Request, what: str) -> list[tuple[int, bytes]]:
        sequence = next(self._numbers) & 0xFFFFFFFF
        head = structure("header")
        octets = head.pack(
            {
                "length": head.octets + len(request.body),
                "type": request.kind,
                "flags": request.flags,
                "sequence": sequence,
            }
        )
        try:
            self._socket.send(octets + request.body)
            with _understood(what):
                return list(self._answers(sequence, dump=request.flags & DUMP == DUMP))
        except _Refused as refused:
            raise _Refused(what, refused.number) from None
        except OSError as error:
            raise _Refused(what, error.errno or errno.EIO) from error

    def _answers(self, sequence: int, *, dump: bool) -> Iterator[tuple[int, bytes]]:
        """Up to the end of the answer. Raises _Refused, WireError and OSError."""
        while True:
            for kind, body in messages_in(self._socket.recv(LARGEST), sequence):
                if kind == MESSAGES["done"]:
                    return
                if kind == MESSAGES["error"]:
                    if refused := read_error(body):
                        raise _Refused("", refused)
                    return
                yield kind, body
                if not dump:
                    return


class _Refused(PlatformError):
    """The kernel's no."""

    def __init__(self, what: str, number_: int) -> None:
        self.number = number_
        action = OTHER_ENGINE
        if number_ in (errno.EPERM, errno.EACCES):
            action = "run as root, or with the capability CAP_NET_ADMIN"
        super().__init__(f"{what}: {os.strerror(number_)}", action=action)


@contextmanager
def _understood(what: str) -> Generator[None]:
    try:
        yield
    except WireError as error:
        raise PlatformError(
            f"{what}: the kernel's answer makes no sense ({error})",
            action=OTHER_ENGINE,
        ) from error


def _open() -> socket.socket:
    """Raises PlatformError."""
    try:
        opened = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_XFRM
        )
    except OSError as error:
        raise PlatformError(
            f"the kernel's IPsec cannot be spoken to: {error.strerror}",
            action=OTHER_ENGINE,
        ) from error
    opened.settimeout(PATIENCE)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    opened.bind((0, 0))
    return opened


# --- what this kernel has ----------------------------------------------------------------------


def why_not(cipher: str = "aes-gcm-16", integrity: str = "", key: int = 0) -> str:
    """Why the kernel's IPsec cannot carry this suite here; empty when it can.

    Asks the kernel to take an SA to the loopback address, which leads nowhere, and takes it back;
    the kernel loads what modules it has by itself. ``key``: octets of the cipher's key, 0 for the
    shortest there is.
    """
    row = PACKET_CIPHERS[cipher]
    added = PACKET_INTEGRITIES[integrity].key if integrity else 0
    zeros = bytes(key or row.keys[0])
    probe = State(
        _SPI,
        _LOOPBACK,
        _LOOPBACK,
        cipher,
        integrity,
        # Any key but a weak one, which the kernel refuses: DES has some, and 3DES three alike.
        bytes(range(1, 1 + len(zeros))),
        bytes(row.salt),
        bytes(range(added)),
        _SPI,
        seconds=_SHORT,
    )
    try:
        with KernelIpsec(int.from_bytes(os.urandom(4), "big") | 1) as hand:
            hand.carry_out(probe)
            hand.carry_out(StateName(_SPI, _LOOPBACK))
    except _Refused as refused:
        return _lacking("+".join(filter(None, (cipher, integrity))), refused.number)
    except (PlatformError, MisuseError) as error:
        return str(error)
    return ""


def _lacking(suite: str, number_: int) -> str:
    match number_:
        case errno.EPERM | errno.EACCES:
            return "that takes the right to administer the network (CAP_NET_ADMIN)"
        case errno.EPROTONOSUPPORT:
            return "this kernel has no ESP (module esp4)"
        case errno.ENOSYS | errno.ENOENT:
            return f"this kernel has no ESP with {suite}"
        case _:
            return f"this kernel takes no SA with {suite}: {os.strerror(number_)}"


def why_no_interface() -> str:
    """Why no virtual interface of IPsec can be made here; empty when one can.

    One with the number 0 is refused by every kernel that knows the kind. Blocks: for a thread.
    """
    try:
        with kernel("virtual IPsec interface") as k:
            try:
                k.link("add", ifname="culvert-try", kind="xfrm", xfrm_if_id=0)
            except KernelRefused as refused:
                if code_of(refused) == errno.EINVAL:
                    return ""
                if code_of(refused) == errno.EOPNOTSUPP:
                    return "this kernel has no virtual IPsec interfaces (module xfrm_interface)"
                raise
            # Kernels before 5.18 took it.
            k.link("del", ifname="culvert-try")
    except PlatformError as error:
        return error.what
    return ""
