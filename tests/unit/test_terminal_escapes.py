"""Ways out of the sandboxes that go around files: devices, the kernel, descriptors, terminals, privileges.

What would do harm if it worked is only opened for writing, and nothing is written: that it could be opened is enough.
The same attempt outside is the positive control where this user may make it.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import select
import shutil
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.terminal_plugin import Bench, processes_with, require, started

pytestmark = pytest.mark.service

OPEN = """
import json, os, sys
opened = []
for path in json.loads(sys.argv[2]):
    try:
        os.close(os.open(path, getattr(os, sys.argv[1]) | os.O_NONBLOCK | os.O_NOCTTY))
        opened.append(path)
    except OSError:
        pass
print(json.dumps(opened))
"""


@pytest.fixture(params=["bubblewrap", "landlock"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    require(request.param)
    async with asyncio.timeout(40), started(tmp_path, sandbox=request.param) as bench:
        (bench.work / "open.py").write_text(OPEN)
        yield bench


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process of ours outside that works in a directory of its own and holds a file open for writing."""
    (tmp_path / "theirs").mkdir()
    with (
        (tmp_path / "theirs" / "held").open("w") as held,
        subprocess.Popen(
            ["sleep", "821.5"], cwd=tmp_path / "theirs", stdout=held, env={"TOKEN": "canary-secret"}
        ) as process,
    ):
        yield process
        process.kill()


async def opened_inside(bench: Bench, flag: str, paths: Sequence[str]) -> list[str]:
    """Return which of the paths a command could open."""
    result = await bench.run(f"python3 open.py {flag} '{json.dumps(list(paths))}'")
    assert result["exit_code"] == 0, result
    found: list[str] = json.loads(result["stdout"])
    return found


def opened_outside(flag: str, paths: Sequence[str]) -> list[str]:
    """Return which of the paths this user can open without a sandbox."""
    probe = [sys.executable, "-c", OPEN, flag, json.dumps(list(paths))]
    ended = subprocess.run(probe, capture_output=True, text=True, check=True, timeout=20)
    found: list[str] = json.loads(ended.stdout)
    return found


def _files_of_the_kernel() -> list[str]:
    paths = [f"/proc/sys/kernel/{name}" for name in ("core_pattern", "modprobe", "hostname", "sysrq", "domainname")]
    paths += ["/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/proc/sys/fs/binfmt_misc/register"]
    paths += ["/sys/kernel/uevent_helper", "/sys/power/state", "/proc/self/loginuid"]
    paths += [f"/proc/{os.getpid()}/{name}" for name in ("oom_score_adj", "mem", "comm", "coredump_filter")]
    for directory, _, files in os.walk("/sys/fs/cgroup"):
        names = [name for name in files if name in ("cgroup.procs", "tasks", "release_agent", "notify_on_release")]
        paths += [os.path.join(directory, name) for name in names]
        if len(paths) > 200:
            break
    return paths


def _devices() -> list[str]:
    """Return the devices of the machine but the harmless ones, and but those that opening alone could upset."""
    left_out = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
    devices = [path for path in Path("/dev").iterdir() if path.is_char_device() or path.is_block_device()]
    wanted = [path for path in devices if path.name not in left_out and not path.name.startswith("watchdog")]
    return [str(path) for path in wanted if not path.is_symlink()]


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _there(*paths: str) -> list[str]:
    return [path for path in paths if Path(path).exists()]


def _groups_of(command: str) -> list[str]:
    """Return the control groups of the first process that is a sleep with these arguments."""
    (pid, *_) = [pid for pid in processes_with(command) if Path(f"/proc/{pid}/comm").read_text() == "sleep\n"]
    return Path(f"/proc/{pid}/cgroup").read_text().splitlines()


def _said_by(program: str) -> str:
    """Return what a program prints outside."""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=20)
    return ended.stdout


async def test_the_kernel_cannot_be_told_anything(bench: Bench) -> None:
    """Neither /proc/sys, where core_pattern alone would be a way out for root, nor a control group."""
    paths = _files_of_the_kernel()
    assert opened_outside("O_WRONLY", paths) != []
    assert await opened_inside(bench, "O_WRONLY", paths) == []


async def test_no_device_can_be_opened_but_the_harmless_ones(bench: Bench) -> None:
    paths = _devices()
    for flag in ("O_RDONLY", "O_WRONLY"):
        assert await opened_inside(bench, flag, paths) == []
    assert await opened_inside(bench, "O_WRONLY", ["/dev/null"]) == ["/dev/null"]


async def test_another_terminal_cannot_be_read_or_written(bench: Bench) -> None:
    """The one where Rekku runs belongs to the same user: keys could be read there, and a screen forged."""
    master, slave = pty.openpty()
    try:
        path = os.ttyname(slave)
        for flag in ("O_RDONLY", "O_WRONLY"):
            assert opened_outside(flag, [path]) == [path]
        for command in (
            f"echo forged > {path}",
            f"for t in /dev/pts/* /dev/tty*; do [ {path} = $t ] && echo x > $t; done",
        ):
            await bench.run(command)
            await bench.run(command, session="s")
        assert select.select([master], [], [], 0)[0] == []
        assert (await bench.run("echo mine > $(tty)", session="s"))["output"] == "mine\n"
    finally:
        os.close(master)
        os.close(slave)


