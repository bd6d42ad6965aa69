"""From written text to a value of the type that a field's schema asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from core.contracts.json import Json

MAX_DIGITS = 30

_INTEGER = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})++|\d++)")
_NUMBER = re.compile(r"[+-]?(?:\d++(?:\.\d++)?|\.\d++)")
_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty"
)
_INTEGERS_BY_WORD = {word: number for number, word in enumerate(_NUMBER_WORDS.split())}
_BOOLEANS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}

MISSING = object()
"""What `read` returns for a text that is no value of the type."""


class FieldType:
    """What values one field takes, from its JSON Schema; `$ref` and `anyOf` are followed."""

    def __init__(self, field: Mapping[str, Json], schema: Mapping[str, Json]) -> None:
        """field: the field's own schema. schema: the whole payload's, for its `$defs`."""
        self._choices = _choices(field, schema.get("$defs", {}))
        self.is_text = not self._choices or any(kind == "string" and not options for kind, options in self._choices)

    def read(self, text: str) -> Json:
        """Return the value that `text` means, or MISSING. Text is the last resort, where it is allowed at all."""
        for kind, options in self._choices:
            value = _one_of(options, text) if options else _READERS.get(kind, _none)(text)
            if value is not MISSING:
                return value
        return text if self.is_text else MISSING

    def describe(self) -> str:
        """Return in a word or two what may be written: "integer", "text", "yes or no", "low, high"."""
        names = [
            ", ".join(str(option) for option in options) if options else _NAMES.get(kind, kind)
            for kind, options in self._choices
            if kind != "null"
        ]
        return " or ".join(dict.fromkeys(names)) or "anything"


def _choices(field: Mapping[str, Json], definitions: Mapping[str, Json]) -> list[tuple[str, tuple[Json, ...]]]:
    """Return (type, allowed values) for each alternative of a field's schema, following one level at a time."""
    waiting, found = [field], []
    for _ in range(64):
        if not waiting:
            break
        node = waiting.pop(0)
        if not isinstance(node, Mapping):
            continue
        reference = node.get("$ref")
        if isinstance(reference, str):
            waiting.append(definitions.get(reference.rpartition("/")[2], {}))
        for key in ("anyOf", "oneOf", "allOf"):
            waiting += node.get(key, [])
        options = tuple(node["enum"]) if "enum" in node else (node["const"],) if "const" in node else ()
        kinds = node.get("type", "enum" if options else [])
        for kind in [kinds] if isinstance(kinds, str) else kinds:
            found.append((kind, options))
    return found


def _one_of(options: tuple[Json, ...], text: str) -> Json:
    wanted = " ".join(text.casefold().replace("_", " ").split())
    for option in options:
        if " ".join(str(option).casefold().replace("_", " ").split()) == wanted:
            return option
    return MISSING


def _integer(text: str) -> Json:
    text = text.strip()
    if len(text) <= MAX_DIGITS and _INTEGER.fullmatch(text):
        return int(text.replace(",", ""))
    return _INTEGERS_BY_WORD.get(text.casefold(), MISSING)


def _number(text: str) -> Json:
    whole = _integer(text)
    text = text.strip()
    if whole is MISSING and len(text) <= MAX_DIGITS and _NUMBER.fullmatch(text):
        return float(text)
    return whole


def _boolean(text: str) -> Json:
    return _BOOLEANS.get(text.strip().casefold(), MISSING)


def _json(kind: type) -> Callable[[str], Json]:
    def read(text: str) -> Json:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return MISSING
        return value if isinstance(value, kind) else MISSING

    return read


def _none(text: str) -> Json:
    return MISSING


_READERS: dict[str, Callable[[str], Json]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "array": _json(list),
    "object": _json(dict),
}
_NAMES = {"string": "text", "boolean": "yes or no", "array": "[…]", "object": "{…}"}
