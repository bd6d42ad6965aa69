"""Whether a reply can have come from a server that enforces the schema; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from core.contracts.json import Json


def could_be_enforced(text: str, schema: Mapping[str, Json]) -> bool:
    """Tell whether `text` has the outline of `schema`: only "actions", each with exactly the fields of its type.

    Enough to notice a server that takes the schema and ignores it: its model has seen no field descriptions and has
    to guess their names. The values are validated elsewhere.
    """
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if not isinstance(reply, dict) or reply.keys() != {"actions"} or not isinstance(reply["actions"], list):
        return False
    fields = _fields_by_type(schema)
    return all(
        isinstance(action, dict)
        and action.keys() == {"type", "payload"}
        and isinstance(action["type"], str)
        and isinstance(action["payload"], dict)
        and action["payload"].keys() == fields.get(action["type"])
        for action in reply["actions"]
    )


def _fields_by_type(schema: Mapping[str, Json]) -> dict[str, set[str]]:
    variants = schema["properties"]["actions"]["items"]["anyOf"]
    return {
        variant["properties"]["type"]["enum"][0]: set(variant["properties"]["payload"]["required"])
        for variant in variants
    }
