"""Runs the actions that only read, with payloads made from their schemas."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from core.conformance.findings import Findings
from core.conformance.hook_checks import ADDRESS, PRINCIPAL, ends_when_cancelled
from core.conformance.sample_payload import NoSample, sample_payload
from core.conformance.source_checks import line_of
from core.contracts.actions import Effect, WriteFn
from core.contracts.deliveries import Delivery
from core.contracts.errors import ActionFailed, RetryAction
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import JsonObject
from core.registry.catalogue import CatalogueEntry
from core.services.foreign import CANCEL_GRACE_S, ForeignCalls, Raised

LONGEST_READ_S = 20.0


@dataclass(slots=True, kw_only=True)
class ReadingContext:
    """The `ActionContext` of an action that may only read."""

    principal: Principal = PRINCIPAL
    role: Role = Role.USER
    address: Address = ADDRESS
    origin: Origin = Origin.USER
    turn_id: int = 1
    action_id: str = "1.0.0"
    tainted: bool = False
    shown: list[str] = field(default_factory=list)

    def write(self, fn: WriteFn) -> None:
        """Refuse: what reads does not write."""
        raise ActionFailed("An action with effect read cannot write or send.")

    def send(self, text: str, to: Address | None = None) -> None:
        """Refuse likewise."""
        self.write(lambda conn: None)

    def deliver(self, delivery: Delivery) -> None:
        """Refuse likewise."""
        self.write(lambda conn: None)

    def compensate(self, payload: JsonObject) -> None:
        """Refuse likewise."""
        self.write(lambda conn: None)

    def progress(self, text: str) -> None:
        """Note it."""
        self.shown.append(text)


async def check_reads(
    entries: Sequence[CatalogueEntry],
    methods: Mapping[str, str],
    foreign: ForeignCalls,
    trees: Mapping[str, ast.Module],
    found: Findings,
) -> None:
    """Run each action with effect read, once to its end and once cancelled. methods: of the actions, by type."""
    ran = 0
    for entry in entries:
        spec = entry.spec
        if spec.effect is not Effect.READ:
            continue
        where = line_of(trees, methods.get(spec.type, "handle_custom_action"))
        try:
            payload = sample_payload(spec)
        except NoSample:
            continue
        complaints = entry.complaints(payload) or await entry.check(payload)
        if complaints:
            continue  # the plugin itself refuses what was made up; that is its right
        ran += 1
        call = partial(entry.run, ReadingContext(), payload)
        answer = await foreign.call(spec.type, call, min(spec.timeout_s, LONGEST_READ_S))
        if isinstance(answer, Raised) and not isinstance(answer.error, ActionFailed | RetryAction):
            cure = "Raise ActionFailed with a sentence for what can go wrong."
            found.fail("reads", f"{spec.type} with {payload} raised {answer.sentence}.", cure, where)
        if not await ends_when_cancelled(call):
            found.fail(
                "cancellation",
                f"{spec.type} does not end within {CANCEL_GRACE_S:g} s when it is cancelled.",
                "Let CancelledError pass.",
                where,
            )
    what = "1 action that reads was" if ran == 1 else f"{ran} actions that read were"
    found.ok("reads", f"{what} run, and cancelled.")
