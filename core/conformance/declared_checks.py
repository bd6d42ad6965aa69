"""Checks of what a plugin declares: its actions, their fields, phrases and configuration."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from pydantic import BaseModel

from core.conformance.findings import Findings
from core.conformance.sample_payload import NoSample, sample_value
from core.contracts.actions import MESSAGE_ACTION, ActionSpec
from core.contracts.engine import EngineRequest, PromptMessage, Source
from core.engine_base import EngineBase
from core.turn.catalogue_text import whole_text
from core.turn.stages.response_schema import response_schema

MOST_PROMPT_BYTES = 4096
"""What one plugin may add to every prompt before that is warned about."""

_SECRET = re.compile(r"(?:^|_)(?:token|api_?key|key|password|passwd|secret)s?(?:$|_)", re.IGNORECASE)
_FIELD = re.compile(r"\{([^{}]*)\}")
_PROMPT_SECONDS = 5.0


def check_schemas(specs: Sequence[ActionSpec], found: Findings) -> None:
    """Every payload schema can be enforced by a server that does so strictly."""
    for spec in specs:
        if spec.model and response_schema([spec]) is None:
            found.warn(
                "schema",
                f"{spec.type}: its payload cannot be said in a strict JSON Schema, so no server can enforce the "
                "format of any reply while it is in the catalogue.",
                "Give every field a type; no free-form objects, tuples or types that contain themselves.",
            )
    found.ok("schema", f"{len(specs)} payload schemas are valid and strict.")


def check_size(specs: Sequence[ActionSpec], found: Findings) -> None:
    """The plugin takes little of the prompt."""
    shown = [spec for spec in specs if spec.model]
    size = sum(len(whole_text(spec).encode()) + 1 for spec in shown)
    if size > MOST_PROMPT_BYTES:
        largest = max(shown, key=lambda spec: len(whole_text(spec)))
        found.warn(
            "prompt size",
            f"It adds {size} bytes to every prompt, most of them for {largest.type}; {MOST_PROMPT_BYTES} is a lot.",
            "Shorten descriptions, or keep what only people type from the model with model=False.",
        )
    found.ok("prompt size", f"It adds {size} bytes to every prompt.")


def check_effects(declarations: Mapping[str, Any], found: Findings) -> None:
    """Every action says what it touches."""
    for type_, declaration in declarations.items():
        if isinstance(declaration, Mapping) and "effect" not in declaration:
            found.warn(
                "effects",
                f"{type_} does not say its effect: it counts as external, which is never repeated.",
                'Say "effect": "read", "local" or "external" in get_supported_actions.',
            )
    found.ok("effects", "Every action says its effect.")


def check_descriptions(specs: Sequence[ActionSpec], found: Findings) -> None:
    """Every field says what it is."""
    for spec in specs:
        told = set(re.findall(r"\w+", spec.description.lower()))
        silent = [n for n, schema in spec.fields.items() if n.lower() not in told and not _described(schema, spec)]
        if silent and spec.model:
            found.warn(
                "descriptions",
                f"{spec.type}: no description of {', '.join(silent)}; the model has the name alone.",
                'Annotated[int, Field(description="how many")], or "description" in get_prompt_instructions.',
            )
    found.ok("descriptions", "Every action and every field has a description.")


def _described(schema: Mapping[str, Any], spec: ActionSpec) -> bool:
    """Tell whether a field is explained: by itself, by the only values that it can have, or where the action is."""
    options = [schema, *schema.get("anyOf", ())]
    definitions = spec.schema.get("$defs", {})
    options += [definitions.get(o["$ref"].rpartition("/")[2], {}) for o in options if "$ref" in o]
    return any(o.get("description") or "enum" in o or "const" in o for o in options)


async def check_phrases(
    specs: Sequence[ActionSpec], others: Sequence[ActionSpec], engine: EngineBase | None, found: Findings
) -> None:
    """The offline engine understands every phrase as the action that declares it. others: of what comes along."""
    if engine is None:
        return
    count = 0
    for spec in specs:
        for phrase in spec.phrases:
            try:
                said = _said(phrase, spec)
            except NoSample:
                continue  # nothing can be made up that would have to be understood
            count += 1
            answer = await _answer(engine, said, (*others, *specs))
            if answer == spec.type:
                continue
            if answer in {one.type for one in others} - {MESSAGE_ACTION}:
                what = f"is understood as {answer}, another plugin's action"
                cure = "Say it in words of this plugin's own."
            else:
                what = "is not understood by the offline engine"
                cure = "Leave more fixed words between the fields, or drop the phrase."
            found.fail("phrases", f"{spec.type}: {phrase!r} (said as {said!r}) {what}.", cure)
    found.ok("phrases", f"{count} phrases are understood." if count else "There are no phrases.")


def _said(phrase: str, spec: ActionSpec) -> str:
    """Return what somebody would say, an example in the place of each field."""
    definitions = spec.schema.get("$defs", {})

    def example(match: re.Match[str]) -> str:
        value = sample_value(spec.fields[match[1]], definitions)
        if isinstance(value, list):
            value = value[0] if value else "example"
        return str(value).lower() if isinstance(value, bool) else str(value)

    return _FIELD.sub(example, phrase)


async def _answer(engine: EngineBase, said: str, specs: Sequence[ActionSpec]) -> str:
    request = EngineRequest(
        instructions="",
        catalogue="",
        catalogue_brief="",
        messages=(PromptMessage(role="user", content=said, source=Source.PRINCIPAL),),
        actions=tuple(specs),
    )
    async with asyncio.timeout(_PROMPT_SECONDS):
        reply = await engine.complete(request)
    return str(json.loads(reply.text)["actions"][0]["type"])


def check_secrets(config: type[BaseModel] | None, found: Findings) -> None:
    """What is secret by its name is a SecretStr."""
    if config is not None:
        for name, field in config.model_fields.items():
            if _SECRET.search(name) and (field.annotation is str or str in get_args(field.annotation)):
                found.warn(
                    "secrets",
                    f"Config.{name} is a plain str: logs and `rekku doctor` could show it.",
                    f"Write {name}: SecretStr | None = None; read it with .get_secret_value().",
                )
    found.ok("secrets", "No setting that sounds like a secret is a plain text.")
