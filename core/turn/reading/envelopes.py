"""From a value that was read to action envelopes: the shapes of a reply, and an error where one does not fit."""

from __future__ import annotations

from dataclasses import dataclass

from core.contracts.actions import MAX_ACTIONS_PER_REPLY, MESSAGE_ACTION, ActionEnvelope
from core.contracts.json import Json
from core.contracts.steps import ParsedReply, Repair, ReplyError
from core.turn.reading.excerpt import has_half_character
from core.turn.reading.lenient_json import Fault
from core.turn.reading.places import Path, path_text, quoted

REPLY_FORM = '{"actions": [{"type": "…", "payload": {…}}]}'
PLAIN_TEXT = Repair(path="$", what="plain text, taken as a message")
"""Stands among the repairs of a reply in which no action could be seen."""

_PAYLOAD_CURE = 'what belongs to the action goes into "payload"'


def refused(message: str) -> ParsedReply:
    """Return the reply that cannot be used as a whole; `message` says what to send."""
    return ParsedReply(errors=(ReplyError(index=None, message=message),))


def plain_message(text: str, repairs: tuple[Repair, ...] = ()) -> ParsedReply:
    """Return the one message to the current chat that a plain text is."""
    envelope = ActionEnvelope(type=MESSAGE_ACTION, payload={"text": text})
    return ParsedReply(actions=(envelope,), repairs=(*repairs, PLAIN_TEXT))


def is_plain_text(parsed: ParsedReply) -> bool:
    """Whether a reply was plain text and no JSON."""
    return PLAIN_TEXT in parsed.repairs


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """The items that should be actions, and the path of the list, or of the single action."""

    items: list[Json]
    path: Path
    single: bool = False

    def path_of(self, index: int) -> Path:
        return self.path if self.single else (*self.path, index)

    def index_of(self, path: Path) -> int | None:
        """Return which action a path belongs to, None where it is the reply as a whole."""
        if self.single:
            return 0
        depth = len(self.path)
        inside = len(path) > depth and path[:depth] == self.path
        index = path[depth] if inside else None
        return index if isinstance(index, int) else None


def envelopes(value: Json, *, faults: tuple[Fault, ...] = (), half_characters: bool = False) -> ParsedReply:
    """Return the actions of a value in which `type` or `actions` was seen, with errors where they do not fit.

    faults: what was found while reading. half_characters: whether a lone surrogate may be in the value.
    """
    shape = _shape(value)
    if isinstance(shape, str):
        return refused(shape)
    if len(shape.items) > MAX_ACTIONS_PER_REPLY:
        return refused(
            f"The reply holds {len(shape.items)} actions and {MAX_ACTIONS_PER_REPLY} are the most; send the first "
            "ones now, the others can follow when you have seen the outcomes."
        )
    if half_characters:
        faults = (*faults, *_half_characters(value))
    errors = [ReplyError(index=shape.index_of(fault.path), message=_sentence(fault)) for fault in faults]
    if any(error.index is None for error in errors):
        return ParsedReply(errors=tuple(ReplyError(index=None, message=error.message) for error in errors))
    repairs: list[Repair] = []
    actions: list[ActionEnvelope | None] = []
    broken = {error.index for error in errors}
    for index, item in enumerate(shape.items):
        path = shape.path_of(index)
        complaints = _complaints(item, path)
        errors.extend(ReplyError(index=index, message=complaint) for complaint in complaints)
        if complaints or index in broken:
            actions.append(None)
            continue
        payload = item.get("payload")
        if payload is None:
            repairs.append(Repair(path=path_text((*path, "payload")), what="no payload, taken as {}"))
        actions.append(ActionEnvelope(type=item["type"], payload={} if payload is None else payload))
    errors.sort(key=lambda error: error.index or 0)
    return ParsedReply(actions=tuple(actions), errors=tuple(errors), repairs=tuple(repairs))


def _shape(value: Json) -> _Shape | str:
    """Return the items of a reply, or why its shape is none."""
    if isinstance(value, list):
        return _Shape(items=value, path=())
    if "actions" not in value:
        return _Shape(items=[value], path=(), single=True)
    others = [key for key in value if key != "actions"]
    if others:
        return f'{_named(others)} beside "actions" would be lost; send {REPLY_FORM} and nothing else.'
    if not isinstance(value["actions"], list):
        return f'"actions" is no list; send {REPLY_FORM}.'
    return _Shape(items=value["actions"], path=("actions",))


def _complaints(item: Json, path: Path) -> list[str]:
    """Return what keeps an item from being an action."""
    where = path_text(path)
    if not isinstance(item, dict):
        return [f'{where} is {_kind(item)}; an action is {{"type": "…", "payload": {{…}}}}.']
    complaints = []
    others = [key for key in item if key not in ("type", "payload")]
    if others:
        complaints.append(f'{_named(others)} in {where} would be lost: {_PAYLOAD_CURE}, beside "type".')
    if "type" not in item:
        complaints.append(f'{where} has no "type"; name the action there.')
    elif not isinstance(item["type"], str) or not item["type"]:
        complaints.append(f'"type" in {where} is {_kind(item["type"])}; name the action there, as a text.')
    if not isinstance(item.get("payload"), (dict, type(None))):
        complaints.append(f'"payload" in {where} is {_kind(item["payload"])}; send an object.')
    return complaints


def _kind(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return "a text" if value else "empty"
    return {dict: "an object", list: "a list", type(None): "null"}.get(type(value), "a number")


def _named(keys: list[str]) -> str:
    shown = ", ".join(quoted(key) for key in keys[:5])
    return f"{shown} and {len(keys) - 5} more" if len(keys) > 5 else shown


def _sentence(fault: Fault) -> str:
    return f"At {path_text(fault.path)}: {fault.message}"


def _half_characters(value: Json) -> list[Fault]:
    """Return where lone surrogates stand: no encoding can carry them, so they can be neither stored nor sent."""
    message = "a text holds half of a character (a lone \\ud800 to \\udfff); send the whole character."
    faults: list[Fault] = []
    pending: list[tuple[Path, Json]] = [((), value)]
    while pending and len(faults) < MAX_ACTIONS_PER_REPLY:
        path, item = pending.pop()
        if isinstance(item, str):
            if has_half_character(item):
                faults.append(Fault(path=path, message=message))
        elif isinstance(item, list):
            pending.extend(((*path, index), inner) for index, inner in enumerate(item))
        elif isinstance(item, dict):
            if any(has_half_character(key) for key in item):
                faults.append(Fault(path=path, message=message))
            pending.extend(((*path, key), inner) for key, inner in item.items())
    return faults