async def test_the_directories_of_other_processes_lead_nowhere(
    bench: Bench, outside: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    places = [f"/proc/{outside.pid}/{name}" for name in ("cwd", "root", "fd/1")]
    places += [f"/proc/{os.getpid()}/{name}" for name in ("cwd", "root")]
    places += [f"/proc/{name}/root" for name in ("1", "self", "thread-self", "$PPID")]
    for place in places:
        await bench.run(
            f"echo broken > {place}; echo broken > {place}/escape; echo broken > {place}{tmp_path}/escape;"
            f" (cd {place} && echo broken > escape); ln -s {place} way; echo broken > way/escape; rm -f way"
        )
    assert _names(tmp_path) == ["rekku-home", "theirs"]
    assert _names(tmp_path / "theirs") == ["held"]
    assert (tmp_path / "theirs" / "held").read_text() == ""
    assert _there("escape", "/escape") == []


async def test_no_descriptor_is_inherited(bench: Bench, tmp_path: Path) -> None:
    with (tmp_path / "victim").open("w") as victim:
        os.set_inheritable(victim.fileno(), True)
        os.dup2(victim.fileno(), 63)  # where a shell keeps descriptors of its own, inheritable
        try:
            for payload in ({}, {"session": "s"}):
                result = await bench.run(
                    f"echo broken >&{victim.fileno()}; echo broken >&63; ls -l /proc/self/fd", **payload
                )
                said = result.get("stdout", result.get("output"))
                assert "victim" not in said
                assert "rekku.db" not in said
                assert "pipe" in said or "pts" in said or "console" in said
        finally:
            os.close(63)
    assert (tmp_path / "victim").read_text() == ""


async def test_a_program_with_the_setuid_bit_gains_nothing(bench: Bench) -> None:
    grep = shutil.which("grep")
    result = await bench.run(
        f"cp {grep} mine && chmod 6755 mine && ./mine -E 'CapEff|CapPrm' /proc/self/status;"
        "for p in su sudo mount umount passwd; do timeout 5 $p -c id </dev/null 2>&1 | grep -c uid=0; done"
    )
    lines = result["stdout"].split()
    assert lines[:4] == ["CapPrm:", "0" * 16, "CapEff:", "0" * 16]
    assert set(lines[4:]) == {"0"}


async def test_the_list_of_processes_shows_no_environment(bench: Bench, outside: subprocess.Popen[bytes]) -> None:
    environ = f"/proc/{outside.pid}/environ"
    assert opened_outside("O_RDONLY", [environ]) == [environ]
    result = await bench.run(
        "ps ewwaxf; ps e -A; cat /proc/self/environ /proc/$PPID/environ /proc/1/environ | tr '\\0' ' '"
    )
    assert "canary-secret" not in str(result)
    assert "PATH=" in result["stdout"]
    if bench.sandbox == "bubblewrap":
        assert "821.5" not in result["stdout"]


async def test_no_service_can_be_reached_through_an_abstract_socket(bench: Bench) -> None:
    name = f"rekku-test-{os.getpid()}"
    program = f"import socket; socket.socket(socket.AF_UNIX).connect('\\0{name}'); print('through')"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        assert await asyncio.to_thread(_said_by, program) == "through\n"
        (bench.work / "connect.py").write_text(program)
        assert (await bench.run("python3 connect.py"))["stdout"] == ""


async def test_the_buses_of_the_machine_have_no_address(bench: Bench) -> None:
    result = await bench.run(
        "env | grep -ciE 'dbus|xdg|ssh|display|systemd'; systemd-run --user touch /tmp/escape;"
        "systemd-run touch /tmp/escape;"
        "busctl list; dbus-send --system --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.ListNames"
    )
    assert result["stdout"].splitlines() == ["0"]
    assert _there("/tmp/escape") == []


async def test_a_control_group_is_not_left(bench: Bench) -> None:
    """A process that went up in the tree would be bounded by nothing."""
    directories = bench.plugin._shut_in.group.directories
    if not directories:
        pytest.skip("this process may not make a control group")
    await bench.run(
        "sleep 821.75 & for p in $(find /sys/fs/cgroup -name cgroup.procs); do echo $! > $p; done; sleep 1",
        session="s",
        keep=True,
        timeout_s=0.5,
    )
    lines = await asyncio.to_thread(_groups_of, "821.75")
    for directory in directories:
        assert any(line.endswith(f"/{Path(directory).name}") for line in lines)


async def test_what_is_hidden_later_is_hidden_too(tmp_path: Path) -> None:
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        late = tmp_path / "late" / sandbox
        async with started(tmp_path / sandbox, sandbox=sandbox, hide=[str(late)]) as bench:
            late.mkdir(parents=True)
            (late / "key").write_text("canary-secret")
            assert "canary" not in str(await bench.run(f"cat {late}/key"))


HOG = """
import sys, time
held = b"x" * (60 * 2**20)
open(f"filled{sys.argv[1]}", "w").close()
time.sleep(60)
"""
ONE_BY_ONE = """
for n in 1 2 3 4 5; do
    python3 hog.py $n & while kill -0 $! && [ ! -e filled$n ]; do sleep 0.05; done
done 2>/dev/null
jobs -r | wc -l
kill -9 $(jobs -p)
"""


async def test_many_small_hogs_are_bounded_together(tmp_path: Path) -> None:
    """A limit on each process is none on all of them; the control group is."""
    for sandbox in ("bubblewrap", "landlock"):
        require(sandbox)
        async with started(tmp_path / sandbox, sandbox=sandbox, memory_mb=192) as bench:
            if "memory" not in bench.plugin._shut_in.group.bounds:
                pytest.skip("this process may not make a control group that bounds memory")
            (bench.work / "hog.py").write_text(HOG)
            result = await bench.run(ONE_BY_ONE, timeout_s=30)
            assert 1 <= int(result["stdout"]) <= 3
            assert (await bench.run("echo alive"))["stdout"] == "alive\n"
