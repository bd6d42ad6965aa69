"""Text to action envelopes and the list of what was repaired. Pure; never raises, guesses nothing.

A reply of strict JSON takes the short way. Any other is looked through for what can mean one thing only (code
fences, prose, thinking, comments, trailing commas, single quotes, Python literals, raw line breaks in strings);
what would have to be guessed comes back as errors, in words for the model.
"""

from __future__ import annotations

import re
from json import JSONDecodeError

from core.contracts.steps import ParsedReply, Repair
from core.turn.reading.envelopes import REPLY_FORM, envelopes, plain_message, refused
from core.turn.reading.excerpt import has_half_character
from core.turn.reading.sighting import Sight, is_action_like, look
from core.turn.reading.strict_json import MAX_DEPTH, read_strict, too_deep

MAX_REPLY_BYTES = 1 << 20
"""A longer reply (UTF-8) is refused unread."""

_BOM = "\ufeff"
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_FENCE_BEFORE = re.compile(r"(?<!`)`{3,}+[\w+-]*+\s*+\Z")
_FENCE_AFTER = re.compile(r"\A\s*`{3,}")
_NOTHING_BUT_A_FENCE = re.compile(r"`{1,2}|`{3,}[\w+-]*(?:\s*`{3,})?")
_TAGS = ("<think>", "<thinking>", "</think>", "</thinking>")
_BROKEN_OFF_TAG = re.compile(r"<[/a-z]{0,9}\Z", re.IGNORECASE)

_SEND_AGAIN = f"Send the whole reply again as one JSON object: {REPLY_FORM}."
_TOO_DEEP = f"Objects and lists are nested over {MAX_DEPTH} deep. {_SEND_AGAIN}"


def parse_reply(text: str) -> ParsedReply:
    """Return what a model's raw reply says: actions, the errors where it must be asked again, and the repairs.

    text: any str, of at most `MAX_REPLY_BYTES` bytes of UTF-8. Errors of one action carry its index, and None
    stands in its place; an error without index means that the reply as a whole cannot be used.
    """
    if _over_limit(text):
        return refused(f"The reply is longer than {MAX_REPLY_BYTES:,} bytes. Send a shorter one.")
    repairs: tuple[Repair, ...] = ()
    if text.startswith(_BOM):
        text = text[1:]
        repairs = (Repair(path="$", what="byte order mark"),)
    try:
        value = read_strict(text)
    except (ValueError, RecursionError) as error:
        more = isinstance(error, JSONDecodeError) and error.msg == "Extra data"
        return _look_through(text, repairs, strict_first=more or text.lstrip()[:1] not in ("{", "["))
    if text.count("{") + text.count("[") > MAX_DEPTH and too_deep(value):
        return refused(_TOO_DEEP)
    if isinstance(value, (dict, list)):
        if is_action_like(value):
            return _with(repairs, envelopes(value, half_characters=_may_hold_half_characters(text)))
        return _message(text, repairs)
    return _look_through(text, repairs)


def _look_through(text: str, repairs: tuple[Repair, ...], *, strict_first: bool = True) -> ParsedReply:
    """Read a reply that is not strict JSON."""
    if not text.strip():
        return refused(f'The reply is empty. {_SEND_AGAIN} To end without a word, send {{"actions": []}}.')
    sight = look(text, strict_first=strict_first)
    if sight.trouble:
        return refused(f"The reply cannot be read: {sight.trouble}. {_SEND_AGAIN}")
    if sight.thoughts:
        repairs = (*repairs, Repair(path="$", what="thinking left out"))
    if not sight.actions:
        if sight.thoughts and not sight.before.strip():
            return refused(f"The reply holds only thinking. {_SEND_AGAIN}")
        return _message(sight.before, repairs)
    reading = sight.actions[0]
    parsed = envelopes(reading.value, faults=reading.faults, half_characters=_may_hold_half_characters(text))
    return _with((*repairs, *_surroundings(sight), *reading.repairs), parsed)


def _message(text: str, repairs: tuple[Repair, ...]) -> ParsedReply:
    """Return the message that a text without actions is, unless it is the beginning of something else."""
    text = text.strip()
    if _NOTHING_BUT_A_FENCE.fullmatch(text):
        return refused(f"The reply holds only an empty code fence. {_SEND_AGAIN}")
    tag = _BROKEN_OFF_TAG.search(text)
    if tag and any(whole.startswith(tag[0].lower()) for whole in _TAGS):
        return refused(f"The reply breaks off in a thinking tag. {_SEND_AGAIN}")
    if has_half_character(text):
        return refused(f"The reply holds half of a character (a lone surrogate). {_SEND_AGAIN}")
    return plain_message(text, repairs)


def _surroundings(sight: Sight) -> list[Repair]:
    before, fences = _FENCE_BEFORE.subn("", sight.before, count=1)
    after, closing = _FENCE_AFTER.subn("", sight.after, count=1)
    repairs = [Repair(path="$", what="code fence")] if fences or closing else []
    if before.strip() or after.strip():
        repairs.append(Repair(path="$", what="text around the actions left out"))
    return repairs


def _with(repairs: tuple[Repair, ...], parsed: ParsedReply) -> ParsedReply:
    if not repairs:
        return parsed
    return ParsedReply(actions=parsed.actions, errors=parsed.errors, repairs=(*repairs, *parsed.repairs))


def _over_limit(text: str) -> bool:
    if len(text) * 4 <= MAX_REPLY_BYTES:
        return False
    return len(text) > MAX_REPLY_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_REPLY_BYTES


def _may_hold_half_characters(text: str) -> bool:
    escaped = "\\u" in text and _ESCAPED_SURROGATE.search(text) is not None
    return escaped or (not text.isascii() and has_half_character(text))
