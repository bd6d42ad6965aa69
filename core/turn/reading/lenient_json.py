"""Our own lossless reader of nearly-JSON: accepts what can mean one thing only, and notes it; guesses nothing.

Over RFC 8259 it takes comments (`//`, `/* */`, `#`), trailing commas, single-quoted strings, True, False and None,
and raw control characters in strings. One pass without recursion; the work is bounded by `budget`.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from core.contracts.json import Json
from core.contracts.steps import Repair
from core.turn.reading.action_keys import ACTION_KEYS
from core.turn.reading.places import Path, path_text, quoted
from core.turn.reading.quoted_string import BadString, read_string
from core.turn.reading.strict_json import MAX_DEPTH

MAX_REPAIRS = 32
"""Repairs noted for one reply; more are read but not listed."""

_GAP = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"-?(?:NaN|Infinity)\b")
_WORD = re.compile(r"[^\s,:\[\]{}\"'#/]+")
_CONTROL = re.compile(r"[\x00-\x1f]")
_WORDS: dict[str, Json] = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}


class Cause(StrEnum):
    """Why reading stopped."""

    SYNTAX = "syntax"
    TRUNCATED = "truncated"
    TOO_DEEP = "too_deep"
    TOO_LONG = "too_long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that was read without doubt but must not be used, such as a duplicate key."""

    path: Path
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value, the offset behind it, what was repaired in it, its faults, and what of the budget it cost."""

    value: Json
    end: int
    repairs: tuple[Repair, ...] = ()
    faults: tuple[Fault, ...] = ()
    cost: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Where and why reading stopped; `like_action`: what was read so far may be an action or a list of them."""

    at: int
    what: str
    cause: Cause
    like_action: bool
    cost: int


def read_value(text: str, at: int, budget: int) -> Reading | Unreadable:
    """Read the object or list that begins at the offset; `budget`: the most values, keys and comments."""
    reader = _Reader(text, at, budget)
    try:
        value = reader.read()
    except _Stop as stop:
        return Unreadable(
            at=stop.at, what=stop.what, cause=stop.cause, like_action=reader.like_action(stop.cause), cost=reader.cost
        )
    return Reading(
        value=value, end=reader.at, repairs=tuple(reader.repairs), faults=tuple(reader.faults), cost=reader.cost
    )


class _Stop(Exception):
    def __init__(self, at: int, what: str, cause: Cause = Cause.SYNTAX) -> None:
        super().__init__(what)
        self.at, self.what, self.cause = at, what, cause


class _Frame:
    """An object or list that is open; `key` is the one whose value is being read, None while a key is."""

    __slots__ = ("closer", "items", "key", "members")

    def __init__(self, *, is_object: bool) -> None:
        self.members: dict[str, Json] | None = {} if is_object else None
        self.items: list[Json] = []
        self.key: str | None = None
        self.closer = "}" if is_object else "]"

    @property
    def value(self) -> Json:
        return self.items if self.members is None else self.members

    @property
    def step(self) -> str | int | None:
        return len(self.items) if self.members is None else self.key


