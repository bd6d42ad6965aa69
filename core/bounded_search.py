"""A search with a regular expression that is given up when it takes too long.

Some expressions take for ever over some texts, and while one is searched for, the interpreter does nothing else: no
thread and no deadline of the event loop can end it. A signal can, since the search looks for signals by itself.
"""

from __future__ import annotations

import re
import signal
import threading
from types import FrameType

LONGEST_S = 0.1
"""Of processor time."""


class SearchTooLong(TimeoutError):
    """The expression was not found within the time, and it is not known whether it is there."""


def is_found(pattern: re.Pattern[str], text: str, *, whole: bool = False, longest_s: float = LONGEST_S) -> bool:
    """Whether a regular expression is found in a text, or fits the whole of it; raises SearchTooLong.

    Only the main thread can be interrupted, and not on Windows: elsewhere the search takes what it takes.
    """
    search = pattern.fullmatch if whole else pattern.search
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        return search(text) is not None
    armed = True

    def give_up(number: int, frame: FrameType | None) -> None:
        if armed:  # the signal may come when the search has just ended
            raise SearchTooLong(f"{pattern.pattern!r:.150} was searched for longer than {longest_s:g} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, longest_s)
    try:
        found = search(text) is not None
        armed = False
        return found
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
