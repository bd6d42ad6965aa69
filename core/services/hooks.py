"""Turn hooks: what plugins may change of a turn, put together so that none of them can break it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from core.contracts.actions import ActionEnvelope, ActionSpec, Untrusted
from core.contracts.hooks import Block, Intercept, TurnContext
from core.contracts.json import Json, storable
from core.services.foreign import Behalf, ForeignCalls, Raised, Returned
from core.services.json_results import json_result
from core.services.sync_or_async import invoke

T = TypeVar("T")

HOOK_TIMEOUT_S = 5.0
COLLECT_TIMEOUT_S = 2.0
COLLECTS = "gather_context"
MAY_BLOCK = frozenset({"before_delivery"})
MAY_INTERCEPT = frozenset({"transform_input"})


@dataclass(frozen=True, slots=True, kw_only=True)
class HookBinding:
    """One hook of one active plugin. `position`: its place in the plugin's source, counted from 0.

    injects: how many arguments the older `get_static_injection(message, context)` takes; None for a real hook.
    """

    hook: str
    plugin: str
    method: str
    call: Callable[..., Any]
    priority: int = 100
    position: int = 0
    injects: int | None = None

    @property
    def label(self) -> str:
        """What logs and reasons call it."""
        return f"{self.plugin}.{self.method}"


@dataclass(frozen=True, slots=True)
class Unchecked(Block):
    """What a guard that cannot say yes or no comes to. plugin: whose it is."""

    plugin: str


class HookRunner:
    """Runs the hooks of the active plugins in the order (priority, plugin, position)."""

    def __init__(
        self,
        bindings: Callable[[], Sequence[HookBinding]],
        foreign: ForeignCalls,
        log: FilteringBoundLogger | None = None,
        *,
        timeout_s: float = HOOK_TIMEOUT_S,
        collect_timeout_s: float = COLLECT_TIMEOUT_S,
    ) -> None:
        """bindings: returns the active ones, the same object for as long as they are the same.

        timeout_s, collect_timeout_s: how long one hook may take, in seconds.
        """
        self._bindings = bindings
        self._foreign = foreign
        self._log = log or structlog.get_logger("rekku.hooks")
        self._timeout_s = timeout_s
        self._collect_timeout_s = collect_timeout_s
        self._seen: Sequence[HookBinding] = ()
        self._by_hook: dict[str, list[HookBinding]] = {}

    def has(self, name: str) -> bool:
        """Whether any active plugin has this hook."""
        return name in self._index()

    async def chain(self, name: str, turn: TurnContext, value: T, *about: object) -> T | Block | Intercept:
        """Hand `value` from hook to hook, each called with `(turn, *about, value)`; None means no change.

        A hook that raises, is late or answers with another type is left out: the last good value stands. A Block or
        an Intercept ends the chain, in the hooks where they are allowed.
        """
        for binding in self._index().get(name, ()):
            answer = await self._ask(binding, self._timeout_s, turn, turn, *map(_own, about), _own(value))
            if not isinstance(answer, Returned) or answer.value is None:
                continue
            result = answer.value
            if isinstance(result, Block) and name in MAY_BLOCK:
                return _told(result)
            if isinstance(result, Intercept) and name in MAY_INTERCEPT:
                return result
            if isinstance(result, type(value)):
                value = result
            else:
                self._report(
                    binding, f"answered with a {type(result).__name__}, not a {type(value).__name__} or None"
                )
        return value

    async def collect(self, name: str, turn: TurnContext) -> dict[str, Json | Untrusted]:
        """Ask all hooks side by side and return their answers by plugin, without those of None.

        A second answer of one plugin stands under `plugin.method`. What is late or raises is left out.
        """
        bindings = self._index().get(name)
        if not bindings:
            return {}
        answers = await asyncio.gather(*(self._collected(binding, turn) for binding in bindings))
        collected: dict[str, Json | Untrusted] = {}
        for binding, answer in zip(bindings, answers, strict=True):
            if answer is not None:
                collected[binding.label if binding.plugin in collected else binding.plugin] = answer
        return collected

    async def narrow(self, name: str, turn: TurnContext, specs: Sequence[ActionSpec]) -> list[ActionSpec]:
        """Return those of `specs` that every hook leaves, in their order and as they were.

        What a hook adds is dropped and reported, and so is whatever it changes in a spec.
        """
        left = list(specs)
        for binding in self._index().get(name, ()):
            answer = await self._ask(binding, self._timeout_s, turn, turn, list(left))
            if not isinstance(answer, Returned) or answer.value is None:
                continue
            kept = _types(answer.value)
            if kept is None:
                self._report(binding, f"answered with a {type(answer.value).__name__}, not a list of specs or None")
                continue
            added = kept - {spec.type for spec in left}
            if added:
                self._report(binding, f"may only take actions away, and added {', '.join(sorted(added))}")
            left = [spec for spec in left if spec.type in kept]
        return left

    async def guard(self, name: str, turn: TurnContext, *args: object) -> Block | None:
        """Return the first Block, or None. A hook that raises, is late or answers with anything else blocks too."""
        for binding in self._index().get(name, ()):
            answer = await self._ask(binding, self._timeout_s, turn, turn, *map(_own, args))
            if isinstance(answer, Raised):
                return Unchecked(f"The check {binding.label} did not work: {answer.sentence}", binding.plugin)
            if isinstance(answer.value, Block):
                return _told(answer.value)
            if answer.value is not None:
                self._report(binding, f"answered with a {type(answer.value).__name__}, not a Block or None")
                reason = f"The check {binding.label} gave an answer that is neither yes nor no."
                return Unchecked(reason, binding.plugin)
        return None

    def _index(self) -> dict[str, list[HookBinding]]:
        bindings = self._bindings()
        if bindings is not self._seen:
            by_hook: dict[str, list[HookBinding]] = {}
            for binding in sorted(bindings, key=lambda b: (b.priority, b.plugin, b.position)):
                by_hook.setdefault(binding.hook, []).append(binding)
            self._seen, self._by_hook = bindings, by_hook
        return self._by_hook

    async def _collected(self, binding: HookBinding, turn: TurnContext) -> Json | Untrusted:
        args = (turn,) if binding.injects is None else (turn.text, turn)[: binding.injects]
        answer = await self._ask(binding, self._collect_timeout_s, turn, *args, convert=True)
        return answer.value if isinstance(answer, Returned) else None

    async def _ask(
        self, binding: HookBinding, timeout_s: float, turn: TurnContext, *args: object, convert: bool = False
    ) -> Returned[Any] | Raised:
        async def ask() -> Any:
            result = await invoke(binding.call, *args)
            return await json_result(result, binding.label) if convert else result

        answer = await self._foreign.call(binding.label, ask, timeout_s, binding.plugin, behalf=Behalf.of(turn))
        if isinstance(answer, Raised):
            self._report(binding, answer.sentence, answer)
        return answer

    def _report(self, binding: HookBinding, error: str, raised: Raised | None = None) -> None:
        more = {} if raised is None else {"where": raised.where, "raised": raised.error}
        self._log.warning(
            "a hook did not work",
            plugin=binding.plugin,
            hook=binding.hook,
            method=binding.method,
            error=error,
            **more,
        )


def _own(value: Any) -> Any:
    """Give each hook a payload of its own: what it does to it must change nothing that was validated."""
    return copy.deepcopy(value) if isinstance(value, ActionEnvelope) else value


def _told(block: Block) -> Block:
    """Return a block whose reason can be written down and told, whatever was given as one."""
    return Block(storable(block.reason if isinstance(block.reason, str) else repr(block.reason)))


def _types(answer: object) -> set[str] | None:
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | dict):
        return None
    try:
        specs = list(answer)
    except Exception:  # noqa: BLE001 - a generator of foreign code is foreign code too
        return None
    return {spec.type for spec in specs} if all(isinstance(spec, ActionSpec) for spec in specs) else None
