"""The sandbox made of namespaces, by bubblewrap (https://github.com/containers/bubblewrap)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from plugins.terminal.sandbox import Command, LimitedSpec, Limits, Places

CONTROL = "/run/rekku"
RESOLVER = Path("/etc/resolv.conf")

_NAMESPACES = ("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")


class Bubblewrap:
    """A read-only root with one writable directory, and namespaces of its own.

    No `--new-session`: every command is started in a session of its own already, whose only terminal, if any, is
    the one made for it; what TIOCSTI pushes into that one is read by the command itself.
    """

    name = "bubblewrap"
    keepers = 2
    temporary = "/tmp"

    def __init__(self, program: str, places: Places, *, network: bool, tmp_bytes: int) -> None:
        self._program = program
        self._places = places
        self._network = network
        self._tmp_bytes = tmp_bytes

    @property
    def weakness(self) -> str:
        """What it leaves open."""
        said = "Files outside REKKU_HOME can be read, and a hole in the kernel would be a way out."
        if self._network:
            said += " With the network on, services of this machine can be reached."
        return said

    @property
    def network(self) -> str:
        """Whether there is one."""
        return "on" if self._network else "off"

    def control_path(self, control: Path) -> str:
        """The control directory is bound to one place."""
        return CONTROL

    def argv(self, command: Command, limits: Limits) -> list[str]:
        """Return what to execute."""
        spec = LimitedSpec(limits=limits, terminal=command.terminal)
        return spec.argv([self._program, *self._options(command), "--", *command.argv])

    def _options(self, command: Command) -> Iterator[str]:
        places, hidden = self._places, self._places.hidden()
        yield from _NAMESPACES
        if not self._network:
            yield "--unshare-net"
        # Root inside would otherwise still be the machine's root to every file that is its own.
        yield from ("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--hostname", "rekku")
        yield from ("--ro-bind", "/", "/", "--dev", "/dev", *self._private("/dev/shm"), "--remount-ro", "/dev")
        # /proc/sys belongs to the machine's root even without capabilities: core_pattern would be a way out.
        yield from ("--proc", "/proc", "--remount-ro", "/proc")
        # /run holds the sockets of the machine's services; a read-only mount does not keep one from talking to them.
        for directory in ("/tmp", "/var/tmp", "/run"):
            if Path(directory).is_dir() and not Path(directory).is_symlink():
                yield from self._private(directory)
        yield from self._resolver()
        for path in hidden:
            yield from self._private(str(path)) if path.is_dir() else ("--ro-bind", "/dev/null", str(path))
        home, work = str(places.home), str(places.work)
        yield from (*self._private(home), "--bind", work, work)
        # Last, since one of them may lie in another.
        for path in (*hidden, places.home):
            if path.is_dir():
                yield from ("--remount-ro", str(path))
        if command.control is not None:
            yield from ("--ro-bind", str(command.control), CONTROL)
        yield from ("--chdir", str(command.cwd))

    def _private(self, directory: str) -> tuple[str, ...]:
        return ("--size", str(self._tmp_bytes), "--tmpfs", directory)

    def _resolver(self) -> Iterator[str]:
        """Keep names resolvable where the list of servers lies in /run."""
        real = RESOLVER.resolve()
        if self._network and real.is_relative_to("/run") and real.is_file():
            yield from ("--ro-bind", str(real), str(real))
