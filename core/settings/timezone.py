"""The system's time zone, and which names are IANA zones."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from core.settings.problems import did_you_mean


def system_timezone(variables: Mapping[str, str]) -> str:
    """Return the system's IANA zone: TZ, /etc/timezone, where /etc/localtime points, else UTC."""
    candidates = [variables.get("TZ", "").removeprefix(":")]
    with contextlib.suppress(OSError, UnicodeDecodeError):
        candidates.append(Path("/etc/timezone").read_text(encoding="utf-8").strip())
    with contextlib.suppress(OSError):
        candidates.append(os.readlink("/etc/localtime"))
    for candidate in candidates:
        name = candidate.rpartition("zoneinfo/")[2]
        try:
            check_timezone(name)
        except ValueError:
            continue
        return name
    return "UTC"


def check_timezone(name: str) -> None:
    """Raise ValueError, with the nearest name there is, unless `name` is an IANA zone."""
    from zoneinfo import ZoneInfo, available_timezones

    try:
        if name.startswith(("posix/", "right/")) or name in ("localtime", "posixrules", "Factory"):
            raise ValueError("no IANA name")
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        cure = did_you_mean(name, available_timezones()) or "Write one as Europe/Rome."
        raise ValueError(f"{name!r} is no IANA time zone. {cure}") from None
