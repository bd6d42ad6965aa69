"""Sessions of the terminal: the shells that fool a marker behind the command, and what is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core.contracts.errors import ActionFailed
from tests.support.terminal_plugin import Bench, make_home, processes_with, started

SECONDS_OF_A_TEST = 30


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with asyncio.timeout(SECONDS_OF_A_TEST), started(tmp_path, sandbox="none") as bench:
        yield bench


async def say(bench: Bench, command: str, **payload: Any) -> tuple[str, int | None, str]:
    """Run a command in the session "a"; return state, exit code and output."""
    result = await bench.run(command, session="a", **payload)
    return result["state"], result.get("exit_code"), result["output"]


async def is_fit(bench: Bench) -> bool:
    """Whether the session takes the next command, and nothing of an earlier one is in its output."""
    return await say(bench, "echo fit; false") == ("done", 1, "fit\n")


async def test_what_a_shell_keeps_is_kept(bench: Bench) -> None:
    await say(bench, "cd /usr; X=5; export Y=6; f() { echo f$1; }; alias hey='echo ho'; declare Z=7; (exit 9)")
    assert await say(bench, "echo $? $PWD $X $Y $Z; f 1; hey") == ("done", 0, "9 /usr 5 6 7\nf1\nho\n")
    (bench.work / "env").mkdir()
    assert await say(bench, "pwd", cwd="env") == ("done", 0, f"{bench.work / 'env'}\n")
    assert await say(bench, "pwd") == ("done", 0, f"{bench.work / 'env'}\n")


@pytest.mark.parametrize(
    ("command", "code", "output"),
    [
        ("echo 'open", 2, "unexpected EOF"),
        ('echo "$(echo', 2, "unexpected EOF"),
        ("if true; then", 2, "syntax error"),
        ("echo )", 2, "syntax error"),
        ("cat <<EOF\nline", 0, "line"),
        ("cat <<EOF\nline\nEOF", 0, "line\n"),
        ("echo a # comment", 0, "a\n"),
        ("# only a comment", 0, ""),
        ("echo a \\", 0, "a\n"),
        ("printf 'no newline'", 0, "no newline"),
        ("printf '\\001\\377\\200\\033]0;t'", 0, "��"),
        ("echo '$ '; echo '__rekku_done 1 0'", 0, "$ \n__rekku_done 1 0\n"),
        ("return 3", 3, ""),
        ("exec /nonexistent/program", 127, "No such file"),
        ("set -u; echo ${nothing?}", 1, "nothing"),
        ("kill -TERM $BASHPID; sleep 0.1", 0, ""),
        ("! true", 1, ""),
        ("(exit 200)", 200, ""),
        ("echo déjà vu ✓", 0, "déjà vu ✓\n"),
        ("echo !! !x '!y'", 0, "!! !x !y\n"),
        ("echo\ta\tb", 0, "a b\n"),
        ("for i in 1 2; do\n  echo $i\ndone", 0, "1\n2\n"),
        ("head -c 100000 /dev/urandom | tr -d '\\n'; true", 0, ""),
        ("stty -echo", 0, ""),
        ("trap 'echo debug' DEBUG; echo x; trap - DEBUG", 0, "x\n"),
        ("trap 'echo int' INT; trap '' TERM", 0, ""),
        ("PS1= PS2= PS4=; PROMPT_COMMAND='echo noise'", 0, ""),
        ("unset PROMPT_COMMAND", 0, ""),
        ("PROMPT_COMMAND=(true 'echo more')", 0, ""),
        ("readonly PROMPT_COMMAND=", 0, ""),
        ("set -o vi", 0, ""),
        ("set -x; true; set +x", 0, "+ true"),
        ("exec 2>/dev/null", 0, ""),
        ("exec >/dev/null", 0, ""),
        ("bash -c 'exit 6'", 6, ""),
        ("sleep 0.1 & wait; jobs", 0, ""),
        ("set -o posix; set +o posix", 0, ""),
        ("IFS=x; set -f; shopt -s extglob nullglob", 0, ""),
    ],
)
async def test_the_end_of_a_command_is_told_by_the_shell(bench: Bench, command: str, code: int, output: str) -> None:
    state, exit_code, said = await say(bench, command, timeout_s=5)
    assert (state, exit_code) == ("done", code)
    assert output in said
    silent = command == "exec >/dev/null"
    assert await say(bench, "echo fit; false") == ("done", 1, "" if silent else "fit\n")
    assert await is_fit(bench) or silent


async def test_a_debug_trap_that_stays_does_not_hide_the_end(bench: Bench) -> None:
    state, _, said = await say(bench, "trap 'echo debug' DEBUG; echo x")
    assert state == "done"
    assert "x\n" in said
    state, code, said = await say(bench, "echo y; (exit 4)")
    assert (state, code) == ("done", 4)
    assert "y\n" in said


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("exec sh -c 'exit 5'", 5), ("set -e; false", 1)])
async def test_a_shell_that_ends_closes_its_session(bench: Bench, command: str, code: int) -> None:
    await say(bench, "X=1")
    assert (await say(bench, command))[:2] == ("closed", code)
    assert (await bench.call("terminal_sessions"))["open"] == []
    assert await say(bench, "echo ${X-unset}") == ("done", 0, "unset\n")


@pytest.mark.parametrize(
    "command",
    [
        "echo before; sleep 1000.25",
        "echo before; read answer",
        "echo before; cat",
        "echo before; while :; do :; done",
        "echo before; PROMPT_COMMAND=; sleep 1000.25",
        "echo before; sh -c 'trap \"\" INT; while :; do sleep 0.05; done'",
        "echo before; sh -c 'trap \"\" INT TERM; while :; do sleep 0.05; done'",
        "echo before; stty raw -isig -echo; sleep 1000.25",
    ],
)
async def test_the_time_out_interrupts_and_leaves_nothing_for_the_next(bench: Bench, command: str) -> None:
    state, code, said = await say(bench, command, timeout_s=0.3)
    assert state == "interrupted"
    assert code not in (0, None)
    assert said.startswith("before")
    assert await is_fit(bench)
    assert processes_with("1000.25") == []


async def test_a_shell_that_cannot_be_interrupted_is_closed(bench: Bench) -> None:
    started_at = time.monotonic()
    state, _, said = await say(bench, "trap '' INT; echo stubborn; while :; do :; done", timeout_s=0.2)
    assert (state, said.splitlines()[0]) == ("closed", "stubborn")
    assert time.monotonic() - started_at < 20
    assert await is_fit(bench)


async def test_a_command_may_be_left_running_and_spoken_to(bench: Bench) -> None:
    result = await bench.run(
        "read -p 'Name? ' n; echo Hello $n; exit_with() { return 3; }; exit_with",
        session="a",
        timeout_s=0.3,
        keep=True,
    )
    assert (result["state"], result["output"]) == ("running", "Name? ")
    assert "waiting for input" in result["note"]
    with pytest.raises(ActionFailed, match="still runs"):
        await say(bench, "echo other")
    result = await bench.call("terminal_input", session="a", text="Ada", keys=["enter"], wait_s=5)
    assert (result["state"], result["exit_code"]) == ("done", 3)
    assert "Hello Ada\n" in result["output"]
    assert await is_fit(bench)


async def test_a_repl_is_spoken_to_in_turns(bench: Bench) -> None:
    first = await bench.run("python3 -q", session="a", timeout_s=1.0, keep=True)
    assert first["state"] == "running"
    answer = await bench.call("terminal_input", session="a", text="print(6*7)", keys=["enter"])
    assert "42" in answer["output"].splitlines()
    answer = await bench.call("terminal_input", session="a", keys=["ctrl-d"], wait_s=5)
    assert (answer["state"], answer["exit_code"]) == ("done", 0)
    assert await is_fit(bench)


async def test_later_output_is_waited_for(bench: Bench) -> None:
    await bench.run("sleep 0.6; echo first; sleep 0.6; echo second", session="a", timeout_s=0.1, keep=True)
    assert (await bench.call("terminal_read", session="a", wait_s=5))["output"] == "first\n"
    result = await bench.call("terminal_read", session="a", wait_s=5)
    assert (result["output"], result["exit_code"]) == ("second\n", 0)
    started_at = time.monotonic()
    assert (await bench.call("terminal_read", session="a", wait_s=0.3))["state"] == "idle"
    assert time.monotonic() - started_at < 2


async def test_keys_reach_the_shell_itself(bench: Bench) -> None:
    await say(bench, "mkdir -p some_directory")
    await bench.call("terminal_input", session="a", text="cd some_d", keys=["tab", "enter"])
    assert (await say(bench, "basename $PWD"))[2] == "some_directory\n"
    await bench.call("terminal_input", session="a", text="half a comm")
    assert await is_fit(bench)
    await bench.call("terminal_input", session="a", text="echo typed", keys=["left", "right", "enter"])
    assert await is_fit(bench)


async def test_a_full_screen_program_gives_its_screen(bench: Bench) -> None:
    paint = r"printf '\033[?1049h\033[2J\033[3;5Hpainted here'; read -rsn1; printf '\033[?1049l'; echo left"
    result = await bench.run(paint, session="a", timeout_s=0.5, keep=True)
    assert result["screen"] == "\n\n    painted here"
    assert result["output"] == ""
    result = await bench.call("terminal_input", session="a", text="q", wait_s=5)
    assert (result["state"], "screen" in result, result["output"]) == ("done", False, "left\n")


CURSES = """
import curses
def main(screen):
    key = ""
    while key != "q":
        screen.clear()
        screen.addstr(2, 4, f"Last key: {key or 'none'}")
        screen.addstr(5, 0, "déjà vu", curses.A_REVERSE)
        screen.refresh()
        key = screen.getkey()
