"""One action explained to a person: what it does, what it takes, how it is asked for, and who may. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from core.contracts.actions import ActionSpec, Permission
from core.contracts.json import Json, compact
from core.turn.catalogue_text import type_words
from core.turn.stages.read_command import usage

WHO = {
    Permission.ANYONE: "everybody who may write here, guests too",
    Permission.USER: "users and trainers",
    Permission.TRAINER: "trainers",
}
_WORDS = {"string": "text", "integer": "whole number", "boolean": "yes or no", "object": "JSON object"}


def explain_command(spec: ActionSpec) -> str:
    """Return what `/help NAME` tells of an action, as CommonMark."""
    said = f"`{usage(spec)}`" if spec.command else f"`{spec.type}` is asked for in words; it has no command."
    lines = [said, "", spec.description]
    if spec.fields:
        lines += ["", *(_field(spec, name, schema) for name, schema in spec.fields.items())]
    if spec.phrases:
        lines += ["", "For example:", "", *(f"- {phrase}" for phrase in spec.phrases)]
    return "\n".join([*lines, "", f"It may be used by {WHO[spec.permission]}, as far as no rule says otherwise."])


def _field(spec: ActionSpec, name: str, schema: Mapping[str, Json]) -> str:
    default = schema.get("default")
    needed = "needed" if name in spec.required else "optional"
    if default not in (None, "", [], {}) and name not in spec.required:
        needed = f"{compact(default)} unless given"
    description = schema.get("description", "")
    return f"- `{name}` ({_readable(type_words(schema))}; {needed})" + (f": {description}" if description else "")


def _readable(words: str) -> str:
    return re.sub(r"\b(string|integer|boolean|object)\b(?=$|[ |\]])", lambda found: _WORDS[found.group(1)], words)
