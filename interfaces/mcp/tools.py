"""From actions to tools, and from outcomes to the results of calls. Pure but for the SDK's types."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from core.contracts.actions import ActionSpec, Effect
from core.contracts.json import Json
from core.contracts.outcomes import Outcome, OutcomeStatus

INTRODUCE = "introduce"
STATUS_KEY = "rekku/status"
_DONE = "It was done and returned nothing."


def tools_of(specs: Sequence[ActionSpec]) -> list[Any]:
    """Return the tools that stand for these actions."""
    from mcp import types

    return [
        types.Tool(
            name=spec.type,
            description=spec.description,
            input_schema=dict(spec.schema),
            annotations=types.ToolAnnotations(
                read_only_hint=spec.effect is Effect.READ,
                idempotent_hint=spec.effect is Effect.READ,
                open_world_hint=spec.reads_outside or spec.effect is Effect.EXTERNAL,
            ),
        )
        for spec in specs
    ]


def introduction() -> Any:
    """Return the one tool of a client that may not use Rekku yet: to call it is to ask to be let in."""
    from mcp import types

    return types.Tool(
        name=INTRODUCE,
        description="Ask the owner of this Rekku to be let in. The answer says how; the tools come afterwards.",
        input_schema={"type": "object", "properties": {}, "additionalProperties": False},
    )


def result_of(outcome: Outcome) -> Any:
    """Return the result of a call; what was not done is an error, and says in which way."""
    from mcp import types

    return types.CallToolResult(
        content=[types.TextContent(type="text", text=_text(outcome))],
        is_error=outcome.status is not OutcomeStatus.DONE,
        _meta={STATUS_KEY: outcome.status.value},
    )


def _text(outcome: Outcome) -> str:
    match outcome.status:
        case OutcomeStatus.DONE:
            return _DONE if outcome.output is None else _readable(outcome.output)
        case OutcomeStatus.AWAITING_APPROVAL:
            return (
                f"It was not done: it waits for approval {outcome.approval_id}. {outcome.reason} A trainer gives it "
                f"with /approve {outcome.approval_id} within 15 minutes; then it runs once, by itself."
            )
        case OutcomeStatus.UNKNOWN:
            return f"It is not known whether it was done; do not simply repeat it. {outcome.reason}"
        case _:
            return f"Not done ({outcome.status}). {outcome.reason}".strip()


def _readable(output: Json) -> str:
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)
