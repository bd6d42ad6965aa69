"""Plugin files in a temporary home, and a registry that loads them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import cast

from core.contracts.json import Json
from core.contracts.services import PluginContext, Services
from core.registry.component import Component
from core.registry.components import Registry
from core.registry.discovery import Found, discover
from core.services.foreign import ForeignCalls
from tests.support.plugin_context import FakePluginContext, ManualClock

CONTRACT_PLUGIN = """
from core.ai_plugin_base import AIPluginBase
from core.core_initializer import core_initializer, register_plugin

class Dice(AIPluginBase):
    def __init__(self):
        register_plugin("dice", self)
        core_initializer.register_plugin("dice")

    @staticmethod
    def get_supported_action_types():
        return ["roll"]

    def get_supported_actions(self):
        return {"roll": {"description": "Roll a die.", "required_fields": ["sides"], "optional_fields": ["count"]}}

    def get_prompt_instructions(self, action_name):
        return {
            "description": "Roll a die.",
            "payload": {
                "sides": {"type": "int", "description": "How many sides."},
                "count": {"type": "integer", "description": "How many dice."},
            },
        }

    def validate_payload(self, action_type, payload):
        return [] if payload["sides"] > 1 else ["sides must be more than one."]

    async def handle_custom_action(self, action_type, payload):
        return f"{action_type} {payload['sides']}"

PLUGIN_CLASS = Dice
"""
"""A plugin written against the five methods, as the documentation shows it."""


def plugin_source(action: str, *, body: str = "", keywords: str = "", head: str = "") -> str:
    """Return the source of a plugin with one action that answers "done". `body`: more lines of the class."""
    source = (
        "from core.ai_plugin_base import AIPluginBase, action, hook\n"
        f"{dedent(head)}\n"
        "class Plugin(AIPluginBase):\n"
        f'    @action(effect="read"{keywords})\n'
        f"    async def {action}(self) -> str:\n"
        f'        """Do {action}."""\n'
        '        return "done"\n'
    )
    indented = "".join(f"    {line}\n" for line in dedent(body).strip("\n").splitlines())
    return f"{source}{indented}\nPLUGIN_CLASS = Plugin\n"


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write files by their path below `folder`, and return it."""
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True)
class Table:
    """What the settings say of one component."""

    values: Mapping[str, Json] = field(default_factory=dict)
    error: str = ""
    enabled: bool = True
    priority: int | None = None
    events: Mapping[str, Json] = field(default_factory=dict)
    isolation: str | None = None


@dataclass(slots=True, kw_only=True)
class ContextWithServices(FakePluginContext):
    """A context that has services."""

    offers: Services

    @property
    def services(self) -> Services:
        return self.offers


def make_registry(
    tables: Mapping[str, Table] | None = None,
    *,
    release: Callable[[str, str], Awaitable[None]] | None = None,
    on_change: Callable[[Component], None] | None = None,
    timeout_s: float = 5.0,
    load_timeout_s: float = 5.0,
) -> Registry:
    """Return a registry whose settings are `tables`, by component name."""
    registry = Registry(
        foreign=ForeignCalls(),
        clock=ManualClock(),
        make_context=lambda kind, name: cast(
            PluginContext, ContextWithServices(name=name, offers=registry.services.view(name))
        ),
        config_for=lambda kind, name: (tables or {}).get(name, Table()),
        release_context=release,
        on_change=on_change,
        load_timeout_s=load_timeout_s,
        start_timeout_s=timeout_s,
        stop_timeout_s=timeout_s,
    )
    return registry


def found_in(folder: Path, *, objects: Iterable[object] = ()) -> list[Found]:
    """Return what is found below `folder`, in no other place."""
    return [one for one in discover("plugin", builtin=folder, objects=objects) if "entry point" not in one.source]


async def loaded(
    folder: Path,
    files: Mapping[str, str],
    tables: Mapping[str, Table] | None = None,
    *,
    start: bool = True,
    timeout_s: float = 5.0,
    load_timeout_s: float = 5.0,
) -> Registry:
    """Write the files, load what they are, and start it."""
    registry = make_registry(tables, timeout_s=timeout_s, load_timeout_s=load_timeout_s)
    await registry.load("plugin", found_in(write_files(folder, files)))
    if start:
        await registry.start_plugins()
    return registry


def component(registry: Registry, name: str) -> Component:
    """Return a plugin's record; it must be there."""
    found = registry.get("plugin", name)
    assert found is not None, [c.name for c in registry.components()]
    return found


def states(registry: Registry) -> dict[str, str]:
    """Return the state of each plugin by name; of two with one name, the later."""
    return {c.name: c.state.value for c in registry.components("plugin")}
