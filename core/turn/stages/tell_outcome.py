"""The outcome of a typed command, in words for the one who typed it. Pure."""

from __future__ import annotations

import json

from core.contracts.json import Json
from core.contracts.outcomes import Outcome, OutcomeStatus


def tell_outcome(outcome: Outcome) -> str:
    """Return what the user is told, or "" when there is nothing to tell."""
    match outcome.status:
        case OutcomeStatus.DONE:
            return "" if outcome.output is None else readable(outcome.output)
        case OutcomeStatus.AWAITING_APPROVAL:
            return ""  # the question itself is what its approver sees
        case OutcomeStatus.UNKNOWN:
            return f"It is not known whether it was done. {outcome.reason}"
        case _:
            return f"Not done ({outcome.status}). {outcome.reason}".strip()


def readable(output: Json) -> str:
    """Return a result as CommonMark: texts as they are, anything else as JSON."""
    if isinstance(output, str):
        return output
    if isinstance(output, list | dict):
        return f"```json\n{json.dumps(output, ensure_ascii=False, indent=2)}\n```"
    return json.dumps(output, ensure_ascii=False)
