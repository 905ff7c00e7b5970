"""Engines as the tests make them: the pure one, and the compiled one where it was built."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from culvert.datapath.kernel_engine import KernelEngine
from culvert.datapath.plane import Plane
from culvert.datapath.python_engine import PythonEngine
from culvert.driver.user_engine import libcryptos
from culvert.esp.batch import Kernel, Unusable, load
from culvert.rng import Random

Make = Callable[..., Plane]


@cache
def kernel() -> Kernel:
    """The compiled kernel; a machine that cannot build it has nothing to test here."""
    found = load(libcryptos())
    if isinstance(found, Unusable):
        pytest.skip(f"no compiled engine: {found.why}")
    return found


def make(kind: str, rng: Random, **options: Any) -> Plane:
    return (
        KernelEngine(kernel(), rng, **options) if kind == "kernel" else PythonEngine(rng, **options)
    )
