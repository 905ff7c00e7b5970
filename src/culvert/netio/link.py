"""Network interfaces: seeing one, bringing it up with an MTU, its addresses."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
from collections.abc import Generator
from pathlib import Path

from culvert.changes.change import AddressAdded, LinkSet, TunMade
from culvert.changes.plan import Device
from culvert.errors import PlatformError
from culvert.netio.netlink import Kernel, KernelRefused, Message, code_of, kernel

IFF_UP = 1

NO_ADDRESS = "1"  # IN6_ADDR_GEN_MODE_NONE

_GONE = {errno.ENODEV, errno.ENXIO}


def see(interface: str) -> Device:
    """Raises `PlatformError` when there is no such interface."""
    with kernel(f"interface {interface}") as k:
        try:
            for message in k.link("get", ifname=interface):
                return _device(interface, message)
        except KernelRefused as error:
            if code_of(error) not in _GONE:
                raise
    raise PlatformError(
        f"there is no interface {interface}", action="the tunnel's device has gone; connect again"
    )


def set_up(change: LinkSet) -> bool:
    _no_link_local_address(change.interface)
    with kernel(f"MTU {change.mtu} of {change.interface}") as k:
        k.link("set", index=change.index, mtu=change.mtu, state="up")
    return True


def undo_set_up(change: LinkSet) -> str:
    with kernel(f"MTU of {change.interface}") as k, _gone_is_undone():
        now = _by_index(k, change.index)
        if now is None:
            return ""
        if now.mtu == change.mtu:
            k.link("set", index=change.index, mtu=change.mtu_before)
        if now.up and not change.up_before:
            k.link("set", index=change.index, state="down")
    return ""


def add_address(change: AddressAdded) -> bool:
    with kernel(f"address {change.address} of {change.interface}") as k:
        try:
            k.addr("add", **_address(change))
        except KernelRefused as error:
            if code_of(error) != errno.EEXIST:
                raise
            return False
    return True


def undo_add_address(change: AddressAdded) -> str:
    with kernel(f"address {change.address} of {change.interface}") as k:
        try:
            k.addr("del", **_address(change))
        except KernelRefused as error:
            if code_of(error) not in {errno.EADDRNOTAVAIL, *_GONE}:
                raise
    return ""


def delete_tun(change: TunMade) -> str:
    """A device that outlived its owner; the same name with another index is someone else's."""
    with kernel(f"device {change.interface}") as k, _gone_is_undone():
        if change.index and _by_index(k, change.index) is not None:
            k.link("del", index=change.index)
    return ""


@contextlib.contextmanager
def _gone_is_undone() -> Generator[None]:
    """A killed owner's device goes when the kernel likes: between our look and our act too."""
    try:
        yield
    except KernelRefused as error:
        if code_of(error) not in _GONE:
            raise


def _by_index(k: Kernel, index: int) -> Device | None:
    try:
        for message in k.link("get", index=index):
            return _device(str(message.get_attr("IFLA_IFNAME")), message)
    except KernelRefused as error:
        if code_of(error) not in _GONE:
            raise
    return None


def _device(interface: str, message: Message) -> Device:
    mtu = message.get_attr("IFLA_MTU")
    return Device(
        interface,
        message["index"],
        mtu if isinstance(mtu, int) else 0,
        bool(message["flags"] & IFF_UP),
    )


def _address(change: AddressAdded) -> dict[str, object]:
    family = 10 if ipaddress.ip_address(change.address).version == 6 else 2
    return {
        "index": change.index,
        "address": change.address,
        "prefixlen": change.prefix_length,
        "family": family,
    }


def _no_link_local_address(interface: str) -> None:
    """A tunnel for IPv4 must not send router solicitations of its own into it.

    A setting of the device itself: it goes with the device, so it is not in the undo log.
    """
    with contextlib.suppress(OSError):  # a kernel without IPv6 has no such file
        Path(f"/proc/sys/net/ipv6/conf/{interface}/addr_gen_mode").write_text(NO_ADDRESS)
