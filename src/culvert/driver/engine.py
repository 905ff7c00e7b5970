"""Which engine of the data path this process uses: the compiled one where it can, else Python's;
the kernel's own IPsec where it is asked for."""

from __future__ import annotations

import ctypes.util
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from culvert.datapath.fragmentation import Policy
from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.datapath.python_engine import PythonEngine
from culvert.errors import PlatformError
from culvert.esp.batch import Kernel, load
from culvert.inet.marks import ALL
from culvert.netio.xfrm import why_no_interface, why_not
from culvert.rng import Random

ENGINE_VARIABLE = "CULVERT_ENGINE"
LIBCRYPTO_VARIABLE = "CULVERT_LIBCRYPTO"

_USUAL = ("libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1")


class Wish(StrEnum):
    """What whoever starts the process asked for."""

    AUTO = "auto"
    XFRM = "xfrm"
    USER = "user"
    PYTHON = "python"
    KERNEL = "kernel"


@dataclass(frozen=True, slots=True)
class Choice:
    """``kernel`` is None for the pure engine; ``reason`` is one line for whoever asks why.
    ``ipsec``: the kernel's own, and ``user`` is what serves where that cannot."""

    kernel: Kernel | None
    reason: str
    ipsec: bool = False
    user: Choice | None = None

    @property
    def name(self) -> str:
        if self.ipsec:
            return "xfrm"
        return "kernel" if self.kernel else "python"

    def beside(self, why: str) -> Choice:
        """The one of user space, if there is a reason ``why`` the kernel's IPsec cannot serve."""
        if self.user is None or not why:
            return self
        return replace(self.user, reason=f"{self.user.reason}, for {why}")

    def able(self, *, transport: bool, compression: bool) -> Choice:
        """One that has transport mode or IPComp, which the compiled kernel has not."""
        if self.ipsec or self.kernel is None or not (transport or compression):
            return self
        what = "transport mode" if transport else "compression (IPComp)"
        return Choice(None, f"pure Python, for {what} is not in the compiled engine")

    def make(
        self,
        rng: Random,
        *,
        copied: int = ALL,
        cut: Policy = Policy.BEFORE_WITH_ICMP,
        largest: int = 0,
    ) -> Plane:
        """A fresh engine. ``copied``: bits of DSCP and ECN for the outside. ``cut``: where packets
        are that are larger than fits or than ``largest``."""
        if self.kernel is None:
            return PythonEngine(rng, copied=copied, cut=cut, largest=largest)
        return KernelEngine(self.kernel, rng, copied=copied, cut=cut, largest=largest)


def choose(wish: str = "", *, environment: Mapping[str, str] = os.environ) -> Choice:
    """The option first, then the environment, then what there is. Raises PlatformError."""
    word = wish or environment.get(ENGINE_VARIABLE, "") or Wish.AUTO
    if word not in tuple(Wish):
        raise PlatformError(
            f"there is no engine {word!r}", action=f"choose one of: {', '.join(Wish)}"
        )
    if word == Wish.PYTHON:
        return Choice(None, "pure Python, as asked for")
    if word == Wish.XFRM:
        return _ipsec(environment, asked=True)
    found = _kernel(environment.get(LIBCRYPTO_VARIABLE, ""))
    if isinstance(found, Kernel):
        return Choice(found, f"compiled kernel with {found.libcrypto}")
    if word == Wish.KERNEL:
        raise PlatformError(
            f"the compiled engine cannot be used: {found}",
            action="leave out --engine kernel, or install culvert where a C compiler is",
        )
    return Choice(None, f"pure Python, for the compiled engine cannot be used: {found}")


def _ipsec(environment: Mapping[str, str], *, asked: bool) -> Choice:
    """The kernel's IPsec, or what serves in its place. Raises PlatformError if it was ``asked``
    for and cannot be had."""
    user = choose(Wish.USER, environment=environment)
    why = kernel_ipsec()
    if not why:
        return Choice(None, "the kernel's own IPsec (XFRM)", ipsec=True, user=user)
    if asked:
        raise PlatformError(
            f"the kernel's IPsec cannot be used: {why}",
            action="leave out --engine xfrm: user space does the same",
        )
    return user


def kernel_ipsec() -> str:
    """Why the kernel's own IPsec cannot be used here; empty when it can."""
    return why_not() or why_no_interface()


@cache
def _kernel(libcrypto: str) -> Kernel | str:
    """Loaded once per process: all engines share it."""
    return load([libcrypto] if libcrypto else libcryptos())


def libcryptos() -> Iterator[str]:
    """Where libcrypto may be, best first: the one that this interpreter itself has loaded."""
    hashlib.new("sha256")  # so that its libcrypto is mapped
    maps = Path("/proc/self/maps")
    if maps.exists():
        for line in maps.read_text().splitlines():
            path = line.rpartition(" ")[2]
            if "/libcrypto" in path and ".so" in path:
                yield path
                break
    yield from _USUAL
    if found := ctypes.util.find_library("crypto"):
        yield found
