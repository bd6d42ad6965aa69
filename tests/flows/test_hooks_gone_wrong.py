"""Hooks that answer with what cannot be used, change what they are only shown, or cannot even be told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase, Block, action, hook
from core.contracts.json import Json
from core.settings import WatchdogSettings
from core.testing import ScriptedEngine, actions, message, running_app

PATIENT = WatchdogSettings(failures_in_a_row=1000)


class Giver(AIPluginBase):
    """Gives what it holds."""

    def __init__(self) -> None:
        self.holds: Json = "given"

    @action(effect="read", permission="anyone")
    async def give(self, kind: str = "plain") -> Json:
        """Give it."""
        return self.holds


class Unshown:
    """Can be shown in no way."""

    def __repr__(self) -> str:
        raise ValueError("no")

    __str__ = __repr__


class Exiting(Exception):
    """Ends the process where somebody wants to know what it says."""

    def __str__(self) -> str:
        raise SystemExit(7)


def _in_itself(outcome: Any) -> Any:
    output: dict[str, Any] = {}
    output["again"] = output
    return replace(outcome, output=output)


WRONG: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "an input without text": ("transform_input", lambda value: replace(value, text=None)),
    "a session with a number": ("resolve_session", lambda value: replace(value, strategy=7)),
    "half a character": ("extend_system_prompt", lambda value: value + "\ud800\0"),
    "a request without messages": ("before_llm", lambda value: replace(value, messages=None)),
    "a request with text as messages": ("before_llm", lambda value: replace(value, messages="abc")),
    "a request with numbers": ("before_llm", lambda value: replace(value, messages=(5,))),
    "a schema that is no dictionary": (
        "before_llm",
        lambda value: replace(value, response_schema=MappingProxyType({})),
    ),
    "a reply without text": ("after_llm", lambda value: replace(value, text=None)),
    "a reply with a number": ("after_llm", lambda value: replace(value, text=5)),
    "an outcome of no status": ("after_action", lambda value: replace(value, status="odd")),
    "an outcome with an object": ("after_action", lambda value: replace(value, output=Unshown())),
    "an outcome inside of itself": ("after_action", _in_itself),
    "a delivery of a number": ("before_delivery", lambda value: replace(value, text=5)),
    "a delivery to nowhere": ("before_delivery", lambda value: replace(value, address="x")),
    "specs without a name": ("filter_actions", lambda value: [replace(spec, type=[]) for spec in value]),
    "no specs": ("filter_actions", lambda value: [Unshown()]),
    "an error that exits": ("gather_context", lambda value: _raise(Exiting())),
}


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("name", WRONG)
async def test_what_cannot_be_used_is_left_out_and_counts(name: str) -> None:
    of_hook, change = WRONG[name]

    class Wrong(AIPluginBase):
        """Answers wrongly."""

        @hook(of_hook)
        async def answer(self, *args: Any) -> Any:
            return change(args[-1])

    once = WatchdogSettings(failures_in_a_row=1)
    mended = name == "half a character"
    engine = ScriptedEngine(actions(("give", {})), otherwise=message("fine"))
    async with running_app(plugins=[Wrong(), Giver()], engine=engine, watchdog=once) as kit:
        assert "fine" in await kit.interface.ask("hello")
        assert [row["status"] for row in await kit.rows("SELECT status FROM ledger WHERE action = 'give'")] == [
            "done"
        ]
        wrong = kit.app.registry.get("plugin", "wrong")
        assert wrong is not None
        assert wrong.state == ("active" if mended else "quarantined")


class _Reasonless(Block):
    def __init__(self) -> None: ...

    @property
    def reason(self) -> str:
        raise RuntimeError("there is none")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda: Block(Unshown()), "The reason cannot be shown (ValueError)."),  # type: ignore[arg-type]
        (_Reasonless, "The reason cannot be shown (RuntimeError)."),
        (lambda: Block("x" * 5_000_000), "xxx"),
        (lambda: _raise(Exiting()), "The check guard.check did not work: Exiting"),
        (lambda: _raise(BaseException("end")), "The check guard.check did not work: BaseException: end"),
        (lambda: _raise(KeyboardInterrupt()), "The check guard.check did not work: RuntimeError: it tried to end"),
    ],
)
async def test_a_guard_blocks_however_it_says_so(answer: Callable[[], Any], reason: str) -> None:
    class Guard(AIPluginBase):
        """Blocks."""

        @hook("before_action")
        async def check(self, turn: object, action: object) -> Any:
            return answer()

    async with running_app(plugins=[Guard(), Giver()], watchdog=PATIENT) as kit:
        acted = await kit.act("give")
        assert acted.status == "denied"
        assert acted.reason.startswith(reason)
        assert len(acted.reason) < 3000


async def test_what_a_hook_is_shown_is_its_own() -> None:
    class Forger(AIPluginBase):
        """Changes all that it is shown, and answers nothing."""

        kept: Any = None

        @hook("filter_actions")
        async def spoil_specs(self, turn: object, specs: list[Any]) -> None:
            for spec in specs:
                spec.schema["properties"].clear()

        @hook("before_action")
        async def spoil_turn(self, turn: object, action: Any) -> None:
            object.__setattr__(turn, "text", "forged")
            action.payload["kind"] = "forged"

        @hook("after_action")
        async def spoil_outcome(self, turn: object, action: Any, outcome: Any) -> None:
            if isinstance(outcome.output, dict):
                self.kept = outcome
                outcome.output["word"] = "forged"

    seen: list[str] = []

    class Reader(AIPluginBase):
        """Comes later."""

        @hook("before_action", priority=200)
        async def read(self, turn: Any, action: Any) -> None:
            seen.append(f"{turn.text} {action.payload}")

    giver, forger = Giver(), Forger()
    giver.holds = {"word": "true"}
    engine = ScriptedEngine(actions(("give", {"kind": "real"})), otherwise=message("fine"))
    async with running_app(plugins=[forger, Reader(), giver], engine=engine) as kit:
        assert await kit.interface.ask("hello") == ["fine"]
        (row,) = await kit.rows("SELECT output FROM ledger WHERE action = 'give'")
        assert "kind" in kit.app.registry.generation["give"].spec.fields
    assert row["output"] == '{"word":"true"}'
    assert forger.kept.output == {"word": "forged"}
    assert seen[0] == "hello {'kind': 'real'}"
    assert "forged" not in str([message.content for message in engine.last.messages])
