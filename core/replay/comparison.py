"""What came out differently when a recorded turn was run again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.contracts.actions import Effect
from core.contracts.json import compact
from core.replay.recording import DoneAction, Recording
from core.services.ledger import CALLED_FROM, CALLED_OF_ONE
from core.turn.stages.tell_outcome import tell_outcome

SHOWN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that came out differently. where: "step 0, action 1", "messages to …" or "the turn".

    returned: it is only what an action returned that reads, or why it could not, or a message that says nothing else;
    that may differ by nature, and nothing else was done.
    """

    where: str
    then: str
    now: str
    returned: bool = False

    def __str__(self) -> str:
        return f"{self.where}\n  then: {self.then}\n  now:  {self.now}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What the turn came to this time, beside its recording. complaint: what of a reply is not valid today.

    answered: by hash, the actions that were not run but answered with what had become of them.
    """

    recording: Recording
    state: str
    actions: tuple[DoneAction, ...]
    sent: dict[str, str]
    unused_replies: int
    complaint: str
    answered: frozenset[str] = frozenset()

    def differences(self, *, outputs: bool = True) -> list[Difference]:
        """Return what differs. outputs: whether what actions returned, and messages said, counts as well."""
        found = [*self._of_turn(), *self._of_actions(outputs)]
        return [*found, *self._of_messages()] if outputs else found

    def _of_turn(self) -> Iterable[Difference]:
        if self.complaint:
            yield Difference(where="the turn", then="the reply was valid", now=_short(self.complaint))
        elif self.state != self.recording.state:
            yield Difference(where="the turn", then=self.recording.state, now=self.state)
        if self.unused_replies:
            word = "reply is" if self.unused_replies == 1 else "replies are"
            now = f"{self.unused_replies} {word} not asked for"
            yield Difference(where="the turn", then=f"{len(self.recording.replies)} replies", now=now)

    def _pairs(self) -> Iterable[tuple[tuple[int, int], DoneAction | None, DoneAction | None]]:
        """Yield each action of then beside that of now, but what was called by one that was not run this time."""
        then = {(a.step, a.position): a for a in self.recording.actions}
        now = {(a.step, a.position): a for a in self.actions}
        for step, position in sorted(then | now):
            caller = now.get((step, (position - CALLED_FROM) // CALLED_OF_ONE))
            if position < CALLED_FROM or caller is None or caller.envelope.hash not in self.answered:
                yield (step, position), then.get((step, position)), now.get((step, position))

    def _of_actions(self, outputs: bool) -> Iterable[Difference]:
        for place, before, after in self._pairs():
            then, now = _shown(before, outputs), _shown(after, outputs)
            if then != now:
                yield Difference(where=_where(*place), then=then, now=now, returned=_only_returned(before, after))

    def _of_messages(self) -> Iterable[Difference]:
        told = [
            (tell_outcome(before.outcome), tell_outcome(after.outcome))
            for _, before, after in self._pairs()
            if before is not None and after is not None and _only_returned(before, after)
        ]
        for address in sorted({*self.recording.sent, *self.sent}):
            then, now = self.recording.sent.get(address, ""), self.sent.get(address, "")
            if then != now:
                same = _without(then, [before for before, _ in told]) == _without(now, [after for _, after in told])
                where = f"messages to {address}"
                yield Difference(where=where, then=_short(then), now=_short(now), returned=bool(told) and same)


def _where(step: int, position: int) -> str:
    if position < CALLED_FROM:
        return f"step {step}, action {position}"
    caller, call = divmod(position - CALLED_FROM, CALLED_OF_ONE)
    return f"step {step}, action {caller}, call {call + 1}"


def _only_returned(then: DoneAction | None, now: DoneAction | None) -> bool:
    """Whether two actions are the same one, which only reads, and differ at most in what it said."""
    if then is None or now is None or {then.effect, now.effect} != {Effect.READ.value}:
        return False
    return _silent(then) == _silent(now)


def _silent(action: DoneAction) -> DoneAction:
    return replace(action, output=None, reason="", tainted=False, approved="")


def _without(text: str, outputs: list[str]) -> str:
    for output in outputs:
        if output:
            text = text.replace(output, "", 1)
    return text


def _shown(action: DoneAction | None, outputs: bool) -> str:
    if action is None:
        return "nothing"
    output = f" → {_short(compact(action.output))}" if outputs and action.output is not None else ""
    reason = f" ({_short(action.reason)})" if action.reason and outputs and action.status != "done" else ""
    return f"{action.type} {_short(compact(action.payload))}: {action.status}{reason}{output}"


def _short(text: str) -> str:
    line = " ".join(text.split()) or "nothing"
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
