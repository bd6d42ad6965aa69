"""Names, patterns and conditions of events, by themselves."""

from __future__ import annotations

import pytest

from core.contracts.events import Event, check_event_name
from core.event_conditions import always, condition_of, regex, wake_word
from core.event_patterns import check_pattern, matches

YES = [
    ("turn.started", "turn.started"),
    ("turn.*", "turn.started"),
    ("*.started", "turn.started"),
    ("lamp.*.on", "lamp.kitchen.on"),
    ("lamp.**", "lamp.on"),
    ("lamp.**", "lamp.kitchen.on"),
    ("lamp.*.**", "lamp.kitchen.on"),
    ("**", "turn.started"),
]
NO = [
    ("turn.started", "turn.completed"),
    ("turn.*", "turn.step.ended"),
    ("turn.*", "turns.started"),
    ("lamp.**", "lamps.on"),
    ("lamp.*.**", "lamp.on"),
    ("*.*", "lamp.kitchen.on"),
    ("lamp.kitchen.on", "lamp.kitchen"),
]


@pytest.mark.parametrize(("pattern", "name"), YES)
def test_a_pattern_means_a_name(pattern: str, name: str) -> None:
    assert matches(check_pattern(pattern), check_event_name(name))


@pytest.mark.parametrize(("pattern", "name"), NO)
def test_a_pattern_does_not_mean_a_name(pattern: str, name: str) -> None:
    assert not matches(check_pattern(pattern), check_event_name(name))


@pytest.mark.parametrize("name", ["turn", "Turn.started", "turn.", ".turn", "turn..started", "turn.s t", "1.a", 7])
def test_what_is_no_name_is_refused(name: object) -> None:
    with pytest.raises(ValueError, match="no name of an event"):
        check_event_name(name)


@pytest.mark.parametrize("pattern", ["", "*", "turn", "turn.st*", "**.turn", "Turn.*", "turn.", "turn.***", None])
def test_what_is_no_pattern_is_refused(pattern: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_pattern(pattern)


def heard(text: object) -> Event:
    return Event(name="conversation.heard", data={"text": text, "inner": {"text": "deep"}})


@pytest.mark.parametrize("text", ["Hey Rekku!", "well, HEY, rekku: lights", "hey\nrekku"])
def test_a_wake_word_is_heard_as_whole_words(text: str) -> None:
    assert wake_word("hey rekku")(heard(text))


@pytest.mark.parametrize("text", ["they rekku", "hey rekkus", "rekku hey", "", None, 3])
def test_what_only_resembles_a_wake_word_is_not_heard(text: object) -> None:
    assert not wake_word("hey rekku", "ok rekku")(heard(text))


def test_conditions_look_into_the_field_that_they_name() -> None:
    assert regex("^de+p$", field="inner.text")(heard("x"))
    assert not regex("^de+p$")(heard("x"))
    assert wake_word("deep", field="inner.text")(heard("x"))
    assert not wake_word("deep", field="text.more")(heard("deep"))


def test_the_configuration_says_conditions_in_words() -> None:
    assert condition_of("always") is always
    assert condition_of("wake_word: hey rekku, ok rekku")(heard("ok rekku"))
    assert condition_of("regex: ^(a|b):")(heard("b: c"))
    assert str(condition_of("wake_word:hey  rekku")) == "wake_word: hey  rekku"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("wakeword: hey", "did you mean wake_word"),
        ("regex: (", "no regular expression"),
        ("regex:", "is no condition"),
        ("wake_word: ,!", "needs the words"),
        ("always: true", "is no condition"),
        (3, "must be a text"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(text: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        condition_of(text)
