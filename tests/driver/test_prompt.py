"""Short turns at the processor, in a process of their own: they last."""

from __future__ import annotations

import os
import platform
import struct
import subprocess
import sys

import pytest

from culvert.driver.prompt import SLICE

KNOWS = (6, 12)
READS = {"x86_64": 315, "aarch64": 275}  # sched_getattr
PROGRAM = """
import ctypes, sys, threading
from culvert.driver.prompt import take_short_turns
def told():
    held = ctypes.create_string_buffer(48)
    assert ctypes.CDLL(None).syscall(int(sys.argv[1]), 0, held, 48, 0) == 0
    print(held.raw.hex())
print(take_short_turns())
told()
thread = threading.Thread(target=told)
thread.start()
thread.join()
"""


def run(*before: str) -> list[str]:
    number = READS.get(platform.machine())
    if number is None:
        pytest.skip("no numbers of system calls for this processor")
    command = [*before, sys.executable, "-c", PROGRAM, str(number)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return said.stdout.split()


@pytest.mark.skipif(
    os.sched_getscheduler(0) != os.SCHED_OTHER, reason="these tests run with another scheduling"
)
def test_a_process_and_its_threads_get_short_turns_at_their_own_priority() -> None:
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    took, *found = run("nice", "-n", "3")
    assert took == "True"
    for one in found:
        _, policy, _, nice, _, runtime, *_ = struct.unpack("=IIQiIQQQ", bytes.fromhex(one))
        assert (policy, nice) == (os.SCHED_OTHER, min(os.getpriority(os.PRIO_PROCESS, 0) + 3, 19))
        assert runtime == (SLICE if release >= KNOWS else 0)


def test_a_scheduling_that_somebody_chose_stays() -> None:
    took, *found = run("chrt", "--idle", "0")
    assert took == "False"
    for one in found:
        assert struct.unpack("=IIQiIQQQ", bytes.fromhex(one))[1] == os.SCHED_IDLE
