"""Searches with regular expressions that would never end."""

from __future__ import annotations

import re
import signal
import threading

import pytest

from core.bounded_search import SearchTooLong, is_found


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(a+)+$", "a" * 60 + "!"),
        (r"(x+x+)+y", "x" * 60),
        (r"(?:a|aa)+$", "a" * 80 + "b"),
        (r"^(\w+\s?)*$", "word " * 30 + "!"),
        (r"a*a*a*a*b", "a" * 20_000),
    ],
)
def test_what_never_ends_is_given_up_and_leaves_no_timer(pattern: str, text: str) -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(SearchTooLong):
        is_found(re.compile(pattern), text, longest_s=0.02)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) == before


def test_what_ends_is_answered() -> None:
    assert is_found(re.compile("^lights"), "lights on")
    assert not is_found(re.compile("^lights"), "no lights")
    assert is_found(re.compile("lights"), "lights", whole=True)
    assert not is_found(re.compile("lights"), "lights on", whole=True)


def test_another_thread_may_search_too() -> None:
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(is_found(re.compile("b"), "abc")))
    thread.start()
    thread.join()
    assert found == [True]
