"""What is left of a gateway's first process when another one has taken its place: it keeps the
process id that a supervisor, a terminal or a script knows, passes signals on, and ends as the
gateway ends. A program of its own, of the standard library alone, so that it stays small:

    python -I -S keeper.py PID PIPE

``PID``: the process that serves. ``PIPE``: where one that is replaced writes its successor's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

PR_SET_CHILD_SUBREAPER = 36
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def keep(serving: int, pipe: int) -> int:
    """Until the last one has ended; its exit status."""
    current = [serving]

    def update() -> None:
        current[0] = newest(pipe) or current[0]

    def pass_on(number: int, _: object) -> None:
        update()
        with suppress(ProcessLookupError):
            os.kill(current[0], number)

    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.set_blocking(pipe, False)
    for number in PASSED_ON:
        signal.signal(number, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PASSED_ON)
    while True:
        pid, status = os.wait()
        update()
        if pid == current[0]:
            return os.waitstatus_to_exitcode(status)
        # else one that was replaced, or a worker whose monitor is gone


def newest(pipe: int) -> int:
    """The process that took over, 0 if none did."""
    try:
        lines = os.read(pipe, 4096).split()
    except BlockingIOError:
        return 0
    return int(lines[-1]) if lines else 0


if __name__ == "__main__":
    code = keep(int(sys.argv[1]), int(sys.argv[2]))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(code)
