"""The interactive console in a real pseudo terminal."""

from __future__ import annotations

import re
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.terminal import Terminal

ROOT = Path(__file__).parents[2]


def conversation(directory: Path, **environment: str) -> Terminal:
    return Terminal(
        [sys.executable, "-m", "tests.support.console_session", str(directory)],
        environment={"PYTHONPATH": str(ROOT), "NO_COLOR": "", **environment},
    )


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    with conversation(tmp_path) as terminal:
        terminal.until_typing(">")
        yield terminal


def answer(text: str) -> str:
    return f"You said: {text!r}"


def test_a_line_is_answered_and_ctrl_d_leaves(terminal: Terminal, tmp_path: Path) -> None:
    terminal.type("hello\r")
    terminal.until_line(answer("hello"))
    terminal.type("\x04")
    assert terminal.wait() == 0
    said = ["This is a test.", "", "> hello", "", answer("hello"), "", ">", "It ended well."]
    assert terminal.screen.lines == said
    history = tmp_path / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    assert "+hello\n" in history.read_text()


def test_a_late_message_leaves_the_half_typed_line_alone(terminal: Terminal) -> None:
    terminal.type("half a li")
    terminal.until_typing("> half a li")
    terminal.signal(signal.SIGUSR1)
    terminal.until_line("Reminder: take the cake out")
    terminal.until_typing("> half a li")
    terminal.type("ne\r")
    terminal.until_line(answer("half a line"))
    assert terminal.screen.lines[:6] == [
        "This is a test.",
        "",
        "Reminder: take the cake out",
        "",
        "> half a line",
        "",
    ]


def test_no_key_is_lost_while_messages_rain(terminal: Terminal) -> None:
    terminal.type("start\r")
    for _ in range(5):
        for key in "abcdefghij":
            terminal.signal(signal.SIGUSR1)
            terminal.type(key)
            terminal.pause()
    terminal.until_typing("> " + 5 * "abcdefghij")
    for number in range(20):
        terminal.type(f"\rline {number}")
        terminal.pause()
    terminal.type("\r")
    terminal.until_line(answer("line 19"))
    answers = [line for line in terminal.screen.lines if line.startswith("You said: 'line")]
    assert answers == [answer(f"line {number}") for number in range(20)]


def test_ctrl_c_stops_the_turn_and_keeps_what_is_being_typed(terminal: Terminal) -> None:
    terminal.type("long\r")
    terminal.until(lambda screen: any("counting sheep" in line for line in screen.lines), "the spinner")
    terminal.type("next")
    terminal.until_typing("> next")
    terminal.type("\x03")
    terminal.until_line("Stopped.")
    terminal.until(lambda screen: not any("sheep" in line for line in screen.lines), "the spinner's end")
    terminal.type(" one\r")
    terminal.until_line(answer("next one"))


def test_what_is_typed_while_a_turn_runs_waits_for_it(terminal: Terminal) -> None:
    terminal.type("long\r")
    terminal.until(lambda screen: any("counting sheep" in line for line in screen.lines), "the spinner")
    terminal.type("second\r")
    terminal.until(lambda screen: any("1 more waiting" in line for line in screen.lines), "the waiting message")
    terminal.signal(signal.SIGINT)
    terminal.until_line(answer("second"))
    lines = terminal.screen.lines
    assert lines.index("Stopped.") < lines.index(answer("second"))


def test_ctrl_c_clears_a_line_and_then_says_how_to_leave(terminal: Terminal) -> None:
    terminal.type("nonsense")
    terminal.until_typing("> nonsense")
    terminal.type("\x03")
    terminal.until_typing(">")
    assert "Ctrl-D leaves." not in terminal.screen.lines
    terminal.type("\x03")
    terminal.until_line("Ctrl-D leaves.")
    terminal.type("x")
    terminal.until(lambda screen: "Ctrl-D leaves." not in screen.lines, "the end of the notice")


def test_a_pasted_text_and_alt_enter_make_one_message_of_several_lines(terminal: Terminal) -> None:
    terminal.type("\x1b[200~one\ntwo\n\x1b[201~")
    terminal.until(lambda screen: "  two" in screen.lines, "the pasted text")
    terminal.type("three\x1b\rfour\r")
    terminal.until_line(answer("one\ntwo\nthree\nfour"))


def test_commands_are_completed(terminal: Terminal) -> None:
    terminal.type("/hel")
    terminal.until(lambda screen: any("what I can do" in line for line in screen.lines), "the menu")
    terminal.type("\t\t\r")  # the second of /hello and /help
    terminal.until_line(answer("/help"))


def test_mentions_are_completed(terminal: Terminal) -> None:
    terminal.type("see @sh")
    terminal.until(lambda screen: any("what is for sale" in line for line in screen.lines), "the menu")
    terminal.type("\t\t and\r")  # the second of @Shop and @shed
    terminal.until_line(answer("see @shed and"))


def test_an_empty_line_says_nothing(terminal: Terminal) -> None:
    terminal.type("\r  \r")
    terminal.type("hello\r")
    terminal.until_line(answer("hello"))
    assert terminal.screen.lines[:3] == ["This is a test.", "", "> hello"]


def test_no_message_can_rewrite_the_screen(terminal: Terminal) -> None:
    terminal.type("hostile\r")
    terminal.until_line("a stray line ␛]0;owned␇ in pieces")
    terminal.type("and on\r")
    terminal.until_line(answer("and on"))
    assert any("␛]52;c;aGFoYQ==␇" in line for line in terminal.screen.lines)
    assert b"\x1b]" not in terminal.raw
    assert b"\x1b[2J" not in terminal.raw
    assert b"\x07" not in terminal.raw
    assert "\x9b" not in terminal.raw.decode()


def test_a_line_about_the_conversation_stands_above_what_is_typed(terminal: Terminal) -> None:
    terminal.type("edited\r")
    terminal.until_line("(watch) greet was ␛[2Jreloaded.")
    terminal.until_typing(">")
    terminal.type("and on\r")
    terminal.until_line(answer("and on"))


def test_stop_ends_the_conversation_from_outside(terminal: Terminal) -> None:
    terminal.type("half a li")
    terminal.until_typing("> half a li")
    terminal.signal(signal.SIGTERM)
    assert terminal.wait() == 0
    assert terminal.screen.lines[-1] == "It ended well."


def test_quit_leaves_too(terminal: Terminal) -> None:
    terminal.type("/quit\r")
    assert terminal.wait() == 0
    assert terminal.screen.lines[-1] == "It ended well."


def test_what_was_typed_before_leaving_is_handed_over(terminal: Terminal) -> None:
    terminal.type("remember this\r\x04")
    assert terminal.wait() == 0
    assert "> remember this" in terminal.screen.lines


def test_no_color(tmp_path: Path) -> None:
    with conversation(tmp_path, NO_COLOR="1") as terminal:
        terminal.until_typing(">")
        terminal.type("hello\r")
        terminal.until_line(answer("hello"))
        assert not re.search(rb"\x1b\[[0-9;]*[34][0-7]m", terminal.raw)


def test_a_dumb_terminal_gets_plain_lines(tmp_path: Path) -> None:
    with conversation(tmp_path, TERM="dumb") as terminal:
        terminal.until_line("This is a test.")
        terminal.type("hostile\r")
        terminal.until(lambda screen: any("␛]52;c" in line for line in screen.lines), "the answer")
        terminal.type("\x04")
        assert terminal.wait() == 0
        assert b"\x1b[2J" not in terminal.raw