class _Reader:
    __slots__ = ("at", "budget", "cost", "faults", "objects", "outer_keys", "plain_item", "repairs", "stack", "text")

    def __init__(self, text: str, at: int, budget: int) -> None:
        self.text, self.at, self.budget = text, at, budget
        self.cost = 0
        self.stack: list[_Frame] = []
        self.repairs: list[Repair] = []
        self.faults: list[Fault] = []
        self.objects = 0
        self.outer_keys: set[str] = set()
        self.plain_item = False

    def like_action(self, cause: Cause) -> bool:
        """Whether an outermost object has shown a key of an action, or the text ended before it could."""
        cut_off = cause is Cause.TRUNCATED and not self.plain_item
        return cut_off or not ACTION_KEYS.isdisjoint(self.outer_keys)

    def read(self) -> Json:
        while True:
            char = self.next_char()
            if char in "{[":
                frame = self.open(is_object=char == "{")
                if self.next_char() != frame.closer:
                    if frame.members is not None:
                        self.read_key(frame)
                    continue
                value = self.close()
            else:
                value = self.string() if char in "\"'" else self.scalar()
                self.plain_item = self.plain_item or not self.objects
            while self.stack:
                if not self.attach(value):
                    break
                value = self.close()
            else:
                return value

    def open(self, *, is_object: bool) -> _Frame:
        if len(self.stack) == MAX_DEPTH:
            raise _Stop(self.at, f"objects and lists are nested over {MAX_DEPTH} deep", Cause.TOO_DEEP)
        self.spend()
        self.at += 1
        frame = _Frame(is_object=is_object)
        self.stack.append(frame)
        self.objects += is_object
        return frame

    def close(self) -> Json:
        self.at += 1
        frame = self.stack.pop()
        self.objects -= frame.members is not None
        return frame.value

    def attach(self, value: Json) -> bool:
        """Put a value into the innermost frame; returns whether that frame closes here."""
        frame = self.stack[-1]
        if frame.members is None:
            frame.items.append(value)
        elif frame.key is not None:
            frame.members[frame.key] = value
        char = self.next_char()
        if char == frame.closer:
            return True
        if char != ",":
            raise self.unfinished() or _Stop(
                self.at, f"{self.found(char)} stands where a comma or {frame.closer} is expected"
            )
        self.at += 1
        if self.next_char() == frame.closer:
            self.repair("trailing comma", self.path()[:-1])
            return True
        if frame.members is not None:
            self.read_key(frame)
        return False

    def read_key(self, frame: _Frame) -> None:
        char = self.next_char()
        if char not in "\"'":
            if self.objects == 1 and (word := _WORD.match(self.text, self.at)):
                self.outer_keys.add(word[0])
            raise _Stop(self.at, f"{self.found(char)} stands where a key in double quotes is expected")
        frame.key = None
        key = frame.key = self.string()
        if self.objects == 1:
            self.outer_keys.add(key)
        if frame.members and key in frame.members:
            where = path_text(self.path()[:-1])
            self.fault(f"the key {quoted(key)} stands twice in {where}; give it once.")
        char = self.next_char()
        if char != ":":
            raise _Stop(self.at, f"{self.found(char)} stands where the : of a key is expected")
        self.at += 1

    def string(self) -> str:
        self.spend()
        start = self.at
        read = read_string(self.text, start)
        if isinstance(read, BadString):
            if read.at is None:
                raise self.cut_off()
            raise _Stop(read.at, "a \\ begins no escape of JSON here; write \\\\ for a backslash")
        value, self.at = read
        if self.text[start] == "'":
            self.repair("single-quoted string")
        if _CONTROL.search(self.text, start, self.at):
            self.repair("raw control character in a string")
        return value

    def scalar(self) -> Json:
        self.spend()
        match = _NUMBER.match(self.text, self.at)
        if match:
            self.at = match.end()
            return self.number(match[0])
        match = _NOT_A_NUMBER.match(self.text, self.at)
        if match:
            self.at = match.end()
            self.fault(f"{match[0]} is no JSON number.")
            return None
        word = _WORD.match(self.text, self.at)
        if word is None or word[0] not in _WORDS:
            char = self.text[self.at : self.at + 1]
            raise self.unfinished() or _Stop(
                self.at, f"{self.found(char)} stands where a value is expected; texts need double quotes"
            )
        self.at = word.end()
        if word[0][0].isupper():
            self.repair(f"Python literal {word[0]}")
        return _WORDS[word[0]]

    def number(self, digits: str) -> Json:
        try:
            value = float(digits) if set(digits) & set(".eE") else int(digits)
        except ValueError:  # Python refuses whole numbers of thousands of digits
            value = math.inf
        if isinstance(value, float) and math.isinf(value):
            self.fault(f"the number {quoted(digits)} is out of range.")
            return 0
        return value

    def next_char(self) -> str:
        """Go to the next character that is neither space nor comment; the text must not end before it."""
        text = self.text
        while True:
            gap = _GAP.match(text, self.at)
            self.at = gap.end() if gap else self.at
            if self.at == len(text):
                raise self.cut_off()
            char = text[self.at]
            if char not in "/#":
                return char
            self.comment()

    def comment(self) -> None:
        self.spend()
        if self.text.startswith("/*", self.at):
            end, length = self.text.find("*/", self.at + 2), 2
        elif self.text[self.at] == "#" or self.text.startswith("//", self.at):
            end, length = self.text.find("\n", self.at), 1
        else:
            raise self.unfinished() or _Stop(self.at, "a stray / stands outside of strings")
        if end < 0:
            raise self.cut_off()
        inside = self.text[self.at : end]
        if inside.count('"') % 2 or '\\"' in inside:  # a lost quote turns the rest of a string into a comment
            raise _Stop(self.at, "it cannot be told whether this is a comment or part of a string")
        self.at = end + length
        self.repair("comment")

    def spend(self) -> None:
        self.cost += 1
        if self.cost > self.budget:
            raise _Stop(self.at, "there is too much here that is not strict JSON", Cause.TOO_LONG)

    def cut_off(self) -> _Stop:
        return _Stop(len(self.text), "the reply breaks off inside an object, a list or a string", Cause.TRUNCATED)

    def unfinished(self) -> _Stop | None:
        """Return the stop for a word, number or comment that may only be wrong because the text ends in it."""
        word = _WORD.match(self.text, self.at)
        end = word.end() if word else self.at + self.text.startswith("/", self.at)
        return self.cut_off() if end == len(self.text) else None

    def found(self, char: str) -> str:
        word = _WORD.match(self.text, self.at)
        return quoted(word[0] if word else char)

    def path(self) -> Path:
        return tuple(step for frame in self.stack if (step := frame.step) is not None)

    def repair(self, what: str, path: Path | None = None) -> None:
        if len(self.repairs) < MAX_REPAIRS:
            self.repairs.append(Repair(path=path_text(self.path() if path is None else path), what=what))

    def fault(self, message: str) -> None:
        if len(self.faults) < MAX_REPAIRS:
            self.faults.append(Fault(path=self.path(), message=message))
