"""Blocks of messages that plugins show in their own way: on every message, bounded, and never in the way of one."""

from __future__ import annotations

from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, TurnContext, action, hook
from core.contracts.deliveries import Delivery
from core.contracts.errors import DeclarationError
from core.contracts.slots import MessageRenderer
from core.testing import RecordingInterface, ScriptedEngine, message, running_app

CHART = "Sales:\n```chart\ntea 3\ncoffee 5\n```\nThat is all.\n\n```python\nprint(1)\n```"


class Painter(AIPluginBase):
    """Paints charts."""

    name = "painter"
    answer: Any = None

    async def start(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.context.contribute("renderers", MessageRenderer(name="chart", render=self.paint))

    async def paint(self, turn: TurnContext, text: str) -> Any:
        self.seen.append((str(turn.address), text))
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.answer is not None:
            return self.answer
        rows = (line.split() for line in text.splitlines())
        return "\n".join(f"- {name} {'#' * int(count)}" for name, count in rows)

    @action(effect="read", permission="anyone", command="sales")
    async def sales(self) -> str:
        """Tell the sales."""
        return CHART


async def sent(plugin: Painter, text: str, **more: Any) -> str:
    async with running_app(engine=ScriptedEngine(message(text)), plugins=[plugin], **more) as kit:
        return "\n".join(await kit.interface.ask("how are the sales?"))


async def test_a_block_is_shown_as_its_renderer_makes_it_and_the_history_keeps_what_was_said() -> None:
    painter = Painter()
    async with running_app(engine=ScriptedEngine(message(CHART)), plugins=[painter]) as kit:
        (text,) = await kit.interface.ask("how are the sales?")
        assert text == "Sales:\n\n- tea ###\n- coffee #####\n\nThat is all.\n\n```python\nprint(1)\n```"
        assert painter.seen == [("test:trainer", "tea 3\ncoffee 5\n")]
        kept = await kit.rows("SELECT text FROM messages WHERE role = 'assistant'")
        assert "```chart" in str(kept)
        (typed,) = await kit.interface.ask("/sales")
        assert "- tea ###" in typed, "also what no model has written"


@pytest.mark.parametrize(
    "text",
    [
        "no block: `chart`",
        "- in a list\n\n  ```chart\n  tea 3\n  ```",
        "````\n```chart\ntea 3\n```\n````",
        "```charts\ntea 3\n```",
        "```\ntea 3\n```",
    ],
)
async def test_what_is_no_block_of_that_name_is_left_alone(text: str) -> None:
    painter = Painter()
    assert await sent(painter, text) == text
    assert painter.seen == []


@pytest.mark.parametrize("fence", ["~~~ chart", "```Chart wide", "   ```chart"])
async def test_every_way_to_write_a_fence_is_one(fence: str) -> None:
    marks = "~~~" if "~" in fence else "```"
    assert await sent(Painter(), f"{fence}\r\ntea 2\r\n{marks}") == "- tea ##"


@pytest.mark.parametrize("answer", [ValueError("no paint"), 7, "x" * 40_000, "", " \n"])
async def test_a_renderer_that_does_not_work_leaves_the_block(answer: Any) -> None:
    painter = Painter()
    painter.answer = answer
    block = "```chart\ntea 3\n```"
    assert await sent(painter, block) == block
    assert len(painter.seen) == 1


async def test_what_is_rendered_can_be_sent_and_holds_no_secret() -> None:
    painter = Painter()
    painter.answer = "half \ud800 and hunter2hunter2"
    shown = await sent(painter, "```chart\n```")
    assert "half" in shown
    assert "\ud800" not in shown
    async with running_app(engine=ScriptedEngine(message("```chart\n```")), plugins=[painter]) as kit:
        kit.app.masker.learn("PASSWORD", "hunter2hunter2")
        (text,) = await kit.interface.ask("show")
        assert "hunter2" not in text


async def test_it_sees_what_hooks_have_made_and_only_so_many_blocks() -> None:
    class Doubler(AIPluginBase):
        """Says all twice."""

        @hook("before_delivery")
        async def twice(self, turn: TurnContext, delivery: Delivery) -> Delivery:
            return Delivery(address=delivery.address, text=f"{delivery.text}\n\n" * 12)

    painter = Painter()
    async with running_app(
        engine=ScriptedEngine(message("```chart\ntea 1\n```")), plugins=[painter, Doubler()]
    ) as kit:
        (text,) = await kit.interface.ask("show")
    assert (text.count("- tea #"), text.count("```chart")) == (10, 2)


async def test_where_it_is_done_and_until_when() -> None:
    other = RecordingInterface("elsewhere")
    painter = Painter()
    engine = ScriptedEngine(otherwise=message("```dots\na\n```"))
    async with running_app(engine=engine, plugins=[painter], interfaces=[other], access="open") as kit:
        spec = MessageRenderer(name="dots", render=lambda turn, text: "...", interfaces=("elsewhere",))
        painter.context.contribute("renderers", spec)
        assert await kit.interface.ask("hello") == ["```dots\na\n```"]
        assert await other.ask("hello") == ["..."]
        for name, wrong in (("dots", "already"), ("Dots", "cannot be"), ("a b", "cannot be")):
            with pytest.raises(DeclarationError, match=wrong):
                painter.context.contribute("renderers", MessageRenderer(name=name, render=spec.render))
        with pytest.raises(DeclarationError, match="no tuple"):
            painter.context.contribute(
                "renderers",
                MessageRenderer(name="more", render=spec.render, interfaces="elsewhere"),  # type: ignore[arg-type]
            )
        assert "disabled" in (await kit.interface.ask("/plugins disable painter"))[0]
        assert await other.ask("hello") == ["```dots\na\n```"]
