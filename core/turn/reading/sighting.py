"""Looks for action objects in a text: what stands around them, what is thinking, what cannot be told apart.

An object is seen as an action where one of its own keys is `type` or `actions` and it stands inside no other object.
What reads as another object is data of the text; what does not read is an attempt at an action if such a key, in
any quoting, can be found from there on, or if the text ends inside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from core.contracts.json import Json
from core.turn.reading.action_keys import ACTION_KEYS, shows_action_key
from core.turn.reading.lenient_json import Cause, Reading, Unreadable, read_value
from core.turn.reading.places import place_text
from core.turn.reading.strict_json import MAX_DEPTH, read_strict_at, too_deep

BUDGET = 8_000
"""Values, keys, comments, brackets and tags that are looked at one by one; keeps hostile texts cheap."""

_UNREADABLE_COST = 50
_STRICT_ATTEMPTS = 8

_MARK = re.compile(r"[{}\[\]]|<(/?)think(?:ing)?>", re.IGNORECASE)
_MARK_BUT_CLOSERS = re.compile(r"[{\[]|<(/?)think(?:ing)?>", re.IGNORECASE)
_TAG = re.compile(r"<(/?)think(?:ing)?>", re.IGNORECASE)
_END_OF_THINKING = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_DEEP = re.compile(rf"(?:[{{\[]\s*+){{{MAX_DEPTH + 1}}}")
_FLAT = re.compile(r"\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a text holds.

    actions: the objects or lists that may be meant. start: where the first of them begins. beside: whether other
    objects stand in the text. before, after: the prose around the first of `actions`; before is all of the text
    where there are none; neither holds thinking. thoughts: whether there is any. trouble: why this must not be taken
    for anything, in words for the model, or "".
    """

    actions: tuple[Reading, ...] = ()
    beside: bool = False
    before: str = ""
    after: str = ""
    thoughts: bool = False
    trouble: str = ""


def look(text: str, *, strict_first: bool = True) -> Sight:
    """Return what the text holds; one pass, its work bounded by the length and by `BUDGET`.

    strict_first: False where the first object is known not to be strict JSON, which saves the attempt.
    """
    return _Look(text, strict_attempts=_STRICT_ATTEMPTS if strict_first else 0).sight()


def is_action_like(value: Json) -> bool:
    """Whether an object with `type` or `actions` can be seen in a value without looking into other objects."""
    level = [value]
    while level:
        if any(type(item) is dict and not ACTION_KEYS.isdisjoint(item) for item in level):
            return True
        level = [inner for item in level if type(item) is list for inner in item if type(inner) in (dict, list)]
    return False


def _holds_objects(value: Json) -> bool:
    if isinstance(value, list):
        return any(isinstance(item, (dict, list)) for item in value)
    return bool(value)


