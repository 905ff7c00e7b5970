"""A worker in which somebody else's code runs: what it tried, and what became of it, as one line of
JSON on standard error. Without arguments it tries the same unconfined."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable

from culvert.client import worker as client_worker
from culvert.gateway import vault_process, worker

FILES = ("/etc/passwd", "/proc/self/environ", os.environ.get("LD_LIBRARY_PATH", ""))
"""The last stands for the gateway's configuration: a variable that a worker is handed down."""


def attempts() -> dict[str, Callable[[], object]]:
    libc = ctypes.CDLL(None, use_errno=True)

    def ptrace() -> None:
        if libc.ptrace(16, os.getppid(), 0, 0):  # PTRACE_ATTACH
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(os.getppid(), 0)
        libc.ptrace(17, os.getppid(), 0, 0)  # PTRACE_DETACH

    return {
        **{f"read {path}": lambda path=path: open(path, "rb").read(1) for path in FILES if path},
        "list the root directory": lambda: os.listdir("/") or 1 / 0,
        "write a file": lambda: open("/tmp/culvert-hostile", "wb").close(),
        "make a socket": lambda: socket.socket().close(),
        "start a process": lambda: subprocess.run(["/bin/true"], check=True),
        "fork": lambda: os.waitpid(os.fork() or os._exit(0) or 0, 0),
        "become another program": _exec_in_a_child,
        "signal the monitor": lambda: os.kill(os.getppid(), 0),
        "debug the monitor": ptrace,
        "read the monitor's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").close(),
        "become root again": _become_root,
    }


def _become_root() -> None:
    os.setresuid(0, 0, 0)


def _exec_in_a_child() -> None:
    """Where a child can be had; where not, in this very process."""
    try:
        child = os.fork()
    except OSError:
        os.execv("/bin/true", ["true"])
    if child == 0:
        os.execv("/bin/true", ["true"])
    os.waitpid(child, 0)


def tried() -> dict[str, str]:
    found = {}
    for name, attempt in attempts().items():
        try:
            attempt()
            found[name] = "succeeded"
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    return found


def tell() -> None:
    sys.stderr.write("TRIED " + json.dumps(tried()) + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["worker", *words]:
            worker.main(words, hook=tell)
        case ["client", *words]:
            client_worker.main(words, hook=tell)
        case ["vault", *words]:
            vault_process.main(words, hook=tell)
        case _:
            tell()
