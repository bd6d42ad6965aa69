"""The catalogue of actions, in generations: what is active at one time, pinned by a step."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from core.ai_plugin_base import AIPluginBase, current_action
from core.contracts.actions import ActionContext, ActionSpec, Untrusted
from core.contracts.errors import ActionFailed
from core.contracts.json import Json, JsonObject
from core.declarations import DeclaredAction
from core.registry.complaints import MAX_COMPLAINTS, PayloadValidator
from core.registry.declared_specs import declared_specs
from core.services.json_results import json_result
from core.services.sync_or_async import invoke


class CatalogueEntry:
    """One action: its declaration, its compiled schema and its handler.

    `run` and `check` call foreign code and raise what it raises: call them with a deadline, through ForeignCalls.
    withdrawn: why it cannot be run any more, since its plugin was taken out of use; "" while it can.
    """

    __slots__ = ("_converts", "_handle", "_validate", "_validator", "spec", "withdrawn")

    def __init__(self, spec: ActionSpec, plugin: Any) -> None:
        self.spec = spec
        self.withdrawn = ""
        self._validator = PayloadValidator(spec.schema)
        self._handle = plugin.handle_custom_action
        self._validate = _own(plugin, "validate_payload")
        self._converts: DeclaredAction | None = None
        if isinstance(plugin, AIPluginBase) and _own(plugin, "handle_custom_action") is None:
            self._converts = plugin.declared_actions().get(spec.type)

    def __repr__(self) -> str:
        return f"<{self.spec.plugin}.{self.spec.type}>"

    def complaints(self, payload: JsonObject) -> list[str]:
        """Return what the action's JSON Schema says against a payload, a sentence each, at most five."""
        return self._validator.complaints(payload)

    async def check(self, payload: JsonObject) -> list[str]:
        """Return what the plugin itself says against a payload that its schema has accepted."""
        if self.withdrawn:
            return []  # it is told when it is to run: what cannot be mended is nothing for a correction
        if self._converts is not None:
            try:
                self._converts.convert(payload)
            except ValidationError as error:
                return [_sentence(details) for details in error.errors(include_url=False)][:MAX_COMPLAINTS]
        if self._validate is None:
            return []
        said = await invoke(self._validate, self.spec.type, copy.deepcopy(payload))
        if not said:
            return []
        if not isinstance(said, list | tuple) or not all(isinstance(sentence, str) for sentence in said):
            raise TypeError(f"{self.spec.plugin}.validate_payload returned {said!r:.100}, not a list of sentences")
        return [str.__str__(sentence) for sentence in said[:MAX_COMPLAINTS]]

    async def run(self, ctx: ActionContext, payload: JsonObject) -> Json | Untrusted:
        """Run the handler on a validated payload and return its result as JSON, or as Untrusted.

        Raises what the handler raises, and ActionFailed for a result that cannot be said in JSON, or when the
        plugin was taken out of use since this step began.
        """
        if self.withdrawn:
            raise ActionFailed(self.withdrawn)
        token = current_action.set(ctx)
        try:
            # A copy: what a handler does to its payload must not change what is recorded.
            result = await invoke(self._handle, self.spec.type, copy.deepcopy(payload))
        finally:
            current_action.reset(token)
        return await json_result(result, f"{self.spec.plugin}.{self.spec.type}")


class Generation(Mapping[str, CatalogueEntry]):
    """The active actions by type; it never changes.

    commands: by slash command. for_model: without those that a model cannot ask for, whoever is talking to it.
    """

    __slots__ = ("_entries", "commands", "for_model", "number")

    def __init__(self, number: int = 0, entries: Iterable[CatalogueEntry] = ()) -> None:
        self.number = number
        self._entries = {entry.spec.type: entry for entry in entries}
        self.commands: Mapping[str, CatalogueEntry] = MappingProxyType(
            {entry.spec.command: entry for entry in self._entries.values() if entry.spec.command}
        )
        self.for_model: Mapping[str, CatalogueEntry] = MappingProxyType(
            {type_: entry for type_, entry in self._entries.items() if entry.spec.model}
        )

    def __getitem__(self, type_: str) -> CatalogueEntry:
        return self._entries[type_]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def build_entries(name: str, plugin: object) -> list[CatalogueEntry]:
    """Return the entries of a plugin's actions; `plugin` has the five methods. Raises DeclarationError."""
    return [CatalogueEntry(spec, plugin) for spec in declared_specs(name, plugin)]


def _own(plugin: object, method: str) -> Any:
    """Return a method where the plugin has its own, None where it has the base class's or none."""
    function = getattr(plugin, method, None)
    inherited = getattr(AIPluginBase, method)
    return None if getattr(function, "__func__", function) is inherited else function


def _sentence(details: Mapping[str, Any]) -> str:
    place = ".".join(str(step) for step in details["loc"])
    said = str(details["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{place}: {said}." if place else f"{said}."
