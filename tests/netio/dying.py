"""A child process that kills itself (SIGKILL) at a chosen one of its system calls.

Steps are every call that can change the system, counted before and after: opening, writing (also
cut in the middle), forcing, renaming and removing files, and every message to the kernel. The
interpreter's own profiler sees them all, so that no step is forgotten when the code changes.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType

FILE_CALLS = {"open", "write", "fsync", "rename", "replace", "unlink", "symlink", "mkdir"}
FILE_CALLS |= {"ftruncate", "fchmod", "fchown", "chown"}
CHANGING = FILE_CALLS | {"sendto", "send", "sendmsg", "ioctl"}

FINISHED = 77


class Life:
    """Ends at step ``last``; a step is a call entered, and again the call returned."""

    def __init__(self, last: int) -> None:
        self._left = last

    def watch(self) -> None:
        self._write = os.write
        os.write = self._cut_write  # type: ignore[assignment]  # only ever given bytes here
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        if event in {"c_call", "c_return"} and getattr(argument, "__name__", "") in CHANGING:
            self._step()

    def _cut_write(self, descriptor: int, octets: bytes) -> int:
        if self._left == 0:
            sys.setprofile(None)  # the next line is not a step, it is half of one
            self._write(descriptor, octets[: len(octets) // 2])
        self._step()
        return self._write(descriptor, octets)

    def _step(self) -> None:
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1


def lives_through(what: Callable[[], None], last: int) -> bool:
    """Run ``what`` in a child that dies at step ``last``; whether it ended before that."""
    child = os.fork()
    if not child:
        try:
            Life(last).watch()
            what()
            os._exit(FINISHED)
        except BaseException:
            sys.setprofile(None)
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == FINISHED, "the child failed; its traceback stands above"
    return True
