"""Dice: bounds of what can be rolled, and how the result is told."""

from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from core.contracts.errors import ActionFailed
from core.contracts.json import JsonObject
from plugins.dice import PLUGIN_CLASS, Dice
from tests.support.plugin_context import equip


async def test_a_die_shows_each_of_its_sides_and_no_other() -> None:
    dice = equip(Dice())
    rolls = {await dice.handle_custom_action("roll_dice", {"sides": 2}) for _ in range(200)}
    assert rolls == {"1", "2"}
    assert {int(await dice.handle_custom_action("roll_dice", {})) for _ in range(500)} == set(range(1, 7))


async def test_several_dice_are_told_one_by_one_with_their_sum() -> None:
    told = await equip(Dice()).handle_custom_action("roll_dice", {"sides": 6, "count": 3})
    parts, total = told.split(" = ")
    rolls = [int(part) for part in parts.split(" + ")]
    assert len(rolls) == 3
    assert sum(rolls) == int(total)
    assert all(1 <= roll <= 6 for roll in rolls)


async def test_the_configured_largest_die_is_kept_to() -> None:
    dice = equip(Dice(), max_sides=20)
    assert 1 <= int(await dice.handle_custom_action("roll_dice", {"sides": 20})) <= 20
    with pytest.raises(ActionFailed, match="20 sides"):
        await dice.handle_custom_action("roll_dice", {"sides": 21})


@pytest.mark.parametrize(
    ("payload", "valid"),
    [
        ({}, True),
        ({"sides": 2, "count": 20}, True),
        ({"sides": 1}, False),
        ({"count": 0}, False),
        ({"count": 21}, False),
        ({"sides": "6"}, False),
        ({"faces": 6}, False),
    ],
)
def test_the_schema_takes_what_can_be_rolled(payload: JsonObject, valid: bool) -> None:
    declaration = PLUGIN_CLASS().get_supported_actions()["roll_dice"]
    assert Draft202012Validator(declaration["schema"]).is_valid(payload) is valid
    assert declaration["effect"] == "read"
    assert declaration["permission"] == "anyone"
    assert declaration["command"] == "roll"
