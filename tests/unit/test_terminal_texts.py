"""The pure parts of the terminal: bounded output, plain text, keys, reports of the shell, payloads, results."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.terminal.bounded_output import BoundedOutput, Kept, kept
from plugins.terminal.keys import key_bytes
from plugins.terminal.one_shot import Finished
from plugins.terminal.payloads import payload_mistakes
from plugins.terminal.plain_text import plain_text
from plugins.terminal.results import fenced, finished_json, finished_text
from plugins.terminal.screen import MOST_PENDING_BYTES, Screen
from plugins.terminal.shell_reports import Report, ReportReader


@given(st.lists(st.binary(max_size=50), max_size=30), st.integers(2, 60))
def test_head_and_tail_are_kept_and_the_rest_is_counted(pieces: list[bytes], limit: int) -> None:
    output = BoundedOutput(limit)
    for piece in pieces:
        output.add(piece)
    head, cut, tail = output.parts()
    whole = b"".join(pieces)
    assert len(head) + len(tail) == min(len(whole), limit)
    assert len(head) + cut + len(tail) == len(whole)
    assert whole.startswith(head)
    assert whole.endswith(tail)


def test_a_flood_does_not_take_memory() -> None:
    output = BoundedOutput(1000)
    for _ in range(1000):
        output.add(b"x" * 10_000)
    assert len(output._head) + len(output._tail) <= 2000
    text, cut = kept(output).text, kept(output).cut_bytes
    assert cut == 10_000_000 - 1000
    assert f"[… {cut} bytes left out …]" in text


def test_any_bytes_become_text_that_can_be_stored() -> None:
    output = BoundedOutput(512)
    output.add(bytes(range(256)))
    text = kept(output).text
    assert "\0" not in text
    json.dumps(text).encode()
    assert text.encode().decode() == text


def test_characters_that_the_cut_goes_through_are_left_out() -> None:
    output = BoundedOutput(10)
    output.add("€€€€€€€€€€".encode())
    assert kept(output).text == "€\n[… 20 bytes left out …]\n€"


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("10%\r50%\r100%\r\n", "100%\n"),
        ("abc\rX\n", "Xbc\n"),
        ("ab\b\bc\n", "cb\n"),
        ("\x1b]0;title\x07text\x1b]8;;http://a\x1b\\link", "textlink"),
        ("\x07bell\x1b(B", "bell"),
        ("before\x1b[?1049hpainted\x1b[2Jmore\x1b[?1049lafter", "beforeafter"),
        ("before\x1b[?1049hpainted", "before"),
        ("broken \x1b", "broken "),
    ],
)
def test_what_a_terminal_was_sent_becomes_what_was_read(raw: str, text: str) -> None:
    assert plain_text(raw) == text


def test_keys_have_their_bytes() -> None:
    assert [key_bytes(name) for name in ("enter", "Ctrl-C", "ctrl-d", "up", "escape", "page down", "tab")] == [
        b"\r",
        b"\x03",
        b"\x04",
        b"\x1b[A",
        b"\x1b",
        b"\x1b[6~",
        b"\t",
    ]
    assert [key_bytes(name, application=True) for name in ("left", "home", "tab", "delete", "hyper")] == [
        b"\x1bOD",
        b"\x1bOH",
        b"\t",
        b"\x1b[3~",
        None,
    ]
    assert key_bytes("ctrl-9") is None
    assert key_bytes("hyper") is None


SECRET = "5ec7e7"
DONE = b"\x1b]7717;5ec7e7;D;3;7\x07"


@given(st.integers(1, 60))
def test_reports_are_found_however_the_bytes_arrive(size: int) -> None:
    stream = b"one\x1b[0m" + DONE + b"two\x1b]7717;other;D;3;7\x07" + DONE + b"\x1b]0;x\x07three"
    reader = ReportReader(SECRET)
    pieces = [piece for i in range(0, len(stream), size) for piece in reader.feed(stream[i : i + size])]
    assert [piece for piece in pieces if isinstance(piece, Report)] == [Report("D", 3, 7)] * 2
    output = b"".join(piece for piece in pieces if isinstance(piece, bytes)) + reader.flush()
    assert output == stream.replace(DONE, b"")


def test_a_report_is_found_in_the_middle_of_an_open_sequence() -> None:
    reader = ReportReader(SECRET)
    assert list(reader.feed(b"\x1b]0;never closed\x1b" + DONE)) == [b"\x1b]0;never closed\x1b", Report("D", 3, 7)]


@pytest.mark.parametrize(
    ("payload", "mistake"),
    [
        ({"command": "  "}, "empty"),
        ({"command": "a\0b"}, "NUL"),
        ({"command": "x" * 65_537}, "65537 bytes; 65536"),
        ({"command": "€" * 30_000}, "90000 bytes; 65536"),
        ({"command": "echo \ud800"}, "surrogate"),
        ({"session": "a", "text": "\udcff"}, "surrogate"),
        ({"command": "x", "session": "../x"}, "letters"),
        ({"command": "x", "timeout_s": 0}, "above 0"),
        ({"command": "x", "keep": True}, "session"),
        ({"session": "a", "keys": ["enter", "any"]}, "no key 'any'"),
    ],
)
def test_mistakes_are_named(payload: dict[str, object], mistake: str) -> None:
    (sentence,) = payload_mistakes(payload)
    assert mistake in sentence


def test_a_right_payload_has_none() -> None:
    assert payload_mistakes({"command": "ls", "session": "py-3.11", "timeout_s": 2.5, "keep": True}) == []


def _finished(**changes: object) -> Finished:
    values: dict[str, object] = {
        "exit_code": 0,
        "stdout": Kept("", 0),
        "stderr": Kept("", 0),
        "duration_s": 0.5,
        "timed_out": False,
    }
    return Finished(**{**values, **changes})  # type: ignore[arg-type]


def test_a_result_says_only_what_there_is_to_say() -> None:
    assert finished_json(_finished(), network="off") == {
        "exit_code": 0,
        "stdout": "",
        "stderr": "",
        "duration_s": 0.5,
    }
    failed = _finished(exit_code=6, stderr=Kept("curl: (6) Could not resolve host: a", 9), timed_out=True)
    assert finished_json(failed, network="off") == {
        "exit_code": 6,
        "stdout": "",
        "stderr": "curl: (6) Could not resolve host: a",
        "duration_s": 0.5,
        "timed_out": True,
        "cut": {"stderr_bytes": 9},
        "note": "This terminal has no network.",
    }
    assert "note" not in finished_json(failed, network="on")


def test_a_person_is_shown_text() -> None:
    assert finished_text(_finished(stdout=Kept("a\n", 0), stderr=Kept("b\n", 0))) == "```\na\nb\n```"
    assert finished_text(_finished(exit_code=1)) == "exit code 1"
    assert finished_text(_finished()) == "Done; it printed nothing."
    assert fenced("```\n````") == "`````\n```\n````\n`````"


def test_a_screen_renders_and_stays_bounded() -> None:
    screen = Screen(rows=5, columns=20)
    screen.add(b"\x1b[?10")
    screen.add(b"49h\x1b[2J\x1b[2;3Hhello")
    assert screen.full_screen
    assert screen.lines(screen.take()) == ["", "  hello"]
    screen.add(b"\x1b[?1049l")
    assert not screen.full_screen
    for _ in range(10):
        screen.add(b"y\n" * 100_000)
    assert len(screen.take()) <= MOST_PENDING_BYTES


def test_a_sequence_that_the_renderer_does_not_know_harms_nothing() -> None:
    screen = Screen(rows=5, columns=20)
    screen.add(b"\x1b[>4;2m\x1b[?1;2c\x1b[!p\x1b[>q\x1bP+q544e\x1b\\ok")
    screen.lines(screen.take())
    screen.add(b"\x1b[H\x1b[Jfine")
    assert screen.lines(screen.take()) == ["fine"]
