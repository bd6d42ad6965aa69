"""The sandbox made of Landlock rules and a supervisor, where bubblewrap is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plugins.terminal import landlock
from plugins.terminal.sandbox import Command, LimitedSpec, Limits, Places, make_temporary

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")
"""No pseudo-terminals: those of others, the one where Rekku runs in, are among them. A session has its own."""
CLOSED = ("/tmp", "/var/tmp", "/run", "/var/run", "/dev", "/dev/shm", "/lost+found")
"""What is shared with others; a command has a directory for temporary files below its own."""


class LandlockSandbox:
    """Rules of the kernel on paths, and on TCP and signals where it is new enough."""

    name = "landlock"
    keepers = 1

    def __init__(self, places: Places, *, network: bool) -> None:
        self._places = places
        self._network = network
        self._abi = landlock.abi()
        self.temporary = str(places.work / ".tmp")

    @property
    def weakness(self) -> str:
        """What it leaves open."""
        open_ = ["files outside REKKU_HOME can be read", "chmod, chown and touch of this user's files are possible"]
        open_ += ["the list of processes can be seen", "sockets in the file system can be talked to"]
        if self._abi < landlock.SIGNALS_SINCE:
            open_.append("this user's other processes can be killed")
        if self._abi < landlock.TRUNCATE_SINCE:
            open_.append("files can be truncated")
        return f"Landlock (version {self._abi}): {'; '.join(open_)}."

    @property
    def network(self) -> str:
        """Rules of Landlock are about TCP only, and that since version 4."""
        if self._network:
            return "on"
        return "off for TCP, on for all else" if self._abi >= landlock.NETWORK_SINCE else "on, since Landlock is old"

    def control_path(self, control: Path) -> str:
        """It is where it is."""
        return str(control)

    def argv(self, command: Command, limits: Limits) -> list[str]:
        """Return what to execute."""
        make_temporary(self.temporary)
        hidden = [self._places.home, *self._places.hidden(), *map(Path, CLOSED)]
        control = [] if command.control is None else [str(command.control)]
        rules = {
            "read": [*readable_around(hidden), *control],
            "write": [str(self._places.work)],
            "devices": list(DEVICES),
            "network": self._network,
        }
        spec = LimitedSpec(limits=limits, terminal=command.terminal, supervise=True, cwd=command.cwd, landlock=rules)
        return spec.argv(command.argv)


def readable_around(hidden: list[Path], directory: Path = Path("/")) -> Iterator[str]:
    """Yield the fewest directories and files that together are everything but `hidden`.

    A rule of Landlock holds for all below its path, so what leads to a hidden place cannot be allowed itself.
    """
    for path in sorted(directory.iterdir()):
        if path in hidden or path.is_symlink():
            continue  # rules are about what a link leads to
        if any(one.is_relative_to(path) for one in hidden):
            try:
                yield from readable_around(hidden, path)
            except OSError:
                continue  # what cannot be listed is not allowed either
        else:
            yield str(path)
