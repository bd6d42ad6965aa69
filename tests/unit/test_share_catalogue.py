"""How room in the prompt is shared out among actions, and how one is found by words."""

from __future__ import annotations

import pytest

from core.contracts.actions import ActionSpec
from core.turn.find_actions import find_actions
from core.turn.share_catalogue import DESCRIBE_ACTION, share_out

OBJECT = {"type": "object", "properties": {}, "additionalProperties": False}


def spec(type_: str, description: str = "Do it.", plugin: str = "p", phrases: tuple[str, ...] = ()) -> ActionSpec:
    return ActionSpec(type=type_, description=description, schema=OBJECT, plugin=plugin, phrases=phrases)


MANY = [spec("message"), spec(DESCRIBE_ACTION), *(spec(f"action_{n:04}", plugin=f"p{n // 10}") for n in range(1000))]


def size(lines: tuple[str, ...]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def test_what_fits_is_told_whole_and_there_is_nothing_to_ask() -> None:
    shares = share_out(MANY[:12], lambda each: 10, 110)
    assert [each.type for each in shares.whole] == ["message", *(f"action_{n:04}" for n in range(10))]
    assert shares.rest == ()


@pytest.mark.parametrize("room", [200, 1000, 2000, 5000, 20_000, 50_000])
@pytest.mark.parametrize("count", [50, 200, 1000])
def test_the_room_is_kept_and_used(room: int, count: int) -> None:
    specs = MANY[: count + 2]
    shares = share_out(specs, lambda each: 60, room)
    used = 60 * len(shares.whole) + size(shares.rest)
    assert used <= max(room, 121 + 120), (used, room)  # what is always told, and the sentence that there are more
    whole = {each.type for each in shares.whole}
    assert whole >= {"message"}
    if shares.rest:
        assert DESCRIBE_ACTION in whole
    assert share_out(specs, lambda each: 60, room) == shares


def test_more_room_tells_more() -> None:
    told = [len(share_out(MANY, lambda each: 60, room).whole) for room in range(21_000, 31_000, 1_000)]
    assert told == sorted(told)
    assert told[0] > 20


def test_the_words_about_an_action_find_it() -> None:
    specs = [
        spec("create_reminder", "Remind somebody at a time.", "event", ("remind me to {text}",)),
        spec("tell_weather", "Tell the weather of a place.", "weather"),
        spec("send_mail", "Send an electronic letter to somebody.", "mail"),
    ]

    def found(about: str) -> list[str]:
        return [each.type for each in find_actions(about, specs)]

    assert found("reminders")[0] == "create_reminder"
    assert found("What's the WEATHER like?")[0] == "tell_weather"
    assert found("write a letter")[0] == "send_mail"
    assert found("mail somebody")[:2] == ["send_mail", "create_reminder"]
    assert found("") == found("zzz qqq") == []
    assert len(find_actions("action", MANY)) == 5
