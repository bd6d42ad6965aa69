"""What commands are shut in by: the sandbox that works here, the places that it knows, and the limits in force."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path

from core.contracts.deliveries import Health
from plugins.terminal.choice import choose_sandbox
from plugins.terminal.config import MIB, TerminalConfig
from plugins.terminal.control_group import ControlGroup, make_control_group
from plugins.terminal.sandbox import Limits, Places, Sandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosure:
    """A sandbox that was tried out, and the control group that is taken away by `release`."""

    sandbox: Sandbox
    places: Places
    limits: Limits
    group: ControlGroup

    @classmethod
    async def make(cls, config: TerminalConfig, data: Path) -> Enclosure:
        """Find a sandbox that works; raises ConfigurationError when there is none.

        data: the plugin's directory. The work directory lies in it, and the one that it belongs to is hidden.
        """
        places = _places(config, data)
        sandbox = await choose_sandbox(config, places)
        group = await asyncio.to_thread(
            make_control_group, processes=config.processes, memory_bytes=config.memory_mb * MIB
        )
        limits = replace(Limits.of(config), cgroups=tuple(group.directories))
        return cls(sandbox=sandbox, places=places, limits=limits, group=group)

    async def release(self) -> None:
        """Take away what `make` left on the machine."""
        await asyncio.to_thread(self.group.remove)

    @property
    def health(self) -> Health:
        """Which sandbox is in force, and what it does not protect from."""
        said = [f"Sandbox: {self.sandbox.name}. {self.sandbox.weakness}"]
        if "memory" not in self.group.bounds:
            said.append("Memory is bounded for each process, not for all together.")
        if "pids" not in self.group.bounds and os.geteuid() == 0:
            said.append("Rekku runs as root, whom the limit on processes does not bind.")
        said.append(f"The network is {self.sandbox.network}.")
        cure = "Install bubblewrap and leave sandbox out." if self.sandbox.name == "none" else ""
        return Health(ok=True, detail=" ".join(said), cure=cure)


def _places(config: TerminalConfig, data: Path) -> Places:
    data = data.resolve()
    work = data / "work"
    work.mkdir(mode=0o700, exist_ok=True)
    home = data.parent.parent if data.parent.name == "data" else data
    return Places(home=home, work=work, hide=tuple(Path(path).expanduser() for path in config.hide))
