"""Engines of the data path in user space: the compiled one where it can be had, else Python's."""

from __future__ import annotations

import ctypes.util
import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path

from culvert.datapath.fragmentation import Policy
from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.datapath.python_engine import PythonEngine
from culvert.driver.shared_object import cut_short, fingerprint
from culvert.errors import PlatformError
from culvert.esp import batch
from culvert.esp.batch import Fault, Kernel, Unusable, load
from culvert.inet.marks import ALL
from culvert.rng import Random

ENGINE_VARIABLE = "CULVERT_ENGINE"
LIBCRYPTO_VARIABLE = "CULVERT_LIBCRYPTO"

CURES: Mapping[Fault, str] = {
    Fault.NOT_BUILT: "install culvert where a C compiler is",
    Fault.DAMAGED: "install culvert anew",
    Fault.OTHER: "install culvert anew",
    Fault.NO_LIBCRYPTO: "install OpenSSL's libcrypto (Debian: libssl3)",
}

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
    """``kernel`` is None for the pure engine; ``reason`` is one line for whoever asks why, and
    ``cure`` what gives a faster one.
    ``ipsec``: the kernel's own, and ``user`` is what serves where that cannot."""

    kernel: Kernel | None
    reason: str
    ipsec: bool = False
    user: Choice | None = None
    cure: str = ""

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


def user_engine(word: str, *, environment: Mapping[str, str] = os.environ) -> Choice:
    """The one of this name (`Wish`), or what there is. Raises PlatformError."""
    if word == Wish.PYTHON:
        asked = environment.get(ENGINE_VARIABLE, "") == Wish.PYTHON
        given = f"{ENGINE_VARIABLE}=python" if asked else "--engine python"
        return Choice(None, "pure Python, as asked for", cure=f"leave out {given}")
    libcrypto = environment.get(LIBCRYPTO_VARIABLE, "")
    found = _kernel(libcrypto)
    if isinstance(found, Kernel):
        return Choice(found, str(found))
    cure = CURES[found.fault]
    if found.fault == Fault.NO_LIBCRYPTO and libcrypto:
        cure = f"leave out {LIBCRYPTO_VARIABLE}"
    if word == Wish.KERNEL:
        raise PlatformError(
            f"the compiled engine cannot be used: {found.why}",
            action="leave out CULVERT_ENGINE=kernel, or --engine kernel of the service or "
            f"gateway; or {cure}",
        )
    why = f"pure Python, for the compiled engine cannot be used: {found.why}"
    return Choice(None, why, cure=cure)


@cache
def _kernel(libcrypto: str) -> Kernel | Unusable:
    """Loaded once per process: all engines share it."""
    place = Path(batch.SHARED_OBJECT)
    if cut_short(place):
        return Unusable(Fault.DAMAGED, f"{place} is damaged")
    sources = ""
    with suppress(OSError):  # whoever may not read them has the version to go by
        sources = fingerprint(place.parent)
    return load([libcrypto] if libcrypto else libcryptos(), sources=sources)


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
