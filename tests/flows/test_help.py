"""`/help NAME`: what a command does, what it takes, how it is asked for in words, and who may use it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from core.ai_plugin_base import AIPluginBase, action
from core.testing import running_app


class Garden(AIPluginBase):
    """A command with a field of each kind, and one for trainers."""

    name = "garden"

    @action(effect="read", permission="anyone", command="water", phrases=["water the {plant}"])
    async def water_plants(
        self,
        plant: Annotated[str, Field(description="Which one.")],
        litres: Annotated[int, Field(ge=1, le=9)] = 2,
        slowly: bool = False,
    ) -> str:
        """Water the plants."""
        return f"{plant} {litres} {slowly}"

    @action(effect="read", permission="trainer", command="uproot")
    async def uproot(self) -> str:
        """Uproot everything."""
        return "gone"

    @action(effect="read")
    async def count_plants(self) -> str:
        """Count the plants."""
        return "3"


async def test_a_command_is_explained_and_an_unknown_one_is_guessed() -> None:
    async with running_app(plugins=[Garden()], access="open") as kit:
        (said,) = await kit.interface.ask("/help water")
        assert said.splitlines() == [
            "`/water plant [litres] [slowly]`",
            "",
            "Water the plants.",
            "",
            "- `plant` (text; needed): Which one.",
            "- `litres` (whole number ≥1 ≤9; 2 unless given)",
            "- `slowly` (yes or no; false unless given)",
            "",
            "For example:",
            "",
            "- water the {plant}",
            "",
            "It may be used by everybody who may write here, guests too, as far as no rule says otherwise.",
        ]
        assert await kit.interface.ask("/help /Water") == [said]
        assert await kit.interface.ask("/help water_plants") == [said]
        assert "has no command" in (await kit.interface.ask("/help count_plants"))[0]
        assert "It may be used by trainers" in (await kit.interface.ask("/help uproot"))[0]
        assert "There is no command /watr. Did you mean /help water?" in (await kit.interface.ask("/help watr"))[0]
        assert "/help lists all." in (await kit.interface.ask("/help zzzz"))[0]


async def test_nobody_is_told_of_what_they_may_not_use() -> None:
    async with running_app(plugins=[Garden()], access="open") as kit:
        (said,) = await kit.interface.ask("/help uproot", user_id="eve")
        assert "There is no command /uproot." in said
        (said,) = await kit.interface.ask("/help uprot", user_id="eve")
        assert "uproot" not in said
        await kit.interface.ask("/plugins disable garden")
        (said,) = await kit.interface.ask("/help water")
        assert "is a command of the plugin garden, which is out of use (disabled" in said
