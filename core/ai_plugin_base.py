"""The base of every plugin, and the decorators of the short way."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from enum import StrEnum
from functools import partial
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel

from core.contracts.actions import ActionContext, DisplayHints, Effect, Permission, Untrusted
from core.contracts.deliveries import Health
from core.contracts.errors import ActionFailed, DeclarationError, RetryAction
from core.contracts.events import Drop, Event, EventCondition, Reject, Stop
from core.contracts.hooks import HOOKS, Block, Intercept, TurnContext
from core.contracts.inputs import Principal
from core.contracts.json import Json, JsonObject
from core.contracts.services import PluginContext
from core.contracts.slots import CommandGroup
from core.contracts.strategies import STRATEGY_TIMEOUT_S, StepPlan
from core.declarations import (
    SHORTEST_INTERVAL_S,
    ActionMark,
    DeclaredAction,
    EventMark,
    EveryMark,
    HookMark,
    StrategyMark,
    declare_action,
    marked_methods,
    named,
)
from core.decorator_arguments import mistake, tells_mistakes
from core.event_conditions import always, regex, wake_word
from core.near_names import suggestion
from core.own_thread import in_own_thread

__all__ = [
    "AIPluginBase",
    "ActionContext",
    "ActionFailed",
    "Block",
    "Drop",
    "Event",
    "Intercept",
    "Reject",
    "RetryAction",
    "StepPlan",
    "Stop",
    "TurnContext",
    "Untrusted",
    "action",
    "always",
    "current_action",
    "every",
    "hook",
    "on",
    "regex",
    "strategy",
    "wake_word",
]

F = TypeVar("F", bound=Callable[..., Any])
W = TypeVar("W", bound=StrEnum)

current_action: ContextVar[ActionContext] = ContextVar("rekku_current_action")
"""The context of the action that is running; the core sets it around every handler."""


@tells_mistakes
def action(
    *,
    effect: str,
    name: str | None = None,
    permission: str = "user",
    timeout_s: float = 60.0,
    returns_output: bool | None = None,
    reads_outside: bool | None = None,
    repeatable: bool | None = None,
    command: str = "",
    model: bool = True,
    passes_lanes: bool = False,
    destination_field: str = "",
    plants: bool = False,
    compensation: str = "",
    phrases: Iterable[str] = (),
    display: DisplayHints | None = None,
) -> Callable[[F], F]:
    """Declare a method as an action.

    effect: "read", "local" or "external". permission: "anyone", "user" or "trainer". timeout_s: seconds.
    The name, the description, the payload's schema and `returns_output` come from the method's name, docstring and
    annotations. The other arguments are the fields of `ActionSpec`. Raises DeclarationError for unknown words.
    """
    said = tuple(phrases)

    def decorate(function: F) -> F:
        function._rekku_action = ActionMark(  # type: ignore[attr-defined]
            name=name,
            effect=_word(function, "effect", effect, Effect),
            permission=_word(function, "permission", permission, Permission),
            timeout_s=timeout_s,
            returns_output=returns_output,
            reads_outside=reads_outside,
            repeatable=repeatable,
            command=command,
            model=model,
            passes_lanes=passes_lanes,
            destination_field=destination_field,
            plants=plants,
            compensation=compensation,
            phrases=said,
            display=display or DisplayHints(),
        )
        return function

    return decorate


@tells_mistakes
def hook(name: str, priority: int = 100) -> Callable[[F], F]:
    """Declare a method as a turn hook; lower priorities run first. Raises DeclarationError for unknown names."""
    if not isinstance(name, str):
        raise mistake(name, "@hook is used without the name of a hook", 'Write @hook("gather_context"), say.')

    def decorate(function: F) -> F:
        if name not in HOOKS:
            raise mistake(function, f"@hook({name!r}): there is no such hook", suggestion(name, HOOKS))
        function._rekku_hook = HookMark(name=name, priority=priority)  # type: ignore[attr-defined]
        return function

    return decorate


@tells_mistakes
def on(
    pattern: str,
    *,
    when: EventCondition = always,
    stage: str = "handle",
    priority: int = 100,
    timeout_s: float = 5.0,
) -> Callable[[F], F]:
    """Declare a method as a handler of events; it is called with the `Event` while its plugin is in use.

    pattern: a name, or one with `*` for a segment, or `**` at its end for all the rest. when: `always`,
    `wake_word(...)`, `regex(...)` or a function of the event. stage: "validate" (may answer Reject), "filter" (may
    answer Drop or the data anew) or "handle" (may answer Stop). Lower priorities are called first. timeout_s:
    seconds. A method may have several. Mistakes are errors of the plugin's load.
    """
    if callable(pattern):
        raise mistake(pattern, "@on is used without a pattern", 'Write @on("turn.completed"), say.')
    mark = EventMark(pattern=pattern, when=when, stage=stage, priority=priority, timeout_s=timeout_s)

    def decorate(function: F) -> F:
        # Decorators run from the last line up; the order of the source is what people see.
        function._rekku_events = (mark, *getattr(function, "_rekku_events", ()))  # type: ignore[attr-defined]
        return function

    return decorate


@tells_mistakes
def every(
    *,
    hours: float = 0,
    minutes: float = 0,
    seconds: float = 0,
    cron: str = "",
    late: str = "run",
    timeout_s: float = 60.0,
) -> Callable[[F], F]:
    """Declare a method as a periodic job: every so long from the plugin's start on, or by a crontab line.

    cron: five fields, in the installation's zone, such as "0 7 * * *". late: what becomes of a run that could not
    begin in time because the process was busy or the machine slept: "run" makes up for it once, "skip" leaves it
    out. A run that would begin while the last one goes on is left out, and what fell due while Rekku was down is not
    made up for. timeout_s: seconds that a run may take. Raises DeclarationError for what is no interval; a second is
    the shortest.
    """
    length_s = hours * 3600 + minutes * 60 + seconds
    mark = EveryMark(seconds=length_s, cron=cron, skip_late=late == "skip", timeout_s=timeout_s)

    def decorate(function: F) -> F:
        if (length_s > 0) == bool(cron) or length_s < 0 or (cron and len(cron.split()) != 5):
            raise mistake(function, "@every says no interval", 'Write @every(minutes=30) or cron="0 7 * * *".')
        if not cron and not SHORTEST_INTERVAL_S <= length_s < math.inf:
            raise mistake(function, f"@every: {length_s:g} s is no interval", "Write one second at the least.")
        if late not in ("run", "skip"):
            raise mistake(function, f"@every: late is {late!r}", 'Write late="run" or late="skip".')
        function._rekku_every = mark  # type: ignore[attr-defined]
        return function

    return decorate


@tells_mistakes
def strategy(name: str, *, timeout_s: float = STRATEGY_TIMEOUT_S) -> Callable[[F], F]:
    """Declare a method `(turn, steps) -> StepPlan | None` as a turn strategy that `/strategy NAME` chooses.

    It is asked before each step with the `TurnContext` and the steps that were taken, a tuple of `Step`, and answers
    how the next one is to be taken; None: as without a strategy. It may be asked the same again after a crash, so it
    should decide by what it is given alone. When it raises, or takes longer than `timeout_s` seconds, the turn goes
    on without it. Raises DeclarationError for what is no name: lower-case letters, digits and _, 40 at most.
    """
    mark = StrategyMark(name=name, timeout_s=timeout_s)

    def decorate(function: F) -> F:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", name) or name == "default":
            cure = 'Use lower-case letters, digits and _, a letter first; "default" is what there is without one.'
            raise mistake(function, f"@strategy({name!r}): this cannot be the name of a strategy", cure)
        function._rekku_strategy = mark  # type: ignore[attr-defined]
        return function

    return decorate


class AIPluginBase:
    """A capability: one module that exports `PLUGIN_CLASS`, constructed without arguments.

    Either decorate methods with `@action`, or define the five methods below as they are documented here.
    `context` and `config` are set before `start`.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    """Names of plugins that must have started before this one."""

    start_timeout_s: ClassVar[float] = 30.0
    """Seconds that `start` may take, at most 600."""

    isolation: ClassVar[str] = ""
    """"process" runs the plugin in a process of its own; see docs/plugins/isolation.md. Write it as a plain text."""

    context: PluginContext
    config: Any

    class Config(BaseModel):
        """The keys of `[plugins.NAME]` in rekku.toml."""

    @classmethod
    def declared_actions(cls) -> Mapping[str, DeclaredAction]:
        """Return the actions of the decorated methods by type, read once a class; raises DeclarationError."""
        cached: dict[str, DeclaredAction] | None = cls.__dict__.get("_rekku_declared")
        if cached is None:
            cached = {}
            for method_name, function, mark in marked_methods(cls, "_rekku_action"):
                declared = declare_action(cls.__name__, method_name, function, mark)
                if declared.type in cached:
                    raise DeclarationError(
                        f"{named(f'{cls.__name__}.{method_name}', function)}: "
                        f"the action {declared.type} is declared twice in this plugin.",
                        cure="Give one of them another name: @action(name=…).",
                    )
                cached[declared.type] = declared
            cls._rekku_declared = cached  # type: ignore[attr-defined]
        return cached

    @classmethod
    def declared_hooks(cls) -> list[tuple[str, HookMark]]:
        """Return the names of the methods decorated with `@hook`, in the order of the source."""
        return [(name, mark) for name, _, mark in marked_methods(cls, "_rekku_hook")]

    @classmethod
    def declared_jobs(cls) -> list[tuple[str, EveryMark]]:
        """Return the names of the methods decorated with `@every`, in the order of the source."""
        return [(name, mark) for name, _, mark in marked_methods(cls, "_rekku_every")]

    def get_supported_action_types(self) -> list[str]:
        """Return the types of this plugin's actions."""
        return list(self.get_supported_actions())

    def get_supported_actions(self) -> dict[str, JsonObject]:
        """Return `{type: {"description", "required_fields", "optional_fields", …}}`.

        It may also say "schema" (JSON Schema of the payload, whole), "permission" ("user"), "effect" ("external"),
        "timeout_s" (60), "returns_output" (True), "repeatable", "command", and the other fields of `ActionSpec`.
        """
        return {type_: dict(declared.declaration) for type_, declared in self.declared_actions().items()}

    def get_prompt_instructions(self, action_name: str) -> JsonObject:
        """Return `{"description", "payload": {field: {"type", "description"}}}`."""
        declaration = self.declared_actions()[action_name].declaration
        fields = declaration["schema"]["properties"]
        payload = {name: {k: s[k] for k in ("type", "description") if k in s} for name, s in fields.items()}
        return {"description": declaration["description"], "payload": payload}

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        """Check what the schema cannot say; return sentences, none when the payload is valid."""
        return []

    async def handle_custom_action(self, action_type: str, payload: JsonObject) -> Json:
        """Run an action and return its result, shown to the model; None: nothing to show.

        Raises ActionFailed to fail with a reason. `current_action.get()` is the action's context.
        """
        declared = self.declared_actions()[action_type]
        method = getattr(self, declared.method)
        arguments = declared.convert(payload)
        if declared.takes_context:
            arguments["ctx"] = current_action.get()
        if inspect.iscoroutinefunction(method):
            return await method(**arguments)
        return await in_own_thread(partial(method, **arguments), f"action {action_type}")

    async def start(self) -> None:
        """Get ready; what was taken here is given back in `stop`."""

    async def stop(self) -> None:
        """Give back what `start` took."""

    async def health(self) -> Health:
        """Tell whether the plugin works; asked every 30 seconds, within 5 seconds.

        After two answers in a row that are not ok (or late, or an error) the plugin is not called; it is stopped and
        started again, after longer and longer pauses, until it is well.
        """
        return Health(ok=True)

    async def examine(self) -> Health | None:
        """Tell, without being started, whether a start would work and what is to be known of it; None: no more.

        `rekku doctor` asks, with a context whose directory and database are empty and are thrown away. Nothing may
        be left behind. An error that is raised is why a start would fail.
        """
        return None

    def command_groups(self) -> Sequence[CommandGroup]:
        """Return commands of the plugin's own, `rekku NAME …`; asked when it is loaded, with its configuration.

        They run in a process of their own, beside whatever serves, with the plugin's context and without a start.
        """
        return ()

    async def export_person(self, principal: Principal) -> Json:
        """Return what the plugin itself keeps of a person, as JSON; None: nothing.

        `rekku people export` asks in a process of its own, with the plugin's context and without a start. It must
        hold nothing of anybody else, and nothing may be written.
        """
        return None

    async def erase_person(self, principal: Principal) -> int:
        """Delete what the plugin itself keeps of a person; return how many rows, values or files that were.

        `rekku people erase` asks likewise. To be asked again must do no harm.
        """
        return 0


def _word(function: object, key: str, word: str, words: type[W]) -> W:
    try:
        return words(word)
    except ValueError:
        raise mistake(
            function, f"@action({key}={word!r}): there is no such {key}", suggestion(str(word), words)
        ) from None
