"""A typed slash command to an action: `/roll 20`, `/roll sides=20 count=2`, `/remind in 10 minutes to stretch`. Pure.

Words fill the payload's fields in the order in which they were declared; `field=value` names one; the last field,
when it is a text, takes the rest of the line as it stands.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.json import Json, JsonObject

COMMAND = re.compile(r"/([a-z0-9_]{1,32})(?:@\w+)?(?=\s|\Z)", re.IGNORECASE)


class CommandEntry(Protocol):
    """What is needed of a command: the action that it stands for."""

    @property
    def spec(self) -> ActionSpec: ...


@dataclass(frozen=True, slots=True)
class CommandError:
    """Why a command cannot be read, for the one who typed it."""

    sentence: str


def command_name(text: str) -> str:
    """Return the name of the command that a text is, in lower case, or "" when it is none."""
    found = COMMAND.match(text)
    return found.group(1).lower() if found else ""


def read_command(text: str, commands: Mapping[str, CommandEntry]) -> ActionEnvelope | CommandError:
    """Return the action that a command asks for; its payload is still to be validated."""
    found = COMMAND.match(text)
    if found is None:
        return CommandError("This is no command. Commands look like /help.")
    name = found.group(1).lower()
    entry = commands.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, commands, n=1)
        hint = f" Did you mean /{near[0]}?" if near else ""
        return CommandError(f"There is no command /{name}.{hint} /help lists all.")
    spec = entry.spec
    payload = _payload(text[found.end() :].strip(), spec)
    if isinstance(payload, CommandError):
        return payload
    missing = [field for field in spec.required if field not in payload]
    if missing:
        return CommandError(f"/{name} needs {' and '.join(missing)}. Write {usage(spec)}")
    return ActionEnvelope(type=spec.type, payload=payload)


def usage(spec: ActionSpec) -> str:
    """Return how a command is written, such as `/roll [sides] [count]`."""
    fields = (name if name in spec.required else f"[{name}]" for name in spec.fields)
    return " ".join([f"/{spec.command}", *fields])


_WORD = re.compile(r"""\s*(?:(\w+)=)?("(?:[^"\\]|\\.)*"|'[^']*'|\S+)""")


def _payload(rest: str, spec: ActionSpec) -> JsonObject | CommandError:
    fields = dict(spec.fields)
    payload: JsonObject = {}
    position = 0
    while position < len(rest):
        free = [name for name in fields if name not in payload]
        if len(free) == 1 and _is_text(fields[free[0]]) and not _names_field(rest[position:], fields):
            payload[free[0]] = _unquoted(rest[position:].strip())
            break
        word = _WORD.match(rest, position)
        if word is None:
            break
        name, value = word.group(1), word.group(2)
        if name not in fields:
            name, value = (free[0] if free else ""), word.group(0).strip()
        if not name:
            return CommandError(f"/{spec.command} does not take {value[:60]!r}. Write {usage(spec)}")
        if name in payload:
            return CommandError(f"/{spec.command}: {name} is given twice.")
        payload[name] = _value(_unquoted(value), fields[name])
        position = word.end()
    return payload


def _names_field(rest: str, fields: Mapping[str, Json]) -> bool:
    word = _WORD.match(rest)
    return word is not None and word.group(1) in fields


def _unquoted(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        inner = value[1:-1]
        return re.sub(r"\\(.)", r"\1", inner) if value[0] == '"' else inner
    return value


def _types(schema: Mapping[str, Json]) -> set[str]:
    options = schema.get("anyOf", [schema])
    types: set[str] = set()
    for option in options:
        declared = option.get("type", "string")
        types |= set(declared if isinstance(declared, list) else [declared])
    return types


def _is_text(schema: Mapping[str, Json]) -> bool:
    return "string" in _types(schema)


def _value(text: str, schema: Mapping[str, Json]) -> Json:
    """Return the text as the type that its field has; what does not fit stays text, and validation says why."""
    types = _types(schema)
    if "integer" in types and re.fullmatch(r"[+-]?\d{1,18}", text):
        return int(text)
    if "number" in types and re.fullmatch(r"[+-]?\d{1,18}(\.\d{1,18})?", text):
        return float(text)
    if "boolean" in types and text.lower() in ("true", "false", "yes", "no", "on", "off"):
        return text.lower() in ("true", "yes", "on")
    if types & {"array", "object"} and text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text