@dataclass(slots=True)
class _Look:
    text: str
    at: int = 0
    left: int = BUDGET
    strict_attempts: int = _STRICT_ATTEMPTS
    actions: list[Reading] = field(default_factory=list)
    beside: bool = False
    thoughts: bool = False
    stray: int | None = None
    marks: re.Pattern[str] = _MARK
    prose: list[str] = field(default_factory=list)
    message: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def sight(self) -> Sight:
        trouble = self.walk()
        if not trouble and self.actions:
            trouble = self.doubt()
        prose = " ".join(self.prose)
        if not trouble and shows_action_key(prose, anywhere=False):
            trouble = "a key of an action stands outside of any readable object: a bracket is missing or too many"
        return Sight(
            actions=tuple(self.actions),
            beside=self.beside,
            before="".join(self.message),
            after="".join(self.after),
            thoughts=self.thoughts,
            trouble=trouble,
        )

    def walk(self) -> str:
        text = self.text
        while True:
            self.left -= 1
            mark = self.marks.search(text, self.at)
            if mark is None:
                self.keep(len(text))
                return ""
            found = mark[0]
            if found in "{[":
                self.keep(mark.start())
                if trouble := self.bracket(mark.start()):
                    return trouble
            elif found in "}]":
                self.stray, self.marks = mark.start(), _MARK_BUT_CLOSERS
                self.keep(mark.end())
            elif self.left < 0:
                return "there are too many thinking tags"
            elif _is_mentioned(text, mark):
                self.keep(mark.end())
            elif trouble := self.thinking(mark):
                return trouble

    def keep(self, end: int) -> None:
        """Take what lies before `end` as prose."""
        piece = self.text[self.at : end]
        self.prose.append(piece)
        (self.after if self.actions else self.message).append(piece)
        self.at = end

    def keep_value(self, end: int) -> None:
        """Take what lies before `end` as data of the text."""
        (self.after if self.actions else self.message).append(self.text[self.at : end])
        self.at = end

    def thinking(self, tag: re.Match[str]) -> str:
        self.thoughts = True
        if tag[1]:  # closed without having been opened: the template of the model opened it
            self.actions.clear()
            self.beside, self.stray = False, None
            if self.marks is _MARK_BUT_CLOSERS:
                self.marks = _MARK
            for pieces in (self.prose, self.message, self.after):
                pieces.clear()
            self.at = tag.end()
            return ""
        self.keep(tag.start())
        end = _END_OF_THINKING.search(self.text, tag.end())
        if end is not None:
            self.at = end.end()
            return ""
        if not self.actions and not "".join(self.message).strip():
            return "the reply holds only thinking, which is never closed"
        return f"the {tag[0]} at {place_text(self.text, tag.start())} is never closed"

    def bracket(self, start: int) -> str:
        reading = self.read(start)
        if isinstance(reading, Reading):
            if is_action_like(reading.value):
                self.actions.append(reading)
                self.at = reading.end
            else:
                self.beside = self.beside or _holds_objects(reading.value)
                self.keep_value(reading.end)
            return ""
        self.left -= _UNREADABLE_COST
        if reading.cause is Cause.TOO_DEEP or reading.like_action:
            return self.explain(reading)
        flat = _FLAT.match(self.text, start) if self.left > 0 else None
        if flat is not None:
            if shows_action_key(flat[0], anywhere=True):
                return self.explain(reading)
            self.keep(flat.end())
            return ""
        if self.actions or shows_action_key(self.text, start, anywhere=True) or _DEEP.match(self.text, start):
            return self.explain(reading)
        self.marks = _TAG  # no action can be seen from here on: brackets are just text
        return ""

    def read(self, start: int) -> Reading | Unreadable:
        if self.left <= 0:
            what = "there is too much here that is not strict JSON"
            return Unreadable(at=start, what=what, cause=Cause.TOO_LONG, like_action=False, cost=0)
        if self.strict_attempts:
            try:
                value, end = read_strict_at(self.text, start)
            except (ValueError, RecursionError):
                self.strict_attempts -= 1
            else:
                if not too_deep(value):
                    return Reading(value=value, end=end)
        reading = read_value(self.text, start, self.left)
        self.left -= reading.cost
        return reading

    def explain(self, unreadable: Unreadable) -> str:
        return f"{unreadable.what} ({place_text(self.text, unreadable.at)})"

    def doubt(self) -> str:
        """Why an action that was read must still not be taken for what was meant."""
        if len(self.actions) > 1:
            return (
                f"{len(self.actions)} objects of actions stand side by side and it cannot be told which is meant; "
                'put all actions into the one list of {"actions": […]}'
            )
        if self.beside:
            return "another JSON object stands beside the action and would be lost; put all data into the payload"
        if self.stray is not None:
            where = place_text(self.text, self.stray)
            return f"a closing {self.text[self.stray]} too many stands outside of the action ({where})"
        return ""


def _is_mentioned(text: str, tag: re.Match[str]) -> bool:
    """Whether a tag stands between two single backticks: talk about the tag."""
    before, after = text[max(0, tag.start() - 2) : tag.start()], text[tag.end() : tag.end() + 2]
    return before[-1:] == after[:1] == "`" and "``" not in (before, after)
