"""Which engine of the data path this process uses: the kernel's own IPsec where it has ESP, else
the compiled one where that can be had, else Python's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from culvert.driver.user_engine import ENGINE_VARIABLE, Choice, Wish, user_engine
from culvert.errors import PlatformError
from culvert.netio.xfrm import why_no_interface, why_not


def choose(wish: str = "", *, environment: Mapping[str, str] = os.environ) -> Choice:
    """The option first, then the environment, then what there is. Raises PlatformError."""
    word = wish or environment.get(ENGINE_VARIABLE, "") or Wish.AUTO
    if word not in tuple(Wish):
        raise PlatformError(
            f"there is no engine {word!r}", action=f"choose one of: {', '.join(Wish)}"
        )
    if word in (Wish.XFRM, Wish.AUTO):
        return _ipsec(environment, asked=word == Wish.XFRM)
    return user_engine(word, environment=environment)


def _ipsec(environment: Mapping[str, str], *, asked: bool) -> Choice:
    """The kernel's IPsec, or what serves in its place. Raises PlatformError if it was ``asked``
    for and cannot be had."""
    user = user_engine(Wish.USER, environment=environment)
    why = kernel_ipsec()
    if not why:
        return Choice(None, "the kernel's own IPsec (XFRM)", ipsec=True, user=user)
    if asked:
        raise PlatformError(
            f"the kernel's IPsec cannot be used: {why}",
            action="user space does the same: leave out CULVERT_ENGINE=xfrm, or --engine xfrm of "
            "the service or gateway",
        )
    return replace(user, reason=f"{user.reason}; not the kernel's IPsec, for {why}")


def kernel_ipsec() -> str:
    """Why the kernel's own IPsec cannot be used here; empty when it can."""
    return why_not() or why_no_interface()
