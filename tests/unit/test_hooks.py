"""Turn hooks: order, isolation, deadlines, and what each kind of hook may answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from core.contracts.actions import ActionEnvelope, ActionSpec, Untrusted
from core.contracts.hooks import Block, Intercept
from core.services.foreign import ForeignCalls
from core.services.hooks import HookBinding, HookRunner
from tests.support.plugin_context import turn
from tests.support.plugin_files import Table, loaded, plugin_source

TURN = turn("hello")


def binding(
    hook: str, call: Callable[..., Any], plugin: str = "p", priority: int = 100, position: int = 0
) -> HookBinding:
    return HookBinding(
        hook=hook, plugin=plugin, method=f"m{position}", call=call, priority=priority, position=position
    )


def runner(*bindings: HookBinding, timeout_s: float = 5.0) -> HookRunner:
    return HookRunner(lambda: bindings, ForeignCalls(), timeout_s=timeout_s, collect_timeout_s=timeout_s)


def append(text: str) -> Callable[..., Any]:
    async def call(turn: object, value: str) -> str:
        return value + text

    return call


def fails(turn: object, *args: object) -> object:
    raise ValueError("no")


async def hangs(turn: object, *args: object) -> None:
    await asyncio.sleep(30)


PROMPT = "extend_system_prompt"


async def test_a_chain_runs_by_priority_then_plugin_then_position() -> None:
    hooks = runner(
        binding(PROMPT, append("4"), "b", 100, 1),
        binding(PROMPT, append("3"), "b", 100, 0),
        binding(PROMPT, append("2"), "a", 100, 5),
        binding(PROMPT, append("1"), "z", 1),
        binding("before_llm", append("x"), "a", 0),
    )
    assert await hooks.chain(PROMPT, TURN, "") == "1234"


@pytest.mark.parametrize("broken", [fails, lambda *_: 7, lambda *_: Block("no"), lambda *_: Intercept("no")])
async def test_a_broken_link_is_left_out_and_reported(broken: Callable[..., Any]) -> None:
    hooks = runner(binding(PROMPT, append("a"), "a"), binding(PROMPT, broken, "b"), binding(PROMPT, append("c"), "c"))
    with capture_logs() as logs:
        assert await hooks.chain(PROMPT, TURN, "") == "ac"
    assert [(line["plugin"], line["hook"]) for line in logs] == [("b", PROMPT)]


async def test_a_late_link_is_left_out() -> None:
    hooks = runner(binding(PROMPT, hangs, "a"), binding(PROMPT, append("b"), "b"), timeout_s=0.02)
    with capture_logs() as logs:
        assert await hooks.chain(PROMPT, TURN, "") == "b"
    assert "took longer than 0.02 s" in logs[0]["error"]


async def test_none_is_no_change_and_sync_hooks_run_in_threads() -> None:
    def sync(turn: object, value: str) -> str:
        time.sleep(0.05)
        return value + "!"

    hooks = runner(binding(PROMPT, lambda *_: None, "a"), binding(PROMPT, sync, "b"))
    running = asyncio.create_task(hooks.chain(PROMPT, TURN, "hi"))
    ticks = 0
    while not running.done():
        ticks += 1
        await asyncio.sleep(0.005)
    assert running.result() == "hi!"
    assert ticks > 2


async def test_intercept_and_block_end_their_own_chains() -> None:
    reached: list[str] = []
    after = binding("transform_input", lambda *_: reached.append("x"), "z")
    hooks = runner(binding("transform_input", lambda *_: Intercept("hi"), "a"), after)
    assert await hooks.chain("transform_input", TURN, "text") == Intercept("hi")
    hooks = runner(
        binding("before_delivery", lambda *_: Block("spam"), "a"),
        binding("before_delivery", lambda *_: reached.append("x"), "z"),
    )
    assert await hooks.chain("before_delivery", TURN, "text") == Block("spam")
    assert reached == []


async def test_after_action_gets_the_action_and_the_outcome_and_cannot_change_the_action() -> None:
    def meddle(turn: object, action: ActionEnvelope, outcome: str) -> str:
        action.payload["sides"] = 99
        return f"{outcome} seen"

    action = ActionEnvelope(type="roll", payload={"sides": 6})
    hooks = runner(binding("after_action", meddle))
    assert await hooks.chain("after_action", TURN, "done", action) == "done seen"
    assert action.payload == {"sides": 6}


async def test_collect_asks_side_by_side_and_leaves_out_what_fails() -> None:
    both = asyncio.Barrier(2)

    async def meet(turn: object) -> str:
        await both.wait()
        return "met"

    hooks = runner(
        binding("gather_context", meet, "a"),
        binding("gather_context", meet, "b"),
        binding("gather_context", fails, "c"),
        binding("gather_context", hangs, "d"),
        binding("gather_context", lambda _: None, "e"),
        binding("gather_context", lambda _: object(), "f"),
        binding("gather_context", lambda _: Untrusted("page"), "g", position=0),
        binding("gather_context", lambda _: {"more": 1}, "g", position=1),
        timeout_s=0.5,
    )
    with capture_logs() as logs:
        collected = await hooks.collect("gather_context", TURN)
    assert collected == {"a": "met", "b": "met", "g": Untrusted("page"), "g.m1": {"more": 1}}
    assert {line["plugin"] for line in logs} == {"c", "d", "f"}


SPECS = [ActionSpec(type=name, description=name, schema={}) for name in ("a", "b", "c")]


async def test_narrow_can_only_take_away() -> None:
    extra = ActionSpec(type="x", description="x", schema={})
    changed = ActionSpec(type="c", description="changed", schema={}, model=False)
    hooks = runner(
        binding("filter_actions", lambda _, specs: [changed, extra, specs[0]], "a"),
        binding("filter_actions", fails, "b"),
        binding("filter_actions", lambda *_: "abc", "c"),
        binding("filter_actions", lambda _, specs: specs.clear(), "d"),
    )
    with capture_logs() as logs:
        assert await hooks.narrow("filter_actions", TURN, SPECS) == [SPECS[0], SPECS[2]]
    errors = {line["plugin"]: line["error"] for line in logs}
    assert errors["a"] == "may only take actions away, and added x"
    assert set(errors) == {"a", "b", "c"}


async def test_what_was_taken_away_cannot_be_put_back() -> None:
    hooks = runner(
        binding("filter_actions", lambda *_: [], "a"), binding("filter_actions", lambda *_: list(SPECS), "b")
    )
    assert await hooks.narrow("filter_actions", TURN, SPECS) == []


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda *_: Block("not now"), "not now"),
        (fails, "The check p.m0 did not work: ValueError: no"),
        (hangs, "The check p.m0 did not work: TimeoutError"),
        (lambda *_: False, "The check p.m0 gave an answer that is neither yes nor no."),
        (lambda *_: True, "The check p.m0 gave an answer that is neither yes nor no."),
    ],
)
async def test_a_guard_fails_closed(call: Callable[..., Any], reason: str) -> None:
    hooks = runner(binding("before_action", call), timeout_s=0.05)
    block = await hooks.guard("before_action", TURN, ActionEnvelope(type="roll", payload={}))
    assert block is not None
    assert block.reason.startswith(reason)


async def test_guards_that_say_nothing_let_pass_and_cannot_change_the_action() -> None:
    def meddle(turn: object, action: ActionEnvelope) -> None:
        action.payload["sides"] = 99

    action = ActionEnvelope(type="roll", payload={"sides": 6})
    assert await runner(binding("before_action", meddle)).guard("before_action", TURN, action) is None
    assert action.payload == {"sides": 6}


async def test_without_hooks_nothing_is_called() -> None:
    class NoCalls(ForeignCalls):
        async def call(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError

    hooks = HookRunner(lambda: (), NoCalls(), structlog.get_logger())
    value = object()
    assert not hooks.has(PROMPT)
    assert await hooks.chain(PROMPT, TURN, value) is value
    assert await hooks.collect("gather_context", TURN) == {}
    assert await hooks.narrow("filter_actions", TURN, SPECS) == SPECS
    assert await hooks.guard("before_action", TURN) is None


async def test_a_hook_that_ends_the_process_is_left_out() -> None:
    async def leave(turn: object, value: str) -> str:
        raise SystemExit

    assert await runner(binding(PROMPT, leave)).chain(PROMPT, TURN, "kept") == "kept"


HOOKED = """
@hook("gather_context")
async def facts(self, turn):
    return "from " + turn.text

