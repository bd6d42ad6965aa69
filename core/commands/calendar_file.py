"""The grammar of an iCalendar file (RFC 5545, section 3.1): from bytes to components and their lines. Pure.

Each line is read by itself, so that one that is malformed spoils its own entry and not the whole file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from core.contracts.errors import RekkuError

MOST_BYTES = 10_000_000
_UNESCAPED = {"n": "\n", "N": "\n"}
_NAME = re.compile(r"[A-Za-z0-9-]+")
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=("[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*')


class CalendarError(RekkuError):
    """A file that cannot be read as iCalendar; nothing of it is used."""

    code = "calendar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One property. value: as it stands there, still escaped. parameters: the first value of each, by upper name."""

    value: str
    parameters: Mapping[str, str]

    @property
    def text(self) -> str:
        """The value as TEXT."""
        return re.sub(r"\\([\\;,nN])", lambda found: _UNESCAPED.get(found[1], found[1]), self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What stands between BEGIN and END. line: where it begins, from 1. lines: its properties, by upper name.

    broken: the numbers of the lines in it that are no properties.
    """

    name: str
    line: int
    lines: dict[str, list[Line]] = field(default_factory=dict)
    inner: list[Component] = field(default_factory=list)
    broken: list[int] = field(default_factory=list)

    def first(self, name: str) -> Line | None:
        """Return the first property of that name."""
        found = self.lines.get(name)
        return found[0] if found else None

    def text(self, name: str) -> str:
        """Return the first property of that name as TEXT, "" where there is none."""
        line = self.first(name)
        return "" if line is None else line.text


def read_calendars(content: bytes) -> list[Component]:
    """Return the calendars of a file; raises CalendarError."""
    if len(content) > MOST_BYTES:
        raise CalendarError(f"It has more than {MOST_BYTES // 1_000_000} MB.", cure="Import it in parts.")
    calendars: list[Component] = []
    within: list[Component] = []
    for number, line in _unfolded(content):
        begins, _, name = line.partition(":")
        name, begins = name.strip().upper(), begins.upper()
        if begins == "BEGIN":
            if not within and name != "VCALENDAR":
                raise _no_calendar(line)
            component = Component(name=name, line=number)
            (within[-1].inner if within else calendars).append(component)
            within.append(component)
        elif not within:
            raise _no_calendar(line)
        elif begins == "END":
            if within.pop().name != name:
                raise CalendarError(f"Its line {number} ends a {name[:40]} that has not begun.")
        else:
            _put(within[-1], number, line)
    if within:
        raise CalendarError(
            f"It ends in the middle: the {within[-1].name[:40]} of line {within[-1].line} has no end.",
            cure="Fetch it again.",
        )
    if not calendars:
        raise CalendarError("It is empty.")
    return calendars


def _unfolded(content: bytes) -> list[tuple[int, str]]:
    """Return the lines with their numbers; lines that go on in the next are put together."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content:
        raise CalendarError("It is no text in UTF-8.", cure="iCalendar files are UTF-8; convert it.")
    folded: list[tuple[int, list[bytes]]] = []
    for number, line in enumerate(content.replace(b"\r\n", b"\n").split(b"\n"), 1):
        if line[:1] in (b" ", b"\t") and folded:
            folded[-1][1].append(line[1:])
        elif line.strip():
            folded.append((number, [line]))
    lines = []
    for number, pieces in folded:
        try:
            # A fold may stand within a character, so it is undone before.
            lines.append((number, b"".join(pieces).decode("utf-8")))
        except UnicodeDecodeError:
            raise CalendarError(
                f"Its line {number} is no text in UTF-8.", cure="iCalendar files are UTF-8; convert it."
            ) from None
    return lines


def _put(component: Component, number: int, line: str) -> None:
    name = _NAME.match(line)
    place = name.end() if name else 0
    parameters: dict[str, str] = {}
    while found := _PARAMETER.match(line, place):
        parameters[found[1].upper()] = found[2].strip('"')
        place = found.end()
    if name is None or line[place : place + 1] != ":":
        component.broken.append(number)
        return
    component.lines.setdefault(name[0].upper(), []).append(Line(value=line[place + 1 :], parameters=parameters))


def _no_calendar(line: str) -> CalendarError:
    return CalendarError(f"It is no iCalendar file: it has {line[:40]!r} where BEGIN:VCALENDAR should stand.")
