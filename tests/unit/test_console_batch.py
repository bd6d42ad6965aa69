"""The console without a prompt: one message a line, a single message, and what is printed of them."""

from __future__ import annotations

import asyncio
import fcntl
import io
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from core.contracts.deliveries import Activity, ActivityKind, Part
from core.contracts.errors import CannotDeliver, StorageUnavailable
from core.contracts.inputs import Accepted, Address, Input, InputKind
from interfaces.console import PLUGIN_CLASS, ConsoleInterface
from interfaces.console.line_reader import MAX_LINE_BYTES

ADDRESS = Address("console", "local")
Behaviour = Callable[[Input], tuple[str, str, tuple[str, ...]]]


class FakeCore:
    """Runs each input's turn as the core would; `behave` says the reply, the result and the approvals."""

    def __init__(self, console: ConsoleInterface) -> None:
        self.console = console
        self.inputs: list[Input] = []
        self.received = asyncio.Event()
        self.open_turns = 0
        self.most_open_turns = 0
        self.ends_early = False
        self.never_ends = False
        self.behave: Behaviour = lambda input_: (f"You said: {input_.text}", "complete", ())
        self._tasks: set[asyncio.Task[None]] = set()

    async def receive(self, input_: Input) -> Accepted:
        self.inputs.append(input_)
        self.received.set()
        self.open_turns += 1
        self.most_open_turns = max(self.most_open_turns, self.open_turns)
        turn = asyncio.create_task(self._run(len(self.inputs), input_))
        self._tasks.add(turn)
        turn.add_done_callback(self._tasks.discard)
        if self.ends_early:
            await turn
        return Accepted(input_id=len(self.inputs), duplicate=False)

    async def _run(self, id_: int, input_: Input) -> None:
        await self.console.activity(Activity(kind=ActivityKind.STARTED, address=ADDRESS, input_id=id_))
        if self.never_ends:
            return
        reply, result, approvals = self.behave(input_)
        not_done = ("press",) if "unsuccessfully" in input_.text else ()
        try:
            await self.console.send(Part(address=ADDRESS, text=reply))
        except CannotDeliver:
            result = "complete"  # a dead letter is no failure of the turn
        self.open_turns -= 1
        await self.console.activity(
            Activity(
                kind=ActivityKind.ENDED,
                address=ADDRESS,
                input_id=id_,
                result=result,
                approval_ids=approvals,
                not_done=not_done,
            )
        )


@pytest.fixture
async def core() -> AsyncIterator[FakeCore]:
    console = PLUGIN_CLASS()
    core = FakeCore(console)
    await console.start(core.receive)
    yield core
    await console.stop()


def piped(text: bytes) -> io.BytesIO:
    return io.BytesIO(text)


