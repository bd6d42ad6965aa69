"""Landlock: what a process may read and write, given up by itself and for good.

https://docs.kernel.org/userspace-api/landlock.html; the numbers are those of <linux/landlock.h>. Also imported by
`supervisor.py` from its own folder, so it uses the standard library only.
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from typing import Any

SYS_CREATE_RULESET, SYS_ADD_RULE, SYS_RESTRICT_SELF = 444, 445, 446
"""The same on every architecture but alpha."""

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
READING = EXECUTE | READ_FILE | READ_DIR
FIRST_RIGHTS = (1 << 13) - 1
NET_TCP = 0b11
SCOPES = 0b11
"""No abstract socket and no signal to a process outside."""

SIGNALS_SINCE, NETWORK_SINCE, TRUNCATE_SINCE = 6, 4, 3

_libc = ctypes.CDLL(None, use_errno=True)


def abi() -> int:
    """Return the version that the kernel offers, 0 where it has none."""
    version: int = _libc.syscall(SYS_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(version, 0)


def rights(version: int) -> int:
    """Return every right on files that this version knows."""
    known = FIRST_RIGHTS
    for since, right in ((2, REFER), (TRUNCATE_SINCE, TRUNCATE), (5, IOCTL_DEV)):
        known |= right if version >= since else 0
    return known


def restrict(rules: dict[str, Any]) -> None:
    """Restrict this process to `rules`: lists of paths under `read`, `write` and `devices`, and `network`.

    Needs no_new_privs. A path that is not there is left out. Raises OSError.
    """
    version = abi()
    everything = rights(version)
    network = NET_TCP if version >= NETWORK_SINCE and not rules["network"] else 0
    attributes = struct.pack("=QQQ", everything, network, SCOPES)
    size = 24 if version >= SIGNALS_SINCE else 16 if version >= NETWORK_SINCE else 8
    ruleset = _libc.syscall(SYS_CREATE_RULESET, attributes, ctypes.c_size_t(size), ctypes.c_uint32(0))
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    devices = READING | WRITE_FILE | (everything & IOCTL_DEV) | (everything & TRUNCATE)
    for paths, allowed in ((rules["read"], READING), (rules["write"], everything), (rules["devices"], devices)):
        for path in paths:
            _allow(ruleset, path, allowed)
    if _libc.syscall(SYS_RESTRICT_SELF, ruleset, ctypes.c_uint32(0)) != 0:
        raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, allowed: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            allowed &= OF_FILES
        rule = struct.pack("=Qi", allowed, descriptor)
        if _libc.syscall(SYS_ADD_RULE, ruleset, ctypes.c_int(1), rule, ctypes.c_uint32(0)) != 0:
            raise OSError(ctypes.get_errno(), f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)
