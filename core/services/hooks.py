"""Turn hooks: what plugins may change of a turn, put together so that none of them can break it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from inspect import isawaitable
from itertools import islice
from typing import Any, TypeVar

import structlog
from structlog.typing import FilteringBoundLogger

from core.contracts.actions import ActionSpec, Untrusted
from core.contracts.hooks import Block, Intercept, TurnContext
from core.contracts.json import Json
from core.services.event_data import short
from core.services.foreign import Behalf, ForeignCalls, Raised, Returned
from core.services.hook_answers import own, own_specs, same_kind, told_block
from core.services.json_results import json_result
from core.services.sync_or_async import invoke

T = TypeVar("T")

HOOK_TIMEOUT_S = 5.0
COLLECT_TIMEOUT_S = 2.0
COLLECTS = "gather_context"
MAY_BLOCK = frozenset({"before_delivery"})
MAY_INTERCEPT = frozenset({"transform_input"})
MOST_SPECS = 10_000
"""Of an answer to a hook that narrows: what it is made of may never end."""


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
            read = partial(_changed, name, value)
            answer = await self._ask(binding, self._timeout_s, turn, *about, value, read=read)
            if not isinstance(answer, Returned) or answer.value is None:
                continue
            if isinstance(answer.value, Block | Intercept):
                return answer.value
            value = answer.value
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
            answer = await self._ask(binding, self._timeout_s, turn, left, read=_types, copies=own_specs)
            if not isinstance(answer, Returned) or answer.value is None:
                continue
            kept: set[str] = answer.value
            added = kept - {spec.type for spec in left}
            if added:
                self._report(binding, f"may only take actions away, and added {', '.join(sorted(added))}")
            left = [spec for spec in left if spec.type in kept]
        return left

    async def guard(self, name: str, turn: TurnContext, *args: object) -> Block | None:
        """Return the first Block, or None. A hook that raises, is late or answers with anything else blocks too."""
        for binding in self._index().get(name, ()):
            answer = await self._ask(binding, self._timeout_s, turn, *args, read=_judged)
            if isinstance(answer, Raised) and isinstance(answer.error, _NeitherYesNorNo):
                reason = f"The check {binding.label} gave an answer that is neither yes nor no."
                return Unchecked(reason, binding.plugin)
            if isinstance(answer, Raised):
                reason = short(f"The check {binding.label} did not work: {answer.sentence}")
                return Unchecked(reason, binding.plugin)
            if isinstance(answer.value, Block):
                return answer.value
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
        async def convert(result: Any) -> Json | Untrusted:
            return await json_result(result, binding.label)

        answer = await self._ask(binding, self._collect_timeout_s, turn, read=convert)
        return answer.value if isinstance(answer, Returned) else None

    async def _ask(
        self,
        binding: HookBinding,
        timeout_s: float,
        turn: TurnContext,
        *about: Any,
        read: Callable[[Any], Any],
        copies: Callable[[Any], Any] = own,
    ) -> Returned[Any] | Raised:
        """Call a hook with copies of the turn and of `about`.

        What `read` makes of its answer is a part of the call: an answer is foreign code as well, and one that cannot
        be read is the hook's failure.
        """

        async def ask() -> Any:
            seen = own(turn)
            args = (seen, *map(copies, about)) if binding.injects is None else (seen.text, seen)[: binding.injects]
            result = read(await invoke(binding.call, *args))
            return await result if isawaitable(result) else result

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


def _changed(name: str, value: Any, answer: Any) -> Any:
    """Return what a hook of a chain makes of `value`; raises TypeError for what is no answer."""
    if answer is None:
        return None
    if name in MAY_BLOCK and isinstance(answer, Block):
        return told_block(answer)
    if name in MAY_INTERCEPT and isinstance(answer, Intercept):
        return Intercept(answer.reply)
    return same_kind(answer, value)


class _NeitherYesNorNo(TypeError):
    """What a guard has answered is no answer."""


def _judged(answer: Any) -> Block | None:
    """Return what a guard says; raises TypeError for what is neither yes nor no."""
    if answer is None or isinstance(answer, Block):
        return None if answer is None else told_block(answer)
    raise _NeitherYesNorNo(f"answered with a {type(answer).__name__}, not a Block or None")


def _types(answer: Any) -> set[str] | None:
    """Return the types that a hook has left, None for all; raises TypeError for what is no list of specs."""
    if answer is None:
        return None
    if not isinstance(answer, Iterable) or isinstance(answer, str | bytes | dict):
        raise TypeError(f"answered with a {type(answer).__name__}, not a list of specs or None")
    specs = list(islice(answer, MOST_SPECS))
    if not all(type(spec) is ActionSpec and isinstance(spec.type, str) for spec in specs):
        raise TypeError("answered with a list in which not everything is a spec")
    return {spec.type for spec in specs}