async def test_lines_are_messages_in_order_one_turn_after_the_other(
    core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await core.console.run_lines(piped(b"one\n\n   \ntwo\r\nthree")) == 0
    assert [input_.text for input_ in core.inputs] == ["one", "two", "three"]
    assert core.most_open_turns == 1
    assert capsys.readouterr() == ("You said: one\nYou said: two\nYou said: three\n", "")


async def test_an_input_names_its_sender_lane_and_a_key_of_its_own(core: FakeCore) -> None:
    await core.console.run_lines(piped(b"hi\n/help me\n/usr/bin is what?\nhi\n"))
    first, *_ = core.inputs
    assert {first.principal.user_id} == core.console.local_trainers()
    assert str(first.principal).startswith("console:")
    assert str(first.address) == str(core.console.private_address("anyone")) == "console:local"
    assert len({input_.dedupe_key for input_ in core.inputs}) == 4
    kinds = [input_.kind for input_ in core.inputs]
    assert kinds == [InputKind.MESSAGE, InputKind.COMMAND, InputKind.MESSAGE, InputKind.MESSAGE]


def test_who_has_no_login_name_is_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("no such user")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert ConsoleInterface().local_trainers() == {"owner"}


async def test_text_goes_into_a_pipe_as_it_is(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    text = "**bold** \x1b[31mred\x1b[0m <b>"
    core.behave = lambda _: (text, "complete", ())
    assert await core.console.run_once("show") == 0
    assert capsys.readouterr().out == text + "\n"


@pytest.mark.parametrize("ends_early", [False, True])
async def test_once_waits_for_its_turn_whenever_it_ends(
    core: FakeCore, ends_early: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    core.ends_early = ends_early
    assert await asyncio.wait_for(core.console.run_once("hi"), 5) == 0
    assert capsys.readouterr() == ("You said: hi\n", "")


@pytest.mark.parametrize("result", ["error", "aborted"])
async def test_a_turn_that_is_not_complete_is_a_failure(
    core: FakeCore, result: str, capsys: pytest.CaptureFixture[str]
) -> None:
    core.behave = lambda _: ("Sorry.", result, ())
    assert await core.console.run_once("hi") == 1
    out, err = capsys.readouterr()
    assert out == "Sorry.\n"
    assert "turn" in err


async def test_an_approval_is_named_with_the_command_that_gives_it(
    core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    core.behave = lambda _: ("May I?", "awaiting_approval", ("k7f3",))
    assert await core.console.run_once("delete it") == 1
    out, err = capsys.readouterr()
    assert out == "May I?\n"
    assert "rekku chat --once '/approve k7f3'" in err


async def test_an_action_that_came_to_nothing_is_a_status(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    assert await core.console.run_once("press it unsuccessfully") == 1
    assert capsys.readouterr() == ("You said: press it unsuccessfully\n", "Not done: press.\n")


async def test_a_failed_line_does_not_keep_the_next_from_running(
    core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    core.behave = lambda input_: ("done", "error" if input_.text == "bad" else "complete", ())
    assert await core.console.run_lines(piped(b"bad\ngood\n")) == 1
    assert [input_.text for input_ in core.inputs] == ["bad", "good"]


async def test_a_line_over_the_limit_is_refused_and_the_next_is_read(
    core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    longest = b"y" * MAX_LINE_BYTES
    lines = b"x" * (3 * MAX_LINE_BYTES) + b"\n" + longest + b"\n" + longest + b"y\nafter\n"
    core.behave = lambda input_: (str(len(input_.text)), "complete", ())
    assert await core.console.run_lines(piped(lines)) == 1
    out, err = capsys.readouterr()
    assert out == f"{MAX_LINE_BYTES}\n5\n"
    assert err.splitlines() == ["Line 1 is over 1 MiB; it was skipped.", "Line 3 is over 1 MiB; it was skipped."]


async def test_once_refuses_what_is_empty_or_over_the_limit(
    core: FakeCore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await core.console.run_once("  \n") == 1
    assert await core.console.run_once("é" * MAX_LINE_BYTES) == 1
    assert core.inputs == []
    assert capsys.readouterr().err.count("\n") == 2


async def test_bytes_that_are_not_utf8_are_replaced_and_a_byte_order_mark_is_dropped(core: FakeCore) -> None:
    await core.console.run_lines(piped(b"\xef\xbb\xbfcaf\xc3\xa9\nbad \xff byte\n"))
    assert [input_.text for input_ in core.inputs] == ["café", "bad \ufffd byte"]


async def test_an_inbox_that_is_away_is_said_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    async def receive(input_: Input) -> Accepted:
        raise StorageUnavailable("The database cannot be reached.", cure="Start it.")

    console = ConsoleInterface()
    await console.start(receive)
    assert await console.run_once("hi") == 1
    assert capsys.readouterr().err == "The database cannot be reached. Start it.\n"


async def test_a_delivery_is_printed_before_anybody_reads(capsys: pytest.CaptureFixture[str]) -> None:
    console = ConsoleInterface()
    await console.send(Part(address=ADDRESS, text="left from yesterday\n"))
    assert capsys.readouterr().out == "left from yesterday\n"


async def test_stop_ends_a_wait_for_a_turn_and_for_a_line(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    core.never_ends = True
    once = asyncio.create_task(core.console.run_once("hi"))
    await asyncio.wait_for(core.received.wait(), 5)
    await core.console.stop()
    assert await asyncio.wait_for(once, 5) == 1

    silent, writer = os.pipe()
    await core.console.start(core.receive)
    with os.fdopen(silent, "rb") as stream, os.fdopen(writer, "wb"):
        lines = asyncio.create_task(core.console.run_lines(stream))
        for _ in range(10):
            await asyncio.sleep(0)
        await core.console.stop()
        assert await asyncio.wait_for(lines, 5) == 0


def pipe_of_its_own() -> tuple[int, int]:
    """Return a pipe whose numbers no other test has used: what was left of one might close or read it."""
    low = os.pipe()
    high = [fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 200) for number in low]
    for number in low:
        os.close(number)
    return high[0], high[1]


async def test_the_loop_runs_on_while_the_pipe_is_silent(core: FakeCore) -> None:
    silent, writer = pipe_of_its_own()
    with os.fdopen(silent, "rb") as stream, os.fdopen(writer, "wb", buffering=0) as typist:
        lines = asyncio.create_task(core.console.run_lines(stream))
        typist.write(b"first\nsec")
        await asyncio.wait_for(core.received.wait(), 20)
        assert [input_.text for input_ in core.inputs] == ["first"]
        typist.write(b"ond\n")
        typist.close()
        assert await asyncio.wait_for(lines, 5) == 0
    assert [input_.text for input_ in core.inputs] == ["first", "second"]


async def test_a_reader_that_has_gone_ends_the_run_quietly(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w", encoding="utf-8") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        with pytest.raises(CannotDeliver):
            await core.console.send(Part(address=ADDRESS, text="anybody?"))
        assert await core.console.run_lines(piped(b"one\ntwo\n")) == 0
    assert core.inputs == []
    assert capsys.readouterr().err == ""


async def test_closed_standard_streams_are_no_crash(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    await core.console.run_interactive()
    assert await core.console.run_lines(None) == 0
    with pytest.raises(CannotDeliver):
        await core.console.send(Part(address=ADDRESS, text="anybody?"))


async def test_a_full_pipe_blocks_neither_the_loop_nor_the_order(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, writer = os.pipe()
    big = "x" * 1_000_000
    with os.fdopen(reader, "rb") as source, os.fdopen(writer, "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        first = asyncio.create_task(core.console.send(Part(address=ADDRESS, text=big)))
        await asyncio.sleep(0.01)
        first.cancel()  # a deadline of the core
        second = asyncio.create_task(core.console.send(Part(address=ADDRESS, text="second")))
        await asyncio.sleep(0.01)
        assert not second.done()
        expected = (big + "\nsecond\n").encode()
        assert await asyncio.to_thread(source.read, len(expected)) == expected
        await asyncio.wait_for(second, 5)


def test_the_batch_modes_load_neither_rich_nor_prompt_toolkit() -> None:
    program = """
import asyncio, io, sys
from core.contracts.deliveries import Activity, ActivityKind, Part
from core.contracts.inputs import Accepted
from interfaces.console import PLUGIN_CLASS

async def main():
    console = PLUGIN_CLASS()
    async def receive(input_):
        await console.send(Part(address=input_.address, text="hi"))
        await console.activity(
            Activity(kind=ActivityKind.ENDED, address=input_.address, input_id=1, result="complete"))
        return Accepted(input_id=1, duplicate=False)
    await console.start(receive)
    assert await console.run_once("hello") == 0
    assert await console.run_lines(io.BytesIO(b"hello\\n")) == 0
    await console.stop()

asyncio.run(main())
print(sorted({"prompt_toolkit", "markdown_it", "rich.markdown"} & set(sys.modules)))
"""
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, timeout=60)
    assert (run.stdout, run.stderr) == ("hi\nhi\n[]\n", "")
