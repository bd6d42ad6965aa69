"""Envelopes to valid actions, or errors per index, by the catalogue's JSON Schemas. Pure."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from core.contracts.actions import ActionEnvelope
from core.contracts.steps import Catalogue, ParsedReply, Repair, ReplyError
from core.turn.reading.absent_fields import without_absent
from core.turn.reading.excerpt import excerpt
from core.turn.reading.places import path_text, quoted

_COMPLAINT_LIMIT = 300
_LONGEST_TYPE = 80
_NAMES_SHOWN = 5


def validate_actions(parsed: ParsedReply, catalogue: Catalogue) -> ParsedReply:
    """Return the reply with an error for each action that the catalogue does not know or whose schema it breaks.

    Places and earlier errors are kept, so it may be called again on its own result. `null` for an optional field is
    dropped before the schema is asked (see `without_absent`) and noted as a repair.
    """
    actions: list[ActionEnvelope | None] = []
    errors = list(parsed.errors)
    repairs = list(parsed.repairs)
    for index, envelope in enumerate(parsed.actions):
        if envelope is None:
            actions.append(None)
            continue
        entry = catalogue.get(envelope.type)
        if entry is None:
            errors.append(ReplyError(index=index, message=_unknown(envelope.type, catalogue)))
            actions.append(None)
            continue
        payload, dropped = without_absent(envelope.payload, entry.spec.schema)
        complaints = entry.complaints(payload)
        if complaints:
            errors.extend(
                ReplyError(index=index, message=f"{envelope.type}: {excerpt(complaint, _COMPLAINT_LIMIT)}")
                for complaint in complaints
            )
            actions.append(None)
            continue
        for path in dropped:
            place = path_text(("actions", index, "payload", *path))
            repairs.append(Repair(path=place, what="null for an optional field, taken as absent"))
        actions.append(replace(envelope, payload=payload) if dropped else envelope)
    errors.sort(key=lambda error: -1 if error.index is None else error.index)
    return ParsedReply(actions=tuple(actions), errors=tuple(errors), repairs=tuple(repairs))


def _unknown(type_: str, catalogue: Catalogue) -> str:
    """Say that an action does not exist, and which ones are called nearly so; only those the model may know of."""
    names = [name for name, entry in catalogue.items() if entry.spec.model]
    close = get_close_matches(type_, names, n=3) if len(type_) <= _LONGEST_TYPE else []
    if close:
        return f"There is no action {quoted(type_)}. Did you mean {' or '.join(close)}?"
    shown = ", ".join(sorted(names)[:_NAMES_SHOWN])
    known = f" Some that exist: {shown}." if shown else ""
    return f"There is no action {quoted(type_)}; take one of those that you were given.{known}"
