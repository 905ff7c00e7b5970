"""Confinement: this process gives up all it does not need, for good (Linux).

    empty root, no capability, a user of its own · no new privileges · no file, process, socket
    or debugger ever again (seccomp: whatever is not listed fails with EPERM) · no core dumps

What it still has are the descriptors it was given. Each step that the system does not offer is
named in what `confine` returns; the rest holds without it.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import pwd
import resource
import struct
from pathlib import Path

USER = "culvert"
"""Used where the machine has such a user; else `NOBODY`."""
NOBODY = 65534

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 4, 22, 38
SECCOMP_MODE_FILTER = 2

_RET_ALLOW, _RET_ERRNO, _RET_KILL = 0x7FFF0000, 0x00050000, 0x80000000
_LOAD, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ANY_OF, _CLONE_THREAD = 0x45, 0x00010000
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_X32 = 0x40000000

# What a loop over open descriptors needs (linux/unistd.h); nothing that names a file, a process or
# an address.
_X86_64 = (0xC000003E, (
    0, 1, 3, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 19, 20, 23, 24, 25, 28, 39, 44, 45, 46, 47, 48,
    51, 52, 55, 60, 72, 96, 98, 131, 186, 201, 202, 204, 213, 219, 228, 229, 230, 231, 232, 233,
    270, 271, 273, 281, 291, 299, 307, 318, 324, 334, 441,
))  # fmt: skip
_AARCH64 = (0xC00000B7, (
    20, 21, 22, 25, 57, 62, 63, 64, 65, 66, 72, 73, 80, 93, 94, 96, 98, 99, 101, 113, 114, 115,
    123, 124, 128, 132, 134, 135, 139, 165, 169, 172, 178, 204, 205, 206, 207, 209, 210, 211, 212,
    214, 215, 216, 222, 226, 233, 243, 269, 278, 283, 293, 441,
))  # fmt: skip
_THREADS = {"x86_64": (56, 435, 140, 141), "aarch64": (220, 435, 140, 141)}
_FILTERS = {"x86_64": _X86_64, "aarch64": _AARCH64}


def confine(empty: Path, *, threads: bool = False) -> tuple[str, ...]:
    """From here on there is no way back. ``empty``: a directory with nothing in it, the root from
    now on. ``threads``: it may start some of its own, at its own priority. Returns what this system
    did not offer, as sentences."""
    missing: list[str] = []
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.geteuid() == 0:
        try:
            _leave_root(empty)
        except PermissionError:
            missing.append(
                "root here lacks CAP_SYS_CHROOT, CAP_SETUID or CAP_SETGID: no user or no root "
                "directory of its own"
            )
        if not threads:  # which count as processes
            resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    else:
        missing.append("it was not started by root: no user and no root directory of its own")
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        missing.append("this kernel has no PR_SET_NO_NEW_PRIVS")
    elif problem := _filter(libc, threads=threads):
        missing.append(problem)
    return tuple(missing)


def _leave_root(empty: Path) -> None:
    uid, gid = _own_user()
    os.chroot(empty)
    os.chdir("/")
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def _own_user() -> tuple[int, int]:
    try:
        user = pwd.getpwnam(USER)
    except KeyError:
        return NOBODY, NOBODY
    return user.pw_uid, user.pw_gid


def _filter(libc: ctypes.CDLL, *, threads: bool) -> str:
    """Everything but the listed system calls fails; empty, or why there is no filter."""
    known = _FILTERS.get(platform.machine())
    if known is None:
        return f"no list of system calls for {platform.machine()}: no seccomp filter"
    code = _program(*known, _THREADS[platform.machine()] if threads else ())
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HP", len(code) // 8, ctypes.addressof(held))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0):
        return f"no seccomp filter: {os.strerror(ctypes.get_errno())}"
    return ""


def _program(architecture: int, allowed: tuple[int, ...], threads: tuple[int, ...] = ()) -> bytes:
    """Classic BPF over struct seccomp_data (seccomp(2)). ``threads``: clone, clone3, and what sets
    priorities."""
    refuse = _RET_ERRNO | errno.EPERM
    steps = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_EQUALS, 1, 0, architecture),
        (_RETURN, 0, 0, _RET_KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, refuse),
    ]
    if threads:
        clone, clone3, *priorities = threads
        steps += [
            # Its flags stand in memory, where nobody can look; without it clone is called.
            (_EQUALS, 0, 1, clone3),
            (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS),
            (_EQUALS, 0, 4, clone),
            (_LOAD, 0, 0, _FIRST_ARGUMENT_AT),
            (_ANY_OF, 0, 1, _CLONE_THREAD),
            (_RETURN, 0, 0, _RET_ALLOW),
            (_RETURN, 0, 0, refuse),
        ]
        allowed = (*allowed, *priorities)
    for number in allowed:
        steps += [(_EQUALS, 0, 1, number), (_RETURN, 0, 0, _RET_ALLOW)]
    steps.append((_RETURN, 0, 0, refuse))
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