curses.wrapper(main)
"""


async def test_what_curses_paints_is_read_as_text(bench: Bench) -> None:
    (bench.work / "page.py").write_text(CURSES)
    await bench.run("python3 page.py", session="a", timeout_s=0.5, keep=True)
    result: Any = {}
    for key in ("x", "left"):
        keys = {"text": key} if key == "x" else {"keys": [key]}
        for _ in range(50):
            result = await bench.call("terminal_input", session="a", wait_s=0.2, **keys)
            if f"Last key: {'KEY_LEFT' if key == 'left' else key}" in result.get("screen", ""):
                break
    assert result["screen"].splitlines()[2:] == ["    Last key: KEY_LEFT", "", "", "déjà vu"]
    result = await bench.call("terminal_input", session="a", text="q", wait_s=5)
    assert (result["state"], result["exit_code"]) == ("done", 0)
    assert await is_fit(bench)


async def test_a_flood_is_bounded_and_can_be_interrupted(bench: Bench) -> None:
    lag = 0.0

    async def watch() -> None:
        nonlocal lag
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            lag = max(lag, time.monotonic() - before - 0.01)

    await say(bench, "true")
    watching = asyncio.create_task(watch())
    result = await bench.run("yes 'a long line of text that is repeated'", session="a", timeout_s=1.0)
    watching.cancel()
    assert result["state"] == "interrupted"
    assert len(result["output"]) < 20_000
    assert result["cut"]["output_bytes"] > 100_000
    assert lag < 0.5
    assert await is_fit(bench)


async def test_sessions_belong_to_who_opened_them(bench: Bench) -> None:
    await say(bench, "X=mine")
    with pytest.raises(ActionFailed, match="no session a"):
        await bench.call("terminal_read", by="other", session="a")
    with pytest.raises(ActionFailed, match="no session a"):
        await bench.call("terminal_close", by="other", session="a")
    theirs = await bench.run("echo ${X-nothing}", session="b")
    assert theirs["output"] == "nothing\n"
    assert (await bench.call("terminal", by="other", command="echo ${X-nothing}", session="a"))[
        "output"
    ] == "nothing\n"
    assert await say(bench, "echo $X") == ("done", 0, "mine\n")
    assert [one["session"] for one in (await bench.call("terminal_sessions"))["open"]] == ["a", "b"]


async def test_closing_ends_all_that_was_started(bench: Bench) -> None:
    await say(bench, "nohup setsid sleep 1000.75 >/dev/null 2>&1 & sleep 1000.75 & disown -a; sleep 0.2")
    assert len(processes_with("1000.75")) >= 2
    await bench.call("terminal_close", session="a")
    await _none_left("1000.75")
    with pytest.raises(ActionFailed, match="no session a"):
        await bench.call("terminal_read", session="a")


async def test_idle_sessions_are_closed_and_said_to_be(bench: Bench) -> None:
    await say(bench, "sleep 1000.5 &")
    bench.context.clock.advance(minutes=29)
    await bench.plugin._sessions.close_idle()
    await say(bench, "true")
    bench.context.clock.advance(minutes=31)
    await bench.plugin._sessions.close_idle()
    await _none_left("1000.5")
    with pytest.raises(ActionFailed, match="idle"):
        await bench.call("terminal_read", session="a")
    result = await bench.run("true", session="a")
    assert "this is a new one" in result["note"]


async def test_there_is_a_bound_on_sessions(tmp_path: Path) -> None:
    async with started(tmp_path, sandbox="none", max_sessions=2) as bench:
        await bench.run("true", session="a")
        await bench.run("true", session="b")
        with pytest.raises(ActionFailed, match="2 sessions"):
            await bench.run("true", session="c")
        await bench.call("terminal_close", session="a")
        await bench.run("true", session="c")


async def test_dead_sessions_make_room(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS_OF_A_TEST), started(tmp_path, sandbox="none", max_sessions=2) as bench:
        for name in "ab":
            pid = int((await bench.run("echo $$", session=name))["output"])
            os.kill(pid, signal.SIGKILL)
            for _ in range(200):
                await asyncio.sleep(0.02)
                if not bench.plugin._sessions.owned("console:owner")[-1].alive:
                    break
        assert (await bench.run("echo c", session="c"))["output"] == "c\n"
        gone = (await bench.call("terminal_sessions"))["gone"]
        assert {(one["session"], one["why"]) for one in gone} == {
            ("a", "closed because its shell had ended"),
            ("b", "closed because its shell had ended"),
        }


async def test_a_command_for_a_shell_that_has_just_ended_is_not_run(bench: Bench) -> None:
    """What comes back then must not look as if the command had run and closed the shell."""
    shell = int((await say(bench, "echo $$"))[2])
    os.kill(shell, signal.SIGKILL)
    with pytest.raises(ActionFailed, match="was not run"):
        await say(bench, "touch ran")
    assert not (bench.work / "ran").exists()
    assert "its shell had ended" in (await bench.run("touch ran", session="a"))["note"]
    assert (bench.work / "ran").exists()


async def test_a_session_whose_end_was_told_is_not_kept(bench: Bench) -> None:
    await bench.run("exec cat", session="a", timeout_s=0.3, keep=True)
    result = await bench.call("terminal_input", session="a", keys=["ctrl-d"], wait_s=5)
    assert (result["state"], result["exit_code"]) == ("closed", 0)
    assert await bench.call("terminal_sessions") == {"open": [], "gone": []}


async def test_the_reports_cannot_be_taken_away(bench: Bench) -> None:
    await say(bench, "unset -f __rekku_report __rekku_start __rekku_done; __rekku_done() { :; }; alias .=true")
    assert await is_fit(bench)


async def test_sessions_that_a_restart_took_are_said_to_be_lost(tmp_path: Path) -> None:
    context = make_home(tmp_path)
    async with started(tmp_path, context, sandbox="none") as bench:
        await say(bench, "X=1; sleep 1000.625 &")
    await _none_left("1000.625")
    async with started(tmp_path, context, sandbox="none"):
        """Nobody asks for it between two restarts."""
    async with started(tmp_path, context, sandbox="none") as bench:
        gone = (await bench.call("terminal_sessions"))["gone"]
        assert gone == [{"session": "a", "why": "lost when Rekku restarted"}]
        with pytest.raises(ActionFailed, match="lost when Rekku restarted"):
            await bench.call("terminal_input", session="a", text="x")
        result = await bench.run("echo ${X-unset}", session="a")
        assert result["output"] == "unset\n"
        assert "lost when Rekku restarted" in result["note"]
        assert (await bench.call("terminal_sessions"))["gone"] == []


async def test_a_shell_that_is_killed_is_noticed(bench: Bench) -> None:
    shell = int((await say(bench, "echo $$"))[2])
    os.kill(shell, signal.SIGKILL)
    result = await bench.call("terminal_read", session="a", wait_s=5)
    assert result["state"] == "closed"
    assert await is_fit(bench)


async def test_a_cancelled_command_is_interrupted(bench: Bench) -> None:
    await say(bench, "true")
    task = asyncio.create_task(say(bench, "sleep 1000.125"))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if processes_with("1000.125"):
            break
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.context.jobs[-1]
    await _none_left("1000.125")
    assert await is_fit(bench)


async def test_two_actions_do_not_use_one_session_at_once(bench: Bench) -> None:
    await say(bench, "true")
    first = asyncio.create_task(say(bench, "sleep 0.5; echo one"))
    await asyncio.sleep(0.1)
    with pytest.raises(ActionFailed, match="Another action"):
        await say(bench, "echo two")
    assert await first == ("done", 0, "one\n")


async def test_no_descriptor_and_no_control_directory_is_left(bench: Bench) -> None:
    await say(bench, "true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        await bench.call("terminal_close", session="a")
        await say(bench, "true")
    assert len(os.listdir("/proc/self/fd")) <= before + 1
    assert len(list((bench.context.data_directory / "sessions").iterdir())) == 1


async def _none_left(text: str) -> None:
    for _ in range(100):
        if not processes_with(text):
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"left behind: {processes_with(text)}")
