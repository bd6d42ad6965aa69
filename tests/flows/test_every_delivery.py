"""`before_delivery` sees every message that goes out, on every interface, once: wherever it comes from."""

from __future__ import annotations

import ast
import dataclasses
from pathlib import Path

from core.ai_plugin_base import AIPluginBase, TurnContext, hook
from core.contracts.deliveries import Delivery
from core.contracts.inputs import Address
from core.testing import RecordingInterface, ScriptedEngine, message, running_app
from tests.flows.workshop import Workshop

CORE = Path(__file__).parents[2] / "core"

PUTS_INTO_THE_OUTBOX = {
    "turn/commit.py": "what a turn says of itself, and the outcome of a command",
    "turn/write_pending.py": "what actions send, messages among them, and the questions of approvals",
    "turn/tell_once.py": "notices: strangers, pairing codes, budgets",
    "turn/keep_people.py": "a welcome",
    "turn/housekeeping.py": "approvals that have expired",
    "turn/fire_reminder.py": "reminders",
    "turn/deliver.py": "a reminder that goes to another chat",
    "turn/plugin_messages.py": "what plugins show",
    "turn/tell_trainers.py": "what happened to a plugin",
}
"""Every module that writes rows of the outbox, and what they are."""

PREPARED_ELSEWHERE = {"turn/write_pending.py": "turn/take_over.py", "turn/deliver.py": "turn/fire_reminder.py"}


def _calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def test_nothing_is_put_into_the_outbox_that_was_not_prepared() -> None:
    calls = {str(path.relative_to(CORE)): _calls(path) for path in CORE.rglob("*.py")}
    assert {name for name, made in calls.items() if "outbox.put" in made} == PUTS_INTO_THE_OUTBOX.keys()
    for name in PUTS_INTO_THE_OUTBOX:
        made = calls[PREPARED_ELSEWHERE.get(name, name)]
        assert any(call.endswith("outgoing.prepare") for call in made), name
    sends = {name for name, made in calls.items() if any(call.endswith("interface.send") for call in made)}
    assert sends == {"turn/deliver.py"}


class Stamp(AIPluginBase):
    """Stamps every message; also shows one of its own."""

    @hook("before_delivery")
    async def stamp(self, turn: TurnContext, delivery: Delivery) -> Delivery:
        return dataclasses.replace(delivery, text=f"{delivery.text} #")


async def test_each_is_seen_once() -> None:
    second = RecordingInterface("second")
    engine = ScriptedEngine(otherwise=message("a message"))
    async with running_app(engine=engine, plugins=[Workshop(), Stamp()], interfaces=[second]) as kit:
        chat = kit.interface
        await chat.ask("hello")
        await chat.ask("/help")
        await chat.ask("/nonsense")
        engine.then(ValueError("away"))
        await chat.ask("the model is away")
        engine.then(("read_page", {"url": "u"}), ("wipe", {"path": "/"}))
        await chat.ask("a question of an approval")
        await kit.advance(16 * 60)
        await kit.app.periodic.run_now("core", "housekeeping")
        await chat.until(lambda: any("has expired" in text for text in chat.texts()), "the approval's end")
        await second.ask("a stranger's notice")
        await chat.ask("/remind in 1 minute to stretch")
        await kit.advance(61)
        await chat.until(lambda: any("stretch" in text for text in chat.texts()[-1:]), "the reminder")
        engine.then(("message", {"text": "to the other interface", "to": "second:elsewhere"}))
        await chat.ask("tell them")
        stamp = next(c.instance for c in kit.app.registry.components("plugin") if isinstance(c.instance, Stamp))
        await stamp.context.messages.show(Address("test", "trainer"), "what a plugin shows")
        await kit.app.drained()
        sent = [part.text for part in (*chat.sent, *second.sent)]
        for text in sent:
            assert text.endswith(" #"), text
            assert not text.endswith("# #"), text
        wanted = ("a message", "/help", "There is no command", "could not get an answer", "wipe", "has expired")
        for part in (*wanted, "I do not know you", "stretch", "to the other interface", "what a plugin shows"):
            assert any(part in text for text in sent), part
