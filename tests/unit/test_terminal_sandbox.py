"""What a command cannot do in a sandbox: each attempt is judged by what is on the disk and in the process table."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.terminal_plugin import Bench, processes_with, require, started

pytestmark = pytest.mark.service

IS_ROOT = os.geteuid() == 0


@pytest.fixture(params=["bubblewrap", "landlock"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    require(request.param)
    async with asyncio.timeout(40), started(tmp_path, sandbox=request.param) as bench:
        yield bench


@pytest.fixture
async def wrapped(tmp_path: Path) -> AsyncIterator[Bench]:
    require("bubblewrap")
    async with asyncio.timeout(40), started(tmp_path, sandbox="bubblewrap", tmp_mb=4) as bench:
        yield bench


@pytest.fixture
def outside() -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours outside, with a secret in its environment and its arguments known."""
    with subprocess.Popen(["sleep", "876.5"], env={"TOKEN": "canary-secret"}, start_new_session=True) as process:
        yield process
        process.kill()


def _read(path: str) -> str:
    return Path(path).read_text()


def _there(paths: list[str]) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _kill_while_it_runs(directory: Path, sandbox: str) -> None:
    """Start Rekku's terminal in a process of its own, wait until all is running there, and kill it."""
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(directory), sandbox]) as rekku:
        try:
            deadline = time.monotonic() + 15
            while len(processes_with(SLEEPING)) < 4:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            rekku.kill()


async def test_its_own_directory_is_writable(bench: Bench) -> None:
    result = await bench.run(
        "echo a > file && mkdir d && mv file d/ && ln -s d/file l && cat l && echo t > $TMPDIR/t"
    )
    assert (result["exit_code"], result["stdout"]) == (0, "a\n")
    assert (bench.work / "d" / "file").read_text() == "a\n"


