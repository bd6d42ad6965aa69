"""The environment of a command: a short list of variables, and nothing that Rekku's own environment holds besides."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def command_environment(*, home: Path, temporary: str, timezone: str, terminal: str) -> dict[str, str]:
    """Return the variables of a command.

    home: the writable directory, which is HOME too. temporary: TMPDIR. terminal: TERM, such as "dumb".
    """
    user = _user()
    return {
        "PATH": os.environ.get("PATH") or DEFAULT_PATH,
        "HOME": str(home),
        "TMPDIR": temporary,
        "LANG": _language(),
        "TERM": terminal,
        "TZ": timezone,
        "USER": user,
        "LOGNAME": user,
        "SHELL": "/bin/sh",
    }


def _language() -> str:
    """A locale in UTF-8: the installation's own if it is one."""
    own = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return own if own.upper().endswith(("UTF-8", "UTF8")) else "C.UTF-8"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
