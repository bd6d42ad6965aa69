"""`rekku reminders` as its users meet it: real processes on a home of their own."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path

import pytest

from tests.flows.test_command_line import answer, refused, rekku

ENTRIES = """BEGIN:VCALENDAR
VERSION:2.0
BEGIN:VEVENT
UID:one@example.org
DTSTART;TZID=Europe/Rome:20990105T100000
RRULE:FREQ=WEEKLY;BYDAY=MO
EXDATE:20990112T090000Z
SUMMARY:Stand-up
END:VEVENT
BEGIN:VEVENT
UID:two@example.org
DTSTART;VALUE=DATE:20990106
SUMMARY:Tidy \x1b[31m up
END:VEVENT
BEGIN:VEVENT
UID:three@example.org
DTSTART:20000105T100000Z
SUMMARY:Long ago
END:VEVENT
END:VCALENDAR
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with two reminders of whoever sits at the console."""
    home = tmp_path_factory.mktemp("reminders") / "home"
    said = rekku(home, "chat", stdin="remind me every weekday at 8 to take the pills\nremind me in 9 hours to rest\n")
    assert said.returncode == 0, said.stderr
    return home


@pytest.fixture
def copied(home: Path, tmp_path: Path) -> Path:
    """The same in a home of its own."""
    copy = tmp_path / "home"
    copy.mkdir(mode=0o700)
    with sqlite3.connect(home / "rekku.db") as source, sqlite3.connect(copy / "rekku.db") as target:
        source.backup(target)
    source.close()
    target.close()
    return copy


def _file(folder: Path, text: str) -> str:
    path = folder / "entries.ics"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_list_and_cancel(copied: Path) -> None:
    rest, pills = sorted(answer(rekku(copied, "reminders", "list", "--json")), key=lambda row: row["text"])
    assert (rest["text"], rest["elapsed"], rest["repeats"], rest["state"]) == ("rest", True, "", "active")
    assert (pills["text"], pills["repeats"]) == ("take the pills", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR")
    heading, *lines = rekku(copied, "reminders", "list").stdout.splitlines()
    assert heading.split() == ["NUMBER", "WHO", "NEXT", "REPEATS", "MODE", "STATE", "NOTE", "TEXT"]
    assert any(" 08:00:00 UTC " in line and line.endswith("take the pills") for line in lines)
    assert answer(rekku(copied, "reminders", "list", "--who", "telegram:5", "--json")) == []
    assert rekku(copied, "reminders", "list", "--who", "nobody").returncode == 2

    ended = rekku(copied, "reminders", "cancel", str(rest["number"]), "99")
    assert ended.returncode == 1
    assert ended.stdout.splitlines() == [
        f"Reminder {rest['number']} of {rest['who']} is cancelled: rest",
        "The next start takes this up.",
    ]
    assert "There is no reminder 99." in ended.stderr
    again = rekku(copied, "reminders", "cancel", str(rest["number"]), "--json")
    assert answer(again, 1) == {"cancelled": [], "over": [rest["number"]], "unknown": []}
    every = answer(rekku(copied, "reminders", "list", "--all", "--json"))
    assert [(row["text"], row["state"]) for row in every] == [("take the pills", "active"), ("rest", "cancelled")]
    with sqlite3.connect(copied / "rekku.db") as database:
        waiting = database.execute("SELECT count(*) FROM inbox WHERE state = 'scheduled'").fetchone()
    database.close()
    assert waiting == (1,)


def test_a_calendar_is_imported_once(copied: Path, tmp_path: Path) -> None:
    file = _file(tmp_path, ENTRIES)
    arguments = ("reminders", "import", file, "--who", "telegram:5")
    tried = rekku(copied, *arguments, "--dry-run")
    assert tried.stdout.splitlines()[-1] == "2 reminders would be imported, 0 there already, 1 left out."
    assert ", in telegram:5: " in tried.stdout
    assert answer(rekku(copied, "reminders", "list", "--who", "telegram:5", "--json")) == []
    of_console = rekku(copied, "reminders", "import", file, "--who", "console:ann", "--dry-run", "--json")
    assert {row["address"] for row in answer(of_console)["imported"]} == {"console:local"}

    done = rekku(copied, *arguments, "--to", "telegram:-100")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "Reminder 3 is set: 2099-01-05 10:00:00 Europe/Rome, FREQ=WEEKLY;BYDAY=MO, in telegram:-100: Stand-up",
        "  Not carried over: it leaves dates out (EXDATE): it comes on them all the same.",
        "Reminder 4 is set: 2099-01-06 09:00:00 UTC, in telegram:-100: Tidy \\x1b[31m up",
        "  Not carried over: it is all-day: it comes at 09:00 in UTC.",
        "Left out: VEVENT 'Long ago' (line 15): it was due 2000-01-05 10:00:00 (UTC), which has gone by.",
        "2 reminders imported, 0 there already, 1 left out.",
        "The next start takes this up.",
    ]
    again = answer(rekku(copied, *arguments, "--json"))
    assert [row["reason"] for row in again["there_already"]] == [
        "it is there already, as reminder 3",
        "it is there already, as reminder 4",
    ]
    assert again["imported"] == []
    assert len(answer(rekku(copied, "reminders", "list", "--who", "telegram:5", "--json"))) == 2
    exported = rekku(copied, "reminders", "export", "--who", "telegram:5").stdout
    assert "UID:one@example.org" in exported


def test_what_was_exported_comes_back(copied: Path, tmp_path: Path) -> None:
    before = answer(rekku(copied, "reminders", "list", "--json"))
    file = tmp_path / "mine.ics"
    said = rekku(copied, "reminders", "export", str(file))
    assert said.stdout == f"2 reminders written to {file}.\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "is there already" in refused(rekku(copied, "reminders", "export", str(file)), 1)

    arguments = ("reminders", "import", str(file), "--who", before[0]["who"], "--json")
    assert len(answer(rekku(copied, *arguments))["there_already"]) == 2
    rekku(copied, "reminders", "cancel", *(str(row["number"]) for row in before))
    assert [row["number"] for row in answer(rekku(copied, *arguments))["imported"]] == [3, 4]
    after = answer(rekku(copied, "reminders", "list", "--json"))
    same = ("who", "text", "next_at_ms", "zone", "repeats", "elapsed", "mode", "missed", "address")
    assert [[row[name] for name in same] for row in after] == [[row[name] for name in same] for row in before]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"nothing of the kind", "It is no iCalendar file"),
        (ENTRIES[:-40].encode(), "It ends in the middle"),
        (ENTRIES.replace("Long", "L\xe4ngst").encode("latin-1"), "is no text in UTF-8"),
        (b"x" * 50_000_000, "more than 10 MB"),
    ],
    ids=["other", "truncated", "latin-1", "large"],
)
def test_a_file_that_is_bad_changes_nothing(home: Path, tmp_path: Path, content: bytes, complaint: str) -> None:
    file = tmp_path / "bad.ics"
    file.write_bytes(content)
    assert complaint in refused(rekku(home, "reminders", "import", str(file), "--who", "telegram:5"), 2)


def test_what_is_not_there(home: Path, tmp_path: Path) -> None:
    missing = rekku(home, "reminders", "import", str(tmp_path / "none.ics"), "--who", "telegram:5")
    assert "cannot be read (No such file or directory)" in refused(missing, 2)
    past = ENTRIES.replace("2099", "1999")
    nothing = rekku(home, "reminders", "import", "-", "--who", "telegram:5", stdin=past.replace("RRULE", "X-RRULE"))
    assert nothing.returncode == 1
    assert nothing.stdout.splitlines()[-1] == "0 reminders imported, 0 there already, 3 left out."