async def test_nothing_else_is_writable(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    victim.chmod(0o666)
    targets = [
        victim,
        bench.home / ".env",
        bench.home / "new",
        bench.home / "data" / "new",
        Path("/etc/rekku-escape"),
    ]
    targets += [Path("/usr/bin/rekku-escape"), Path("/var/tmp/rekku-escape"), Path("/dev/shm/rekku-escape")]
    targets += [Path("/tmp/rekku-escape"), Path("/run/rekku-escape"), bench.context.data_directory / "new"]
    for target in targets:
        await bench.run(f"echo broken > {target}; cp /etc/hostname {target}; ln -s / {target}; mkdir {target}")
        await bench.run(f"rm -f {target}")
    await bench.run(
        f"truncate -s 0 {victim}; mv {victim} {victim}2; : > {victim}; dd if=/dev/zero of={victim} count=1"
    )
    assert victim.read_text() == "whole"
    assert "canary-secret" in (bench.home / ".env").read_text()
    assert [str(path) for path in targets if path.exists() and path not in (victim, bench.home / ".env")] == []


@pytest.mark.parametrize("file", [".env", "rekku.toml"])
async def test_rekkus_home_is_hidden(bench: Bench, file: str) -> None:
    path = bench.home / file
    attempts = [f"cat {path}", f"cat ../../../{file}", f"ln -s {path} s; cat s", f"ln {path} h; cat h"]
    attempts += [
        f"cp -r {bench.home} copy; cat copy/{file}",
        f"ls -la {bench.home}; find {bench.home} -type f -exec cat {{}} +",
    ]
    attempts += [f"cat /proc/1/root{path}", f"cat /proc/self/root{path}", f"cat /proc/$PPID/cwd{path}"]
    attempts += [
        f"grep -r canary {bench.home.parent}",
        f"tar cf - {bench.home} | cat",
        f"cd {bench.home} && cat {file}",
    ]
    attempts += [f"python3 -c \"print(open('{path}').read())\"", f"mount --bind {bench.home} . && cat {file}"]
    result = await bench.run("\n".join(f"({attempt}); echo tried" for attempt in attempts))
    assert "canary-secret" not in str(result)
    assert result["stdout"].count("tried\n") == len(attempts)
    kept = [entry for entry in bench.work.rglob("*") if entry.is_file() and not entry.is_symlink()]
    assert [entry for entry in kept if b"canary" in entry.read_bytes()] == []


async def test_a_hard_link_to_the_outside_cannot_be_made(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    await bench.run(f"ln {victim} hard; echo broken > hard; ln /etc/passwd hard2")
    assert victim.read_text() == "whole"
    assert victim.stat().st_nlink == 1


async def test_a_link_out_of_the_directory_leads_nowhere(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    (bench.work / "out").symlink_to(tmp_path)
    (bench.work / "home").symlink_to(bench.home)
    await bench.run("echo broken > out/victim; rm -rf out/*; echo broken > home/.env; rm -rf home/")
    assert victim.read_text() == "whole"
    assert "canary-secret" in (bench.home / ".env").read_text()


async def test_the_environments_of_others_cannot_be_read(bench: Bench, outside: subprocess.Popen[bytes]) -> None:
    result = await bench.run(
        f"for p in {outside.pid} {os.getpid()} $PPID '*'; do cat /proc/$p/{{environ,maps}}; ls /proc/$p/fd; done;"
        f" cd /proc/{os.getpid()} && ls root/ cwd/"
    )
    assert "canary-secret" not in str(result)
    assert "REKKU" not in result["stdout"]
    assert "TOKEN" not in result["stdout"]
    assert "bin\n" not in result["stdout"]


async def test_no_process_outside_can_be_ended(bench: Bench, outside: subprocess.Popen[bytes]) -> None:
    await bench.run(f"kill -9 {outside.pid}; kill -9 -- -{outside.pid}; pkill -9 -f 876.5; kill -9 $PPID")
    assert outside.poll() is None
    assert processes_with("876.5") == [outside.pid]


PTRACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for pid in map(int, sys.argv[1:]):
    for request in (16, 0x4206):
        print("ptrace", libc.ptrace(request, pid, 0, 0))
    try:
        open(f"/proc/{pid}/mem", "rb+"); print("opened")
    except OSError as error:
        print(error)
"""


async def test_no_process_outside_can_be_traced(bench: Bench, outside: subprocess.Popen[bytes]) -> None:
    (bench.work / "trace.py").write_text(PTRACE)
    result = await bench.run(f"python3 trace.py {outside.pid} {os.getpid()} {os.getppid()}")
    assert result["exit_code"] == 0, result
    assert result["stdout"].count("ptrace -1") == 6
    assert "ptrace 0" not in result["stdout"]
    assert "opened" not in result["stdout"]
    assert "TracerPid:\t0\n" in _read(f"/proc/{outside.pid}/status")


async def test_nothing_can_be_mounted_and_no_namespace_made(bench: Bench) -> None:
    result = await bench.run(
        "mkdir m; mount -t tmpfs none m && echo mounted; mount --bind / m && echo mounted;"
        "umount /proc && echo mounted; mount -o remount,rw / && echo mounted; mknod m/sda b 8 0 && echo mounted;"
        "unshare -m mount -t tmpfs none m && echo mounted; unshare -Ur mount --bind / m && echo mounted;"
        "chroot / true && echo mounted"
    )
    assert "mounted" not in result["stdout"]
    assert list((bench.work / "m").iterdir()) == []


async def test_root_has_no_capabilities_and_nothing_can_be_gained(bench: Bench) -> None:
    result = await bench.run("grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")
    values = dict(line.split(":\t") for line in result["stdout"].splitlines())
    bounding = values.pop("CapBnd")
    assert values == {"CapPrm": "0" * 16, "CapEff": "0" * 16, "NoNewPrivs": "1"}
    assert bounding == "0" * 16 or not IS_ROOT  # without privileges to gain it means nothing


async def test_the_fork_bomb_is_bounded_and_ends(tmp_path: Path) -> None:
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        async with started(tmp_path / sandbox, sandbox=sandbox, processes=40) as bench:
            bounded = not IS_ROOT or "pids" in bench.plugin._shut_in.group.bounds
            most = 0

            async def count() -> None:
                nonlocal most
                while True:
                    most = max(most, len(await asyncio.to_thread(processes_with, "sleep 865.5")))
                    await asyncio.sleep(0.05)

            counting = asyncio.create_task(count())
            bomb = (
                "for i in $(seq 300); do sleep 865.5 & done; wait"
                if not bounded
                else ":(){ :|: & sleep 865.5; };:; wait"
            )
            result = await bench.run(bomb, timeout_s=1)
            counting.cancel()
            assert result["timed_out"] or result["exit_code"] != 0
            for _ in range(100):
                if not processes_with("865.5"):
                    break
                await asyncio.sleep(0.02)
            assert processes_with("865.5") == []
            if bounded:
                assert most <= 40
            assert (await bench.run("echo alive"))["stdout"] == "alive\n"


async def test_the_memory_bomb_fails(tmp_path: Path) -> None:
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        async with started(tmp_path / sandbox, sandbox=sandbox, memory_mb=128) as bench:
            for bomb in ("b = bytearray(10**9)", "import mmap; m = mmap.mmap(-1, 10**9); m.write(b'x' * 10**9)"):
                result = await bench.run(f'python3 -c "{bomb}; print(1)"', timeout_s=10)
                assert result["stdout"] == ""
                assert result["exit_code"] != 0


async def test_a_file_cannot_grow_without_end(tmp_path: Path) -> None:
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        async with started(tmp_path / sandbox, sandbox=sandbox, file_mb=2) as bench:
            result = await bench.run("head -c 50M /dev/zero > big", timeout_s=10)
            assert result["exit_code"] != 0
            assert (bench.work / "big").stat().st_size <= 2 * 1024 * 1024


async def test_the_private_directories_are_small(wrapped: Bench) -> None:
    for directory in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        result = await wrapped.run(f"head -c 50M /dev/zero > {directory}/big; stat -c %s {directory}/big; ls -A /tmp")
        assert int(result["stdout"].splitlines()[0]) <= 4 * 1024 * 1024


async def test_open_files_are_bounded(bench: Bench) -> None:
    assert (await bench.run("ulimit -n; ulimit -c"))["stdout"] == "1024\n0\n"


@pytest.fixture
def listener() -> Iterator[tuple[int, list[str]]]:
    """A TCP server on loopback that notes who comes."""
    came: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                came.append("connection")
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], came
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


CONNECT = "python3 -c \"import socket; socket.create_connection(('127.0.0.1', {}), 2); print('through')\""


async def test_the_network_is_off_unless_it_is_switched_on(tmp_path: Path, listener: tuple[int, list[str]]) -> None:
    port, came = listener
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        came.clear()
        async with started(tmp_path / sandbox / "off", sandbox=sandbox) as bench:
            result = await bench.run(CONNECT.format(port))
            assert result["exit_code"] != 0
            assert result["note"] == "This terminal has no network." or sandbox == "landlock"
        assert came == []
        async with started(tmp_path / sandbox / "on", sandbox=sandbox, network=True) as bench:
            assert (await bench.run(CONNECT.format(port)))["stdout"] == "through\n"
        assert came == ["connection"]


async def test_sockets_of_services_cannot_be_reached(wrapped: Bench, tmp_path: Path) -> None:
    path = Path("/tmp") / f"rekku-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as abstract:
        server.bind(str(path))
        abstract.bind(f"\0rekku-{os.getpid()}")
        server.listen()
        abstract.listen()
        try:
            for name in (str(path), f"\\0rekku-{os.getpid()}"):
                program = f"import socket; socket.socket(socket.AF_UNIX).connect('{name}'); print('through')"
                assert "through" not in (await wrapped.run(f'python3 -c "{program}"'))["stdout"]
        finally:
            path.unlink()


async def test_a_daemon_ends_with_its_command(bench: Bench) -> None:
    result = await bench.run(
        "nohup setsid sh -c 'sleep 854.5; echo late > late' >/dev/null 2>&1 </dev/null &"
        'python3 -c "import os; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0);'
        "os.execlp('sleep', 'sleep', '854.5')\"; sleep 0.2; echo ok"
    )
    assert result["stdout"] == "ok\n"
    for _ in range(100):
        if not processes_with("854.5"):
            break
        await asyncio.sleep(0.02)
    assert processes_with("854.5") == []


SLEEPING = "sleep\0" + "843.5"

SCRIPT = """
import asyncio, sys
from pathlib import Path
from tests.support.terminal_plugin import started

async def main():
    async with started(Path(sys.argv[1]), sandbox=sys.argv[2]) as bench:
        await bench.run("(setsid sleep 843.5 &); sleep 843.5", session="s", timeout_s=0.3, keep=True)
        await bench.run("setsid sleep 843.5 & trap '' TERM INT HUP; sleep 843.5")

asyncio.run(main())
"""


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
async def test_everything_ends_when_rekku_is_killed(tmp_path: Path, sandbox: str) -> None:
    require(sandbox)
    await asyncio.to_thread(_kill_while_it_runs, tmp_path, sandbox)
    for _ in range(250):
        if not processes_with("843.5"):
            break
        await asyncio.sleep(0.02)
    assert processes_with("843.5") == []


async def test_sessions_are_in_the_sandbox_too(bench: Bench, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("whole")
    result = await bench.run(f"echo broken > {victim}; cat {bench.home}/.env; env; echo a > here", session="s")
    assert result["state"] == "done"
    assert victim.read_text() == "whole"
    assert "canary" not in str(result)
    assert (bench.work / "here").read_text() == "a\n"
    result = await bench.run("sleep 832.5", session="s", timeout_s=0.3)
    assert (result["state"], result["exit_code"]) == ("interrupted", 130)
    result = await bench.run("sh -c 'trap \"\" INT TERM; while :; do sleep 0.1; done'", session="s", timeout_s=0.3)
    assert result["state"] == "interrupted"
    assert (await bench.run("tty >/dev/tty; exit 4", session="s"))["exit_code"] == 4
    await bench.run("nohup setsid sleep 832.5 >/dev/null 2>&1 &", session="s")
    await bench.call("terminal_close", session="s")
    assert processes_with("832.5") == []


async def test_what_is_pushed_into_the_terminal_stays_in_it(bench: Bench) -> None:
    push = "import fcntl, termios; [fcntl.ioctl(0, termios.TIOCSTI, bytes([c])) for c in b'echo pushed > pushed\\n']"
    result = await bench.run(f'python3 -c "{push}" </dev/tty', session="s")
    assert result["state"] == "done"
    result = await bench.run(f'python3 -c "{push}" </dev/tty')
    assert result["exit_code"] != 0


async def test_what_the_operator_hides_is_hidden(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "key").write_text("canary-secret")
    (tmp_path / "netrc").write_text("canary-secret")
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        async with started(
            tmp_path / sandbox, sandbox=sandbox, hide=[str(private), str(tmp_path / "netrc"), "/nonexistent"]
        ) as bench:
            result = await bench.run(f"cat {private}/key {tmp_path}/netrc; echo x > {private}/new")
            assert "canary" not in str(result)
            assert sorted(path.name for path in private.iterdir()) == ["key"]


async def test_auto_takes_bubblewrap_and_health_says_so(tmp_path: Path) -> None:
    require("bubblewrap")
    async with started(tmp_path) as bench:
        health = await bench.plugin.health()
    assert health.ok
    assert health.detail.startswith("Sandbox: bubblewrap.")
    assert "network is off" in health.detail


async def test_without_bubblewrap_it_is_landlock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("landlock")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    async with started(tmp_path) as bench:
        detail = (await bench.plugin.health()).detail
        assert (await bench.run("echo hi"))["stdout"] == "hi\n"
    assert detail.startswith("Sandbox: landlock.")
    assert "off for TCP" in detail


async def test_control_groups_are_taken_away(tmp_path: Path) -> None:
    require("bubblewrap")
    async with started(tmp_path) as bench:
        await bench.run("sleep 1 &", session="s")
        directories = list(bench.plugin._shut_in.group.directories)
        assert _there(directories) == directories
    assert _there(directories) == []
