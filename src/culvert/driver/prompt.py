"""Short turns, soon: what this process asks of the scheduler (sched_setattr(2), Linux 6.12).

A process that carries packets works for tens of microseconds and waits for the next one. With the
usual slice of a millisecond or more it waits, once woken, until somebody else's slice is over; who
asks for a short one goes first, and gets no more of the processor for it than before.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

SLICE = 100_000
"""Nanoseconds; the kernel grants no shorter one."""

_SCHED_OTHER = 0
_NUMBERS = {"x86_64": 314, "aarch64": 274}
_ATTRIBUTES = struct.Struct("=IIQiIQQQ")
"""struct sched_attr as far as every kernel knows it: size, policy, flags, nice, priority, runtime,
deadline, period."""


def take_short_turns() -> bool:
    """From now on, this thread and those it starts. False where it was refused, or somebody gave
    the process a scheduling of its own, which stays. Kernels before 6.12 agree and do nothing."""
    number = _NUMBERS.get(platform.machine())
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, _SCHED_OTHER, 0, nice, 0, SLICE, 0, 0)
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.syscall(number, 0, wanted, 0) == 0)
