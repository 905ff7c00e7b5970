"""The virtual interface of the kernel's IPsec, where others have a TUN (docs/decisions/0160)."""

from __future__ import annotations

import os
from typing import cast

from culvert.changes.change import IpsecMade
from culvert.netio.netlink import Message, kernel
from culvert.netio.xfrm import KernelIpsec

KIND = "xfrm"


def any_number() -> int:
    """For an interface: the kernel refuses one that is taken, which one in four billion is."""
    return int.from_bytes(os.urandom(4), "big") | 1


def make(change: IpsecMade) -> bool:
    """Raises `PlatformError`."""
    with kernel(f"IPsec interface {change.interface}") as k:
        k.link("add", ifname=change.interface, kind=KIND, xfrm_if_id=change.number)
    return True


def undo_make(change: IpsecMade) -> str:
    """SAs and policies first. An interface of the same name with another number is another's."""
    with KernelIpsec(change.number) as hand:
        hand.flush()
    with kernel(f"IPsec interface {change.interface}") as k:
        for index in [one["index"] for one in k.link("dump") if _number_of(one) == change.number]:
            k.link("del", index=index)
    return ""


def _number_of(link: Message) -> int:
    """0 for an interface of another kind."""
    about = link.get_attr("IFLA_LINKINFO")
    if about is None or cast("Message", about).get_attr("IFLA_INFO_KIND") != KIND:
        return 0
    data = cast("Message", about).get_attr("IFLA_INFO_DATA")
    number = cast("Message", data).get_attr("IFLA_XFRM_IF_ID") if data is not None else 0
    return number if isinstance(number, int) else 0
