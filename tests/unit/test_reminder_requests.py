"""The words of `/remind …`: where the time ends and the text begins, and when that cannot be told."""

from __future__ import annotations

import pytest

from plugins.event.requests import split_request

SPLIT = {
    "in 10 seconds to stretch": ("in 10 seconds", "stretch"),
    "me in 5 minutes to go to the shop": ("in 5 minutes", "go to the shop"),
    "every weekday at 8 to take the pills": ("every weekday at 8", "take the pills"),
    "tomorrow at 9: call the bank": ("tomorrow at 9", "call the bank"),
    "tomorrow, at 9: call the bank": ("tomorrow, at 9", "call the bank"),
    "tomorrow at 9, call the bank": ("tomorrow at 9", "call the bank"),
    "at 18:30 that the oven is on": ("at 18:30", "the oven is on"),
    "at 18:30: to turn it off": ("at 18:30", "turn it off"),
    "to stretch in 10 seconds": ("in 10 seconds", "stretch"),
    "that the oven is on at 18:30": ("at 18:30", "the oven is on"),
    "stretch in 10 minutes": ("in 10 minutes", "stretch"),
    "Stretch 10 minutes from now": ("10 minutes from now", "Stretch"),
    "call Bob tomorrow at 9": ("tomorrow at 9", "call Bob"),
    "call Bob, tomorrow at 9": ("tomorrow at 9", "call Bob"),
    "call Anna on 3 December at 10:00": ("on 3 December at 10:00", "call Anna"),
    "take the pills every monday and thursday at 18:30": ("every monday and thursday at 18:30", "take the pills"),
    "pay the rent monthly on the 31st at 9": ("monthly on the 31st at 9", "pay the rent"),
    "in 2 hours, 30 minutes to eat": ("in 2 hours, 30 minutes", "eat"),
    "every monday to friday at 8 to rise": ("every monday to friday at 8", "rise"),
    "2026-12-24 18:00 Europe/Rome: gifts": ("2026-12-24 18:00 Europe/Rome", "gifts"),
    "play level 9 tomorrow": ("tomorrow", "play level 9"),
    "see monday's report at 9": ("at 9", "see monday's report"),
    "line one\nline two in 5 minutes": ("in 5 minutes", "line one\nline two"),
    "in 5 minutes: line one\nline two": ("in 5 minutes", "line one\nline two"),
    # A time in front is closed by what stands behind it; a second one is part of the text.
    "tomorrow at 9 to call Bob at 10": ("tomorrow at 9", "call Bob at 10"),
    "on friday to pay the rent by monday": ("on friday", "pay the rent by monday"),
    # What is no good as a time is split off, so that its refusal says why.
    "every day to drink": ("every day", "drink"),
    "at 25:00 to eat": ("at 25:00", "eat"),
    "eat at 25:00": ("at 25:00", "eat"),
    "yesterday to eat": ("yesterday", "eat"),
    "do it later": ("later", "do it"),
    "call mum next week": ("next week", "call mum"),
    "drink twice a day": ("twice a day", "drink"),
    "stretch in 10 minutes at 9": ("in 10 minutes at 9", "stretch"),
}
NOT_SPLIT = (
    *("", " ", "to", "in 10 minutes", "tomorrow at 9:", "in 10 minutes to", "me", "a: b", "to: x"),
    *("buy milk", "call Bob in room 12", "call 1795196229", "cook the pasta 10 minutes", "walk 2 days"),
    *("watch High Noon", "watch the sun", "say good morning", "read the daily", "go west", "read may"),
    *("in 10 minutes stretch", "tomorrow call the bank"),
    # Two times, or one that may belong to the text.
    *("tomorrow call Bob at 10", "every day call Bob at 10", "call Bob tomorrow in the office at 9"),
    *("prepare the report for monday at 9", "stay until friday", "call between 9 and 10 am", "meet at 9 or at 10"),
    *("watch it at 9 pm, 10 pm", "tomorrow: at 9 call Bob", "call Bob at 9 in the office tomorrow"),
    "the meeting is at 10:30, leave in 5 minutes",
)


@pytest.mark.parametrize(("text", "split"), SPLIT.items())
def test_a_request_is_split(text: str, split: tuple[str, str]) -> None:
    assert split_request(text) == split
    assert split_request(text, zone="Asia/Tokyo", now_ms=1_795_196_220_000) == split


@pytest.mark.parametrize("text", NOT_SPLIT)
def test_what_can_be_split_in_no_way_or_in_two_is_not(text: str) -> None:
    assert split_request(text) is None