@hook("extend_system_prompt", priority=5)
def shout(self, turn, prompt):
    return prompt.upper()
"""


async def test_hooks_of_plugins_come_and_go_with_them(tmp_path: Path) -> None:
    older = "def get_static_injection(self, message, context):\n    return {'note': message, 'id': context.turn_id}"
    oldest = "async def get_static_injection(self):\n    return 'always'"
    files = {
        "hooked.py": plugin_source("one", body=HOOKED),
        "older.py": plugin_source("two", body=older),
        "oldest.py": plugin_source("three", body=oldest),
    }
    registry = await loaded(tmp_path, files, start=False)
    hooks = HookRunner(lambda: registry.hooks, ForeignCalls())
    assert not hooks.has(PROMPT)
    await registry.start_plugins()
    assert hooks.has(PROMPT)
    assert await hooks.chain(PROMPT, TURN, "be kind") == "BE KIND"
    assert await hooks.collect("gather_context", TURN) == {
        "hooked": "from hello",
        "older": {"note": "hello", "id": 1},
        "oldest": "always",
    }
    await registry.stop_plugins()
    assert not hooks.has("gather_context")


async def test_the_settings_can_move_a_plugins_hooks(tmp_path: Path) -> None:
    def saying(name: str) -> str:
        hook = f"@hook('extend_system_prompt')\nasync def say(self, turn, prompt):\n    return prompt + '{name}'"
        return plugin_source(f"{name}_action", body=hook)

    files = {"a.py": saying("a"), "b.py": saying("b")}
    registry = await loaded(tmp_path, files, {"b": Table(priority=1)})
    assert await HookRunner(lambda: registry.hooks, ForeignCalls()).chain(PROMPT, TURN, "") == "ba"
