"""Nothing that a plugin or an interface says wrongly holds up a chat: the turn ends, and the next one is answered."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, Block, TurnContext, action, hook
from core.contracts.actions import ActionEnvelope
from core.contracts.deliveries import Button, Delivery, Part
from core.contracts.errors import ActionFailed
from core.contracts.inputs import Address, Input, Quoted
from core.testing import RecordingInterface, ScriptedEngine, message, running_app
from tests.flows.records import outcome, turns

HALF = "half a character: \ud83d"
"""What neither a database nor a platform can take."""


def changed(**fields: Any) -> Callable[[Delivery], Delivery]:
    return lambda delivery: dataclasses.replace(delivery, **fields)


class Hooked(AIPluginBase):
    """Changes what goes out, as long as it is broken."""

    broken = True

    def __init__(self, change: Callable[[Delivery], Delivery]) -> None:
        self.made = change

    @hook("before_delivery")
    async def change(self, turn: TurnContext, delivery: Delivery) -> Delivery | None:
        return self.made(delivery) if self.broken else None


@pytest.mark.parametrize(
    "change",
    [
        changed(text=None),
        changed(text=HALF),
        changed(address=None),
        *(changed(ttl_s=ttl_s) for ttl_s in (None, "60")),
        changed(buttons=None),
        changed(buttons=("yes",)),
        changed(buttons=(Button(label=HALF, data={}),)),
        changed(buttons=(Button(label="yes", data={"x": object()}),)),
    ],
)
async def test_what_is_no_message_is_no_answer_of_a_hook(change: Callable[[Delivery], Delivery]) -> None:
    engine = ScriptedEngine(message("one"))
    async with running_app(engine=engine, plugins=[Hooked(change)]) as kit:
        assert await kit.interface.ask("hi") == ["one"], "as where it raises"
        assert (await outcome(kit, "message"))["status"] == "done"


@pytest.mark.parametrize(
    "change",
    [
        changed(address=Address("test", "")),
        *(changed(ttl_s=ttl_s) for ttl_s in (float("nan"), float("inf"), -1.0, 1e300)),
    ],
)
async def test_a_hook_that_makes_a_message_that_cannot_be_sent(change: Callable[[Delivery], Delivery]) -> None:
    hooked = Hooked(change)
    async with running_app(engine=ScriptedEngine(message("one"), otherwise=message("two")), plugins=[hooked]) as kit:
        await kit.interface.ask("hi")
        row = await outcome(kit, "message")
        assert row["status"] == "failed"
        assert "The message is no message" in row["reason"]
        hooked.broken = False
        assert await kit.interface.ask("again") == ["two"]
        assert (await turns(kit))[-1]["state"] == "complete"


class Renders(RecordingInterface):
    """Renders what the test wants as long as it is set."""

    parts: Any = None
    broken = True

    def render(self, delivery: Delivery) -> list[Part]:
        if not self.broken:
            return super().render(delivery)
        made: list[Part] = self.parts(delivery.address)
        return made


@pytest.mark.parametrize(
    "parts",
    [
        lambda to: None,
        lambda to: "parts",
        lambda to: (Part(address=to, text="again") for _ in itertools.count()),
        lambda to: [Part(address=to, text="again")] * 100_000,
        lambda to: [None],
        lambda to: [Part(address=to, text=None)],  # type: ignore[arg-type]
        lambda to: [Part(address=to, text=HALF)],
        lambda to: [Part(address=None, text="hi")],  # type: ignore[arg-type]
        lambda to: [Part(address=Address("test", "elsewhere"), text="hi")],
        lambda to: [Part(address=to, text="hi", body={"x": HALF})],
        lambda to: [Part(address=to, text="hi", body={"x": {1, 2}})],
        lambda to: [Part(address=to, text="hi", body=None)],  # type: ignore[arg-type]
    ],
)
async def test_an_interface_that_makes_no_parts(parts: Callable[[Address], Any]) -> None:
    interface = Renders()
    interface.parts = parts
    engine = ScriptedEngine(message("one"), otherwise=message("two"))
    async with running_app(engine=engine, interface=interface) as kit:
        await interface.ask("hi")
        row = await outcome(kit, "message")
        assert row["status"] == "failed"
        assert "cannot be kept" in row["reason"]
        assert interface.sent == []
        interface.broken = False
        assert await interface.ask("again") == ["two"]


class Speaks(AIPluginBase):
    """Says half a character wherever a plugin can say something."""

    @action(effect="read", permission="anyone")
    async def fail(self) -> str:
        """Fail for a reason."""
        raise ActionFailed(HALF, cure=HALF)

    @action(effect="read", permission="anyone")
    async def crash(self) -> str:
        """Raise something unforeseen."""
        raise ValueError(HALF)

    @action(effect="read", permission="anyone")
    async def blocked(self) -> str:
        """Be blocked."""
        return "no"

    @action(effect="external", permission="anyone")
    async def press(self) -> str:
        """Press and tell."""
        return HALF

    @hook("before_action")
    async def block(self, turn: TurnContext, action: ActionEnvelope) -> Block | None:
        return Block(HALF) if action.type == "blocked" else None

    @hook("transform_input")
    async def transform(self, turn: TurnContext, input: Input) -> Input | None:
        broken: Any = {"half": HALF, "none": None}
        return dataclasses.replace(input, text=broken[input.text]) if input.text in broken else None


@pytest.mark.parametrize("type_", ["fail", "crash", "blocked", "press"])
async def test_half_a_character_in_what_an_action_says(type_: str) -> None:
    engine = ScriptedEngine((type_, {}), message("one"), otherwise=message("two"))
    async with running_app(engine=engine, plugins=[Speaks()]) as kit:
        assert await kit.interface.ask("go") == ["one"]
        row = await outcome(kit, type_)
        assert "half a character" in f"{row['reason']}{row['output']}"
        assert await kit.interface.ask("again") == ["two"]


@pytest.mark.parametrize("text", ["half", "none"])
async def test_half_a_character_or_no_text_in_what_a_hook_makes_of_an_input(text: str) -> None:
    async with running_app(engine=ScriptedEngine(otherwise=message("one")), plugins=[Speaks()]) as kit:
        assert await kit.interface.ask(text) == ["one"]
        assert await kit.interface.ask("again") == ["one"]


async def test_half_a_character_in_what_an_interface_quotes() -> None:
    quoted = Quoted(relation="reply", author=HALF, text=HALF)
    async with running_app(engine=ScriptedEngine(otherwise=message("one"))) as kit:
        assert await kit.interface.ask("see above", quoted=(quoted,)) == ["one"]
        assert await kit.interface.ask("again") == ["one"]
