"""Database servers of the tests: started from the installed binaries, in a directory of their own, on free ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

STARTED_WITHIN_S = 60.0
STOPPED_WITHIN_S = 30.0
IS_ROOT = os.geteuid() == 0


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DatabaseServer:
    """A server process that tests can start, stop, kill and let hang."""

    dialect = ""
    packages = ""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory = directory
        self.port = free_port()
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, name: str) -> str:
        """Return the URL of a database on this server."""
        raise NotImplementedError

    def install(self) -> None:
        """Make the files of an empty server."""
        raise NotImplementedError

    def command(self) -> Sequence[str]:
        """Return what starts the server."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, on the same files and port as before, and wait until it lets in."""
        log = (self.directory / "log").open("ab")
        self._process = subprocess.Popen(
            [*self.command(), *self._options],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd=self.directory,
        )
        log.close()
        deadline = time.monotonic() + STARTED_WITHIN_S
        while not self.lets_in():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.dialect} does not start: {(self.directory / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def lets_in(self) -> bool:
        """Whether a client can connect now."""
        raise NotImplementedError

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        self._wait()

    def stop(self) -> None:
        """End it in order."""
        if self._process is not None:
            self._signal(signal.SIGCONT)
            self._signal(self.stop_signal)
            self._wait()

    stop_signal = signal.SIGTERM

    def pause(self) -> None:
        """Let it hang: connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        one_only = number == self.stop_signal  # the others are told by the first one
        for pid in [self._process.pid, *([] if one_only else _children(self._process.pid))]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait(STOPPED_WITHIN_S)
        self._process = None


class MariaDb(DatabaseServer):
    """MariaDB with small buffers; everybody on loopback is root and needs the password `secret`."""

    dialect = "mariadb"
    packages = "mariadb-server"

    def url(self, name: str) -> str:
        return f"mariadb://root:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def install(self) -> None:
        install = [_binary("mariadb-install-db", self.packages), "--no-defaults", f"--datadir={self._data}"]
        _run(*install, "--auth-root-authentication-method=normal", "--skip-test-db", *_AS_ROOT)
        (self.directory / "init.sql").write_text(
            f"CREATE OR REPLACE USER root@127.0.0.1 IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO root@127.0.0.1 WITH GRANT OPTION;\n"
        )

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def command(self) -> Sequence[str]:
        return (
            _binary("mariadbd", self.packages),
            "--no-defaults",
            f"--datadir={self._data}",
            f"--socket={self.directory}/s",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--init-file={self.directory}/init.sql",
            "--innodb-buffer-pool-size=24M",
            "--innodb-log-file-size=16M",
            "--key-buffer-size=1M",
            "--aria-pagecache-buffer-size=2M",
            "--skip-name-resolve",
            *_AS_ROOT,
        )

    def lets_in(self) -> bool:
        return _greets(self.port)


class PostgreSql(DatabaseServer):
    """PostgreSQL with small buffers; `rekku` is its superuser, with the password `secret`."""

    dialect = "postgresql"
    packages = "postgresql"
    stop_signal = signal.SIGINT  # fast: it does not wait for clients to leave

    def url(self, name: str) -> str:
        return f"postgresql://rekku:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def install(self) -> None:
        (self.directory / "password").write_text(PASSWORD)
        self._data.mkdir(mode=0o700)
        if IS_ROOT:
            for path in (self.directory, self._data, self.directory / "password"):
                shutil.chown(path, _NOBODY)
        options = ("--username=rekku", f"--pwfile={self.directory}/password", "--auth=scram-sha-256", "--no-sync")
        _run(*self._as_nobody, self._program("initdb"), f"--pgdata={self._data}", "--encoding=UTF8", *options)

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _as_nobody(self) -> Sequence[str]:
        # PostgreSQL refuses to run as root.
        return ("setpriv", f"--reuid={_NOBODY}", "--clear-groups", "--regid=nogroup") if IS_ROOT else ()

    def _program(self, name: str) -> str:
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
        return str(found[-1]) if found else _binary(name, self.packages)

    def command(self) -> Sequence[str]:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "max_connections": 60,
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return (*self._as_nobody, self._program("postgres"), "-D", str(self._data), *options)

    def lets_in(self) -> bool:
        return _answers_postgresql(self.port)


PASSWORD = "secret-of-tests"
_NOBODY = "nobody"
_AS_ROOT = ("--user=root",) if IS_ROOT else (f"--user={pwd.getpwuid(os.geteuid()).pw_name}",)
SERVERS: dict[str, type[DatabaseServer]] = {server.dialect: server for server in (MariaDb, PostgreSql)}


def installed(dialect: str) -> None:
    """Skip the test where the server is not installed."""
    if dialect == "mariadb":
        _binary("mariadbd", MariaDb.packages)
        _binary("mariadb-install-db", MariaDb.packages)
    elif not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        _binary("initdb", PostgreSql.packages)


def _children(pid: int) -> list[int]:
    """Return the processes that a process has started: each backend of PostgreSQL is a session of its own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def _binary(name: str, packages: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{name} is missing: apt install {packages}")
    return found


def _run(*command: str) -> None:
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120)
    if ended.returncode:
        pytest.fail(f"{command[0]}: {ended.stdout.decode()[-1000:]} {ended.stderr.decode()[-1000:]}")


def _greets(port: int) -> bool:
    """Whether a server that speaks first says something."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2.0) as connection:
            connection.settimeout(2.0)
            return len(connection.recv(16)) > 5
    except OSError:
        return False


def _answers_postgresql(port: int) -> bool:
    """Whether PostgreSQL lets in: while it starts it answers with an error at once."""
    import asyncpg  # type: ignore[import-untyped]

    async def connect() -> bool:
        try:
            connection = await asyncpg.connect(
                host="127.0.0.1", port=port, user="rekku", password=PASSWORD, database="postgres", timeout=5
            )
        except (OSError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True

    with ThreadPoolExecutor(1) as thread:  # the one that asks may have a loop that runs
        return thread.submit(lambda: asyncio.run(connect())).result()


class ServersOfTests:
    """The servers that a test run uses, each started when it is first asked for, with a new database each time."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._servers: dict[str, DatabaseServer] = {}
        self._names = 0

    def server(self, dialect: str) -> DatabaseServer:
        """Return the running server; skips the test where it is not installed."""
        if dialect not in self._servers:
            self._servers[dialect] = self.another(dialect)
        return self._servers[dialect]

    def another(self, dialect: str, *options: str) -> DatabaseServer:
        """Return a running server of one's own, which may be killed; whoever asked for it stops it."""
        installed(dialect)
        for _ in range(3):
            self._names += 1
            directory = self._directory / f"{dialect}-{self._names}"
            directory.mkdir()
            server = SERVERS[dialect](directory, *options)
            server.install()
            try:
                server.start()
            except RuntimeError as error:  # somebody else may have taken its port meanwhile
                last = error
                continue
            return server
        raise last

    def url(self, dialect: str) -> str:
        """Return the URL of a database that does not exist yet."""
        self._names += 1
        return self.server(dialect).url(f"rekku_{self._names}")

    def stop(self) -> None:
        """End all of them."""
        for server in self._servers.values():
            server.stop()
