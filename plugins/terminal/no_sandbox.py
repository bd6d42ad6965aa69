"""No sandbox, because the operator wrote so: the resource limits and the supervisor are all there is."""

from __future__ import annotations

from pathlib import Path

from plugins.terminal.sandbox import Command, LimitedSpec, Limits, Places, make_temporary


class NoSandbox:
    """Commands may do whatever this user may."""

    name = "none"
    keepers = 1
    network = "on"
    weakness = "Commands may read and change whatever this user may, Rekku's own files and secrets included."

    def __init__(self, places: Places) -> None:
        self.temporary = str(places.work / ".tmp")

    def control_path(self, control: Path) -> str:
        """It is where it is."""
        return str(control)

    def argv(self, command: Command, limits: Limits) -> list[str]:
        """Return what to execute."""
        make_temporary(self.temporary)
        spec = LimitedSpec(limits=limits, terminal=command.terminal, supervise=True, cwd=command.cwd)
        return spec.argv(command.argv)
