"""What the console makes of texts: harmless, laid out, complete."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from core.contracts.deliveries import Activity, ActivityKind
from core.contracts.inputs import Address
from interfaces.console.completion import NameCompleter
from interfaces.console.history import PromptHistory
from interfaces.console.markdown import MAX_STYLED_CHARACTERS, render_markdown
from interfaces.console.status import Status
from interfaces.console.terminal_text import visible_controls, visible_controls_but_colours

CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def shown(text: str, columns: int = 80) -> str:
    return COLOURS.sub("", render_markdown(text, columns))


@given(st.text())
def test_no_control_is_left_and_what_is_none_stays(text: str) -> None:
    harmless = visible_controls(text)
    assert not CONTROLS.search(harmless)
    assert harmless == text or CONTROLS.search(text) or re.search("[\u202d\u202e]", text)


def test_controls_become_visible() -> None:
    assert visible_controls("a\x1b]0;t\x07b\x7f\x9b2J\tc\r\nd\re") == "a␛]0;t␇b␡\ufffd2J\tc\nd␍e"
    assert visible_controls("approve \u202egnp.exe") == "approve \ufffdgnp.exe"


def test_a_log_line_keeps_its_colours_and_nothing_else() -> None:
    assert (
        visible_controls_but_colours("\x1b[1;31mred\x1b[0m \x1b[2J\x1b]0;t\x07") == "\x1b[1;31mred\x1b[0m ␛[2J␛]0;t␇"
    )


@pytest.mark.parametrize(
    "text",
    [
        "\x1b]52;c;aGFoYQ==\x07",
        "`\x1b[2J`",
        "```sh\n\x1b]0;owned\x07\n```",
        "&#27;[2J &#x9b;2J &#x1b;",
        "<http://a/%1b]0;owned%07>",
        "[x](<http://a/%1b%5d0;owned%07>)",
        "![\x1b[2J](http://a/\x9b2J)",
        "| \x1b[2J | b |\n|---|---|\n| \x07 | \x9d |",
    ],
)
def test_nothing_but_colours_reaches_the_terminal(text: str) -> None:
    assert not CONTROLS.search(shown(text))


@given(st.text(alphabet="ab \n\t*_`#>-|[]()<>!&;~1.\x1b\x9b:/%", max_size=60))
def test_any_markup_is_shown_without_controls(text: str) -> None:
    assert not CONTROLS.search(shown(text))


def test_nothing_of_a_message_is_lost() -> None:
    text = "Say <name> and\nthen [the bank](https://evil.example) ![a cat](http://c.at/1) <https://x.org> <b>now</b>."
    assert shown(text, 200).split("\n") == [
        "Say <name> and",
        "then the bank (https://evil.example) a cat (http://c.at/1) https://x.org <b>now</b>.",
        "",
    ]


def test_blocks_stand_apart_by_one_blank_line_and_without_padding() -> None:
    text = "# Title\ntext\n\n- one\n- two\n\n```python\nx = 1\n\n\ny = 2\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
    expected = "Title\n\ntext\n\n • one\n • two\n\n  x = 1\n\n\n  y = 2\n\na  b\n────\n1  2\n"
    assert shown(text) == expected


def test_lines_fit_the_terminal_and_are_never_wider_than_can_be_read() -> None:
    text = "word " * 100
    assert max(map(len, shown(text, 40).splitlines())) < 40
    assert max(map(len, shown(text, 300).splitlines())) <= 100


def test_a_text_that_would_take_too_long_is_shown_as_it_is() -> None:
    text = "*a* \x1b[2J" * MAX_STYLED_CHARACTERS
    assert render_markdown(text, 80) == visible_controls(text) + "\n"


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.search(r"\x1b\[[0-9;]*3[0-9]m", render_markdown("`code`", 80))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-9]m", render_markdown("`code`", 80))


def activity(kind: ActivityKind, input_id: int, text: str = "") -> Activity:
    return Activity(kind=kind, address=Address("console", "local"), input_id=input_id, text=text)


def test_the_status_says_what_runs_how_long_and_what_waits() -> None:
    status = Status()
    assert status.line(0, 80) == ""
    status.accepted(1)
    status.accepted(2)
    assert status.busy
    status.note(activity(ActivityKind.STARTED, 1), 10.0)
    assert status.line(13.2, 80) == "⠹ thinking 3 s · 1 more waiting · Ctrl-C stops"
    status.note(activity(ActivityKind.PROGRESS, 1, "reading\n\x1b[2J the mail"), 14.0)
    assert status.line(15.0, 80) == "⠋ reading ␛[2J the mail 5 s · 1 more waiting · Ctrl-C stops"
    assert len(status.line(15.0, 30)) == 30
    assert status.ask_stop(16.0)
    assert not status.ask_stop(16.5)
    assert status.line(17.0, 80) == "⠋ stopping 7 s · 1 more waiting"
    assert status.ask_stop(18.5), "a stop that did not help can be asked for again"
    status.note(activity(ActivityKind.ENDED, 1), 19.0)
    status.note(activity(ActivityKind.STARTED, 2), 20.0)
    assert "thinking 1 s" in status.line(21.0, 80)
    status.note(activity(ActivityKind.ENDED, 2), 22.0)
    assert not status.busy


def test_a_turn_that_ends_before_its_input_is_accepted_does_not_wait_for_ever() -> None:
    status = Status()
    status.note(activity(ActivityKind.STARTED, 1), 0.0)
    status.note(activity(ActivityKind.ENDED, 1), 0.0)
    status.accepted(1)
    assert not status.busy


def test_commands_complete_at_the_start_of_a_line_and_mentions_anywhere() -> None:
    commands = {"help": "what I\ncan do", "/hello": "greet \x1b[2J", "new": "start anew"}
    completer = NameCompleter(lambda: commands, lambda: {"Shed": "the \x1b[2J shed"})

    def completions(text: str) -> list[tuple[str, str]]:
        found = completer.get_completions(Document(text), CompleteEvent())
        return [(completion.text, completion.display_meta_text) for completion in found]

    assert completions("/HE") == [("/hello", "greet ␛[2J"), ("/help", "what I")]
    assert completions("see @s") == completions("@S") == [("@Shed", "the ␛[2J shed")]
    assert completions("a@s") == completions("see @s ") == completions("@x") == []
    assert completions("say /he") == completions("/help m") == completions("") == []


async def test_the_history_is_private_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "history"
    path.write_text("".join(f"\n# then\n+line {number}\n" for number in range(100_000)))
    path.chmod(0o644)
    history = PromptHistory(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_size < 600 * 1024
    history.store_string("two\nlines")
    history.store_string("x" * 100_000)
    newest = [line async for line in PromptHistory(path).load()]
    assert newest[:2] == ["two\nlines", "line 99999"]
    assert re.fullmatch(r"line \d+", newest[-1])


def test_a_history_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    history = PromptHistory(tmp_path / "missing" / "history")
    history.append_string("hello")
    assert history.get_strings() == ["hello"]
