"""Commands without a session: what comes back, the time-out, what is left behind, and the plugin around them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.contracts.errors import ActionFailed, ConfigurationError
from core.contracts.inputs import Origin, Principal, Role
from core.registry.catalogue import build_entries
from plugins.terminal import Terminal, landlock
from plugins.terminal.bubblewrap import Bubblewrap
from plugins.terminal.config import TerminalConfig
from plugins.terminal.environment import command_environment
from plugins.terminal.landlock_sandbox import LandlockSandbox, readable_around
from plugins.terminal.sandbox import Command, Limits, Places
from tests.support.plugin_context import equip, turn
from tests.support.terminal_plugin import Bench, make_home, processes_with, started


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with asyncio.timeout(30), started(tmp_path, sandbox="none") as bench:
        yield bench


async def test_the_two_streams_and_the_exit_code_are_apart(bench: Bench) -> None:
    result = await bench.run("echo out; echo err >&2; exit 3")
    assert (result["exit_code"], result["stdout"], result["stderr"]) == (3, "out\n", "err\n")
    assert 0 <= result["duration_s"] < 10
    assert set(result) == {"exit_code", "stdout", "stderr", "duration_s"}


@pytest.mark.parametrize(
    ("command", "code"),
    [("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-program", 127), ("echo 'open", 2), ("yes | head -1", 0)],
)
async def test_every_end_has_its_code(bench: Bench, command: str, code: int) -> None:
    result = await bench.run(command)
    assert result["exit_code"] == code
    assert "Broken pipe" not in result["stderr"]


async def test_output_is_bounded_while_it_is_read(tmp_path: Path) -> None:
    async with started(tmp_path, sandbox="none", output_bytes=1000) as bench:
        result = await bench.run("echo first; head -c 30000000 /dev/zero; echo last; echo whole >&2")
    assert result["stdout"].startswith("first\n")
    assert result["stdout"].endswith("last\n")
    assert len(result["stdout"]) < 1100
    assert result["cut"] == {"stdout_bytes": 30_000_011 - 1000}
    assert result["stderr"] == "whole\n"


async def test_standard_input_is_empty_and_there_is_no_terminal(bench: Bench) -> None:
    result = await bench.run("cat; tty; : </dev/tty", timeout_s=5)
    assert result["stdout"] == "not a tty\n"
    assert "/dev/tty" in result["stderr"]


async def test_the_time_out_ends_politely_first(bench: Bench) -> None:
    result = await bench.run("trap 'echo bye; exit 9' INT; while :; do sleep 0.05; done", timeout_s=0.3)
    assert (result["timed_out"], result["exit_code"], result["stdout"]) == (True, 9, "bye\n")


async def test_the_time_out_ends_what_does_not_listen(bench: Bench) -> None:
    result = await bench.run("trap '' INT TERM; sh -c 'while :; do sleep 987.5; done'", timeout_s=0.2)
    assert result["timed_out"]
    assert result["duration_s"] < 10
    assert processes_with("987.5") == []


async def test_the_time_out_has_a_bound(tmp_path: Path) -> None:
    async with started(tmp_path, sandbox="none", default_timeout_s=0.3, max_timeout_s=0.5) as bench:
        for payload in ({}, {"timeout_s": 3000.0}):
            result = await bench.run("sleep 987.75", **payload)
            assert result["timed_out"]
            assert result["duration_s"] < 5


@pytest.mark.parametrize(
    "command",
    [
        "sleep 987.25 & echo done",
        "nohup sleep 987.25 >/dev/null 2>&1 & echo done",
        "setsid sleep 987.25 >/dev/null 2>&1 </dev/null & sleep 0.1; echo done",
        "(setsid sh -c '(sleep 987.25 &) ; sleep 987.25' &) ; sleep 0.1; echo done",
    ],
)
async def test_nothing_is_left_behind(bench: Bench, command: str) -> None:
    result = await bench.run(command, timeout_s=10)
    assert result["stdout"] == "done\n"
    assert "timed_out" not in result
    assert processes_with("987.25") == []


async def test_a_cancelled_command_is_killed_at_once(bench: Bench) -> None:
    task = asyncio.create_task(bench.run("trap '' INT TERM; sleep 987.125 & sleep 987.125"))
    for _ in range(200):
        await asyncio.sleep(0.02)
        if len(processes_with("sleep\x00987.125")) == 2:
            break
    started_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started_at < 1
    for _ in range(100):
        if not processes_with("987.125"):
            break
        await asyncio.sleep(0.02)
    assert processes_with("987.125") == []


async def test_it_runs_below_its_own_directory(bench: Bench) -> None:
    assert (await bench.run("pwd"))["stdout"] == f"{bench.work}\n"
    await bench.run("mkdir -p 'a b'; ln -s / out; ln -s 'a b' in")
    for cwd in ("a b", "in", "~/a b", str(bench.work / "a b"), "a b/../a b"):
        assert (await bench.run("pwd", cwd=cwd))["stdout"] == f"{bench.work / 'a b'}\n"
    for cwd in ("..", "out", "out/etc", "/", f"../{bench.work.name}/../..", "missing", "~root"):
        with pytest.raises(ActionFailed, match="no directory below"):
            await bench.run("pwd", cwd=cwd)
        with pytest.raises(ActionFailed, match="no directory below"):
            await bench.run("pwd", cwd=cwd, session="s")


async def test_the_environment_is_a_short_list(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-secret")
    monkeypatch.setenv("BASH_ENV", "/nonexistent")
    monkeypatch.setenv("LD_PRELOAD", "")
    result = await bench.run("env -0 | cut -z -d= -f1 | tr '\\0' ' '; cat /proc/$PPID/environ | tr '\\0' ' '")
    names = set(result["stdout"].split(" ")[:20])
    assert {"PATH", "HOME", "LANG", "TERM", "TZ", "USER"} <= names
    assert "canary-secret" not in str(result)
    assert "OPENAI_API_KEY" not in str(result)
    variables = command_environment(home=bench.work, temporary="/tmp", timezone="UTC", terminal="dumb")
    assert set(variables) == {"PATH", "HOME", "TMPDIR", "LANG", "TERM", "TZ", "USER", "LOGNAME", "SHELL"}


async def test_a_person_reads_text(bench: Bench) -> None:
    assert await bench.call("terminal_command", command="echo hi; exit 2") == "```\nhi\n```\n\nexit code 2"


async def test_what_a_command_did_to_the_directories_does_not_stop_the_next(bench: Bench) -> None:
    """Without a sandbox it may even remove the one that it works in."""
    for command in ("rm -rf .tmp; ln -s /nonexistent .tmp", "rm -f .tmp; echo > .tmp", f"rm -rf {bench.work}"):
        await bench.run(command)
        assert (await bench.run("pwd"))["stdout"] == f"{bench.work}\n"
        assert (await bench.run("pwd", session="s"))["exit_code"] == 0
        await bench.call("terminal_close", session="s")


async def test_many_at_once(bench: Bench) -> None:
    results = await asyncio.gather(*(bench.run(f"sleep 0.2; echo {n}") for n in range(8)))
    assert [result["stdout"] for result in results] == [f"{n}\n" for n in range(8)]


async def test_no_descriptor_is_left_open(bench: Bench) -> None:
    await bench.run("true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await bench.run("sleep 5", timeout_s=0.2)
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize("trusted", [False, True])
def test_what_the_actions_declare(trusted: bool) -> None:
    entries = build_entries("terminal", equip(Terminal(), output_is_trusted=trusted))
    specs = {entry.spec.type: entry.spec for entry in entries}
    assert {spec.permission.value for spec in specs.values()} == {"trainer"}
    assert {type_: spec.reads_outside for type_, spec in specs.items()} == {
        "terminal": not trusted,
        "terminal_command": not trusted,
        "terminal_input": not trusted,
        "terminal_read": not trusted,
        "terminal_sessions": False,
        "terminal_close": False,
    }
    terminal = specs["terminal"]
    assert (terminal.effect, terminal.repeatable, terminal.display.command_field) == ("external", True, "command")
    assert (specs["terminal_command"].command, specs["terminal_command"].model) == ("sh", False)


async def test_the_actions_on_sessions_are_shown_to_whoever_has_one(bench: Bench) -> None:
    specs = [entry.spec for entry in build_entries("terminal", bench.plugin)]

    async def shown() -> set[str]:
        narrowed = await bench.plugin.hide_session_actions(turn(), specs)
        return {spec.type for spec in (specs if narrowed is None else narrowed)}

    assert await shown() == {"terminal", "terminal_command"}
    await bench.run("true", session="a")
    assert "terminal_input" in await shown()
    assert turn().principal == Principal("console", "owner")
    assert (turn().role, turn().origin) == (Role.TRAINER, Origin.USER)


async def test_without_any_sandbox_it_does_not_start_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    plugin = equip(Terminal(), make_home(tmp_path))
    with pytest.raises(ConfigurationError) as raised:
        await plugin.start()
    assert "bwrap is not installed" in str(raised.value)
    assert "no Landlock" in str(raised.value)
    assert 'sandbox = "none"' in raised.value.cure
    await plugin.stop()


async def test_a_bubblewrap_that_does_not_work_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    plugin = equip(Terminal(), make_home(tmp_path))
    with pytest.raises(ConfigurationError, match="uid map: Permission denied"):
        await plugin.start()


async def test_an_examination_says_that_it_would_be_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landlock, "abi", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    health = await equip(Terminal(), make_home(tmp_path)).examine()
    assert health.ok
    assert health.detail.startswith("Off. Commands cannot be shut in (bubblewrap: the program bwrap")
    assert 'sandbox = "none"' in health.cure
    with pytest.raises(ConfigurationError):
        await equip(Terminal(), make_home(tmp_path), sandbox="landlock").examine()


async def test_an_examination_says_what_a_start_would_find(tmp_path: Path) -> None:
    health = await equip(Terminal(), make_home(tmp_path), sandbox="none").examine()
    async with started(tmp_path, sandbox="none") as bench:
        assert health == await bench.plugin.health()


async def test_health_says_what_none_means(bench: Bench) -> None:
    health = await bench.plugin.health()
    assert "Sandbox: none" in health.detail
    assert "secrets included" in health.detail
    assert "network is on" in health.detail
    assert "bubblewrap" in health.cure


def test_what_is_readable_goes_around_what_is_hidden(tmp_path: Path) -> None:
    for path in ("a/b/home", "a/b/other", "a/c", "d"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a/b/home")
    readable = set(readable_around([tmp_path / "a/b/home"], tmp_path))
    assert readable == {str(tmp_path / path) for path in ("a/b/other", "a/c", "d")}


def test_no_rule_of_landlock_opens_a_hidden_place(tmp_path: Path) -> None:
    places = Places(home=Path("/usr/share"), work=tmp_path, hide=(Path("/etc/passwd"),))
    sandbox = LandlockSandbox(places, network=False)
    argv = sandbox.argv(Command(argv=["true"], cwd=tmp_path), Limits.of(TerminalConfig()))
    rules = json.loads(argv[argv.index("true") - 1])["landlock"]
    assert rules["write"] == [str(tmp_path)]
    assert "/etc/hostname" in rules["read"] or "/etc/hosts" in rules["read"]
    for hidden in (places.home, *places.hidden(), Path("/run"), Path("/tmp")):
        opened = [path for path in rules["read"] if hidden.is_relative_to(path) or Path(path).is_relative_to(hidden)]
        assert opened == []


def test_bubblewrap_hides_the_home_and_binds_the_work_over_it(tmp_path: Path) -> None:
    places = Places(home=tmp_path, work=tmp_path / "data" / "work")
    sandbox = Bubblewrap("bwrap", places, network=False, tmp_bytes=1)
    argv = " ".join(sandbox.argv(Command(argv=["true"], cwd=places.work), Limits.of(TerminalConfig())))
    hides, binds = argv.index(f"--tmpfs {tmp_path} "), argv.index(f"--bind {places.work} {places.work} ")
    assert argv.index("--ro-bind / /") < hides < binds < argv.index(f"--remount-ro {tmp_path} ")
    assert "--unshare-net" in argv
