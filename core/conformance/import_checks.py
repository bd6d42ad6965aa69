"""Checks of the import of a component: it takes little, and does nothing."""

from __future__ import annotations

import gc
import os
import sys
import time
from pathlib import Path
from typing import Any

from core.conformance.call_watch import CallWatch
from core.conformance.findings import Findings
from core.conformance.leftovers import left_behind, snapshot
from core.registry.discovery import Found
from core.registry.reasons import reason_of

IMPORT = "import"
"""The phase of it."""

SLOW_S = 1.0
LARGE_MB = 50.0
IN_START = "Do that in start, not with the module."

_PAGE = os.sysconf("SC_PAGE_SIZE")


def check_import(one: Found, watch: CallWatch, home: Path, found: Findings) -> Any:
    """Import it and return what it exports; None when it cannot be imported."""
    gc.collect()
    before, memory, modules = snapshot(home, ()), _memory_mb(), set(sys.modules)
    watch.phase = IMPORT
    began_s = time.process_time()
    try:
        loaded = one.load()
    except BaseException as error:  # noqa: BLE001 - foreign code; whatever it raises is what is to be told
        reason = reason_of(error, one.folder)
        end = "" if reason.endswith((".", "?", "!")) else "."
        found.fail("import", f"It cannot be imported: {reason}{end}", "Mend that first.")
        return None
    finally:
        took_s = time.process_time() - began_s
        watch.phase = ""
    grown = max(_memory_mb() - memory, 0.0)
    size = f"{took_s * 1000:.0f} ms, {grown:.1f} MB and {len(set(sys.modules) - modules)} modules"
    if took_s > SLOW_S or grown > LARGE_MB:
        cure = "Import what is heavy in start, inside the method."
        found.warn("import", f"Its import takes {size}: every command waits for that.", cure)
    found.ok("import", f"Its import takes {size}.")
    for call in watch.during(IMPORT):
        tell = found.warn if call.event == "open" and not call.writes else found.fail
        tell(
            "import does nothing",
            f"Its import does {call.what}.",
            "Do that in start, not with the module.",
            call.where,
        )
    for what, _cure in left_behind(before, snapshot(home, ())):
        found.fail("import does nothing", f"Its import leaves {what}.", IN_START)
    found.ok("import does nothing", "Its import only defines things.")
    return loaded


def _memory_mb() -> float:
    """Return the resident memory of this process; 0.0 where that cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * _PAGE / 1_000_000
