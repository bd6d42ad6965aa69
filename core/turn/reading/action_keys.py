"""Whether a key of an action can be seen in a text that cannot be read: in any quoting, at the place of a key."""

from __future__ import annotations

import re

ACTION_KEYS = frozenset({"type", "actions"})

_QUOTES = "\"'`´“”„‘’«»\\"
_KEY = re.compile(rf"(?:type|actions)[{re.escape(_QUOTES)}]{{0,8}}+\s*+:")
_WINDOW = 200
_MOST_LOOKED_AT = 1_000


def shows_action_key(text: str, start: int = 0, *, anywhere: bool) -> bool:
    """Whether `type` or `actions`, followed by a colon, stands where an object has its keys.

    That is behind an opening brace; in quotes also behind another bracket, a comma, a comment, or at the start of a
    line. anywhere: whether quotes are enough, since the text around is known to be broken. Where there is too much
    to look at, the answer is True: it cannot be told.
    """
    for count, found in enumerate(_KEY.finditer(text, start)):
        before = text[max(start, found.start() - _WINDOW) : found.start()]
        closed = found[0].rstrip(": \t\r\n")[-1] in _QUOTES
        if count == _MOST_LOOKED_AT or _is_key(before, closed=closed, anywhere=anywhere):
            return True
    return False


def _is_key(before: str, *, closed: bool, anywhere: bool) -> bool:
    unquoted = before.rstrip(_QUOTES)
    head = unquoted.rstrip()
    if head.endswith("{"):
        return True
    if unquoted == before and not closed:
        return False
    at_line_start = not head or "\n" in unquoted[len(head) :]
    return anywhere or at_line_start or head.endswith(("[", "]", "}", ",", "*/"))
