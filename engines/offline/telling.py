"""Outcomes of actions in plain words."""

from __future__ import annotations

import json

from core.contracts.actions import MESSAGE_ACTION
from core.contracts.json import Json, JsonObject
from core.contracts.outcomes import OutcomeStatus

MAX_CHARS = 20_000
MAX_DEPTH = 6
MAX_STARTS = 16
"""How many "[" are tried as the beginning of the outcomes."""

_NOT_DONE = {
    OutcomeStatus.FAILED: "failed",
    OutcomeStatus.DENIED: "was not allowed",
    OutcomeStatus.SKIPPED: "was skipped",
    OutcomeStatus.AWAITING_APPROVAL: "waits for approval",
    OutcomeStatus.UNKNOWN: "may or may not have been done, and is not tried again by itself",
}


def tell_outcomes(content: str) -> str:
    """Return what the outcomes at the end of an OUTCOMES message say; the content itself when it has none."""
    outcomes = _outcomes(content)
    if outcomes is None:
        return _cut(content.strip() or "It is done.")
    told = [_tell(outcome, alone=len(outcomes) == 1) for outcome in outcomes if _is_news(outcome)]
    return _cut("\n\n".join(told) or "It is done.")


def plain(value: Json, depth: int = 0) -> str:
    """Return any JSON as text for a person: strings as they are, lists and objects as nested bullets."""
    if isinstance(value, str):
        return value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, list | dict) or depth >= MAX_DEPTH:
        return json.dumps(value, ensure_ascii=False)
    if not value:
        return "nothing"
    pairs = [("", item) for item in value] if isinstance(value, list) else [(f"{k}: ", v) for k, v in value.items()]
    lines = []
    for label, item in pairs:
        text = plain(item, depth + 1)
        nested = isinstance(item, list | dict) and text.startswith("- ")
        text = text.replace("\n", "\n  ")
        lines.append(f"- {label.rstrip()}\n  {text}" if nested else f"- {label}{text}")
    return "\n".join(lines)


def _outcomes(content: str) -> list[JsonObject] | None:
    start = -1
    for _ in range(MAX_STARTS):
        start = content.find("[", start + 1)
        if start < 0:
            return None
        try:
            read = json.loads(content[start:])
        except (ValueError, RecursionError):
            continue
        if isinstance(read, list) and all(isinstance(item, dict) for item in read):
            return read
    return None


def _is_news(outcome: JsonObject) -> bool:
    """Whether it needs telling: a message that was sent has been seen."""
    return not (outcome.get("action") == MESSAGE_ACTION and outcome.get("status") == OutcomeStatus.DONE)


def _tell(outcome: JsonObject, *, alone: bool) -> str:
    action = f"`{outcome.get('action') or 'an action'}`"
    status, output = outcome.get("status"), outcome.get("output")
    if status == OutcomeStatus.DONE and output is not None:
        text = plain(output)
        if not text.strip():
            return f"{action} is done, with nothing to show."
        return text if alone else f"{action}: {text}"
    if status == OutcomeStatus.DONE:
        return f"{action} is done."
    reason = " ".join(str(outcome.get("reason") or "").split())
    text = f"{action} {_NOT_DONE.get(status, 'is not done')}{f': {reason}' if reason else ''}"  # type: ignore[arg-type]
    text += "" if text.endswith((".", "!", "?")) else "."
    approval = outcome.get("approval_id")
    return f"{text} A trainer can allow it with `/approve {approval}`." if approval else text


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARS else f"{text[:MAX_CHARS].rstrip()} …\n\n(cut: the rest is left out)"
