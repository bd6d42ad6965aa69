"""The plugins' own checks of payloads that their schemas have accepted: isolated, with a deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from core.contracts.actions import ActionEnvelope, ActionSpec
from core.contracts.json import JsonObject
from core.contracts.steps import ParsedReply, ReplyError

DEADLINE_S = 5.0


class CheckableAction(Protocol):
    """A catalogue entry that may have a check of its plugin's."""

    @property
    def spec(self) -> ActionSpec: ...

    async def check(self, payload: JsonObject) -> list[str]: ...


CallCheck = Callable[[str, str, Callable[[], Awaitable[list[str]]], float], Awaitable[list[str]]]
"""Calls foreign code: label, plugin, call, deadline in seconds; answers with the complaints, its own failure too."""


async def check_actions(
    parsed: ParsedReply, catalogue: Mapping[str, CheckableAction], call: CallCheck
) -> ParsedReply:
    """Return the reply with what the plugins say against its payloads, as errors by index."""
    actions: list[ActionEnvelope | None] = list(parsed.actions)
    errors = list(parsed.errors)
    for index, action in enumerate(parsed.actions):
        entry = None if action is None else catalogue.get(action.type)
        if action is None or entry is None:
            continue
        complaints = await _complaints(entry, action, call)
        if complaints:
            actions[index] = None
            errors += [ReplyError(index=index, message=f"{action.type}: {sentence}") for sentence in complaints[:5]]
    return ParsedReply(actions=tuple(actions), errors=tuple(errors), repairs=parsed.repairs)


async def _complaints(entry: CheckableAction, action: ActionEnvelope, call: CallCheck) -> list[str]:
    label = f"validate_payload of {action.type}"
    return await call(label, entry.spec.plugin, lambda: entry.check(action.payload), DEADLINE_S)
