"""What commands print: tables that fit, JSON that stays JSON, nothing that a terminal would obey."""

from __future__ import annotations

import io
import json
import sys

import pytest

from core.commands.table import LONGEST_CELL, log_lines, table
from core.commands.terminal_text import complain, on_one_line, say, say_json


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_columns_are_aligned() -> None:
    lines = table(("ID", "NAME", "NOTE"), [(1, "dice", ""), (10, "weather report", "x")]).splitlines()
    assert lines == ["ID  NAME            NOTE", "1   dice", "10  weather report  x"]


def test_wide_characters_are_counted_as_such() -> None:
    lines = table(("NAME", "X"), [("日本", "a"), ("e\u0301", "b")]).splitlines()
    assert [line.index(mark) for line, mark in zip(lines, "Xab", strict=True)] == [6, 4, 7]


def test_a_table_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Terminal())
    monkeypatch.setenv("COLUMNS", "40")
    lines = table(("ID", "TEXT", "REASON"), [(1, "word " * 30, "because " * 10), (2, "short", "")]).splitlines()
    assert max(map(len, lines)) <= 40
    assert lines[1].startswith("1   word word")
    assert lines[1].count("…") == 2
    assert lines[2] == "2   short"


def test_nothing_is_cut_in_a_pipe_and_a_long_cell_widens_no_other_line() -> None:
    _, line, longest = table(("TEXT", "X"), [("word " * 50, "end"), ("a" * 10_000, "end")]).splitlines()
    assert line.rstrip().endswith("end")
    assert len(line) <= LONGEST_CELL + len("  end")
    assert longest == f"{'a' * 10_000}  end"


def test_a_log_in_a_pipe_is_a_line_an_entry_that_cut_can_take_apart() -> None:
    lines = log_lines(("ID", "TEXT", "REASON"), [(1, "two\nlines\tof it", ""), (2, "a" * 10_000, "end")]).split("\n")
    assert [line.split("\t")[0] for line in lines] == ["ID", "1", "2"]
    assert lines[1].split("\t") == ["1", "two lines\\tof it", "-"]
    _, text, reason = lines[2].split("\t")
    assert (len(text), text[-1], reason) == (LONGEST_CELL, "…", "end")


def test_a_log_on_a_terminal_is_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", _Terminal())
    rows = [(1, "dice", "")]
    assert log_lines(("ID", "NAME", "NOTE"), rows) == table(("ID", "NAME", "NOTE"), rows)


def test_an_empty_table_has_headings() -> None:
    assert table(("ID", "NAME"), []) == "ID  NAME"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines", "two lines"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\rb\tc", "a\\rb\\tc"),
        ("\u202eevil", "\\u202eevil"),
        ("\ud800", "\\ud800"),
        ("käse 日本", "käse 日本"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert on_one_line(text) == shown


def test_json_survives_what_terminals_obey(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"text": "\x1b]0;owned\x07 \x9b2J \u202e \u2028 \U000e0001 käse\nnext", "list": [1, None, "日本"]}
    say_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert all(character.isprintable() or character == "\n" for character in printed)
    assert "käse" in printed


def test_complaints_carry_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    complain("It is \x07 broken.")
    assert capsys.readouterr() == ("", "rekku: It is \\x07 broken.\n")


def test_streams_that_are_closed_or_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    complain("nobody reads this")
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    say("käse")
    assert raw.getvalue() == b"k\\xe4se\n"
