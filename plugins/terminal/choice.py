"""Which sandbox is used: the first of bubblewrap and Landlock that really works here, unless one is named."""

from __future__ import annotations

import shutil

from core.contracts.errors import ConfigurationError
from plugins.terminal import landlock
from plugins.terminal.bubblewrap import Bubblewrap
from plugins.terminal.config import MIB, TerminalConfig
from plugins.terminal.landlock_sandbox import LandlockSandbox
from plugins.terminal.no_sandbox import NoSandbox
from plugins.terminal.sandbox import Limits, Places, Sandbox, try_out

CURE = (
    'Install bubblewrap (Debian: apt install bubblewrap), or write sandbox = "none" in [plugins.terminal] to let '
    "trainers run commands with all that this user may do."
)

_worked: set[tuple[object, ...]] = set()
"""What has been tried out and works: the kernel and the program stay the same while this process runs."""


async def choose_sandbox(config: TerminalConfig, places: Places) -> Sandbox:
    """Return the sandbox to use; raises ConfigurationError that says why there is none, and the cure."""
    if config.sandbox == "none":
        return NoSandbox(places)
    reasons: list[str] = []
    for name in ("bubblewrap", "landlock") if config.sandbox == "auto" else (config.sandbox,):
        sandbox = _make(name, config, places)
        if isinstance(sandbox, str):
            reasons.append(f"{name}: {sandbox}")
            continue
        limits = Limits.of(config)
        tried = (name, shutil.which("bwrap"), config.network, limits)
        reason = "" if tried in _worked else await try_out(sandbox, places, limits)
        if not reason:
            _worked.add(tried)
            return sandbox
        reasons.append(f"{name}: {reason}")
    raise ConfigurationError(f"Commands cannot be shut in ({'; '.join(reasons)}).", cure=CURE)


def _make(name: str, config: TerminalConfig, places: Places) -> Sandbox | str:
    """Return the sandbox, or why it cannot be made."""
    if name == "landlock":
        if not landlock.abi():
            return "the kernel has no Landlock"
        return LandlockSandbox(places, network=config.network)
    program = shutil.which("bwrap")
    if program is None:
        return "the program bwrap is not installed"
    return Bubblewrap(program, places, network=config.network, tmp_bytes=config.tmp_mb * MIB)
