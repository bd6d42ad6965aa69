"""An input from an interface to its durable row: only then is it acknowledged upstream."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from core.contracts.errors import RekkuError
from core.contracts.hooks import TurnContext
from core.contracts.inputs import Accepted, Address, Input, InputKind, Principal, Role
from core.contracts.json import compact, storable
from core.contracts.prompts import Line
from core.services import budgets, edits, history, inbox
from core.services.mask import Masker
from core.services.notices import Notice
from core.turn.environment import TurnEnvironment
from core.turn.stages.read_command import command_name
from core.turn.tell_events import tell_received
from core.turn.tell_observers import tell_observers
from core.turn.tell_once import tell_once
from core.turn.turn_away import turn_away

LONGEST_TEXT = 1 << 20
FULL_TOLD_EVERY_MS = 60 * 1000
FULL = (
    "{most} messages of yours wait already, which is what a {role} may have waiting. I did not take this one; send "
    "it again when they are answered."
)


class Receiver:
    """Takes inputs in. `wake(lane, input_id, passes_lanes)` tells the dispatcher of a new one.

    turned_away: told of an input that gets no turn, with its row and the outbox rows about it.
    """

    def __init__(
        self,
        env: TurnEnvironment,
        wake: Callable[[str, int, bool], None],
        turned_away: Callable[[Input, int, list[tuple[int, str]]], None],
    ) -> None:
        self._env = env
        self._wake = wake
        self._turned_away = turned_away
        self.open = True

    async def receive(self, input: Input) -> Accepted:
        """Store an input once; returns when it is durable.

        Raises StorageError when it cannot be stored, and RekkuError when it is too long or the app is going down:
        it must not be acknowledged upstream then.
        """
        if not self.open:
            raise RekkuError("Rekku is going down and takes nothing in.", cure="Send it again after the start.")
        _refuse_malformed(input)
        if len(input.text) > LONGEST_TEXT:
            raise RekkuError(f"A message may have at most {LONGEST_TEXT} characters.", cure="Send it in parts.")
        env = self._env
        pressed = input.kind is InputKind.BUTTON
        input, passes_lanes = self._classified(_masked(_storable(input), env.masker))
        role = env.people.role(input.principal)
        if role is Role.BLOCKED:
            if env.people.shut_out(input.principal) or env.people.alone(input.principal, input.address):
                return await self._turn_away(input)
            # In front of others a stranger is not spoken to: what they say is talk like any other.
            input = dataclasses.replace(input, addressed=False)
        now_ms = env.clock.now_ms()
        if edits.is_edit(input):
            accepted = await self._take_edit(input, passes_lanes, now_ms)
            tell_received(env, input, accepted, role, pressed=pressed)
            return accepted
        budget = env.budgets.get(role)
        most = budget.pending_inputs if budget is not None and input.addressed and not passes_lanes else None
        full, heard_in = False, 0
        heard: list[Line] = []

        def store(conn: Any) -> tuple[int, bool]:
            nonlocal full, heard_in
            full = most is not None and budgets.waiting_inputs(conn, str(input.principal), now_ms) >= most
            state = "waiting" if input.addressed and not full else "done"
            stored = inbox.put(conn, input, now_ms, passes_lanes=passes_lanes, state=state)
            if not input.addressed and not stored[1]:
                session = history.open_session(conn, str(input.address), now_ms)
                # What others say among themselves is not the words of whoever asks later.
                heard.append(Line(role="foreign", text=input.text, author=input.author_name, tainted=True))
                heard_in = session.id
                history.append(conn, session.id, 0, heard[-1:], now_ms, principal=input.principal)
            return stored

        input_id, duplicate = await env.database.transact(store)
        env.reached("input committed")
        if heard:
            tell_observers(
                env,
                heard[-1:],
                address=input.address,
                principal=input.principal,
                session_id=heard_in,
                turn_id=0,
                at_ms=now_ms,
            )
        if full and not duplicate:
            await self._tell_full(input, input_id, role, most)
        accepted = Accepted(input_id=input_id, duplicate=duplicate)
        tell_received(env, input, accepted, role, pressed=pressed)
        if not full and not duplicate and input.addressed:
            self._wake(str(input.address), input_id, passes_lanes)
        return accepted

    async def _turn_away(self, input: Input) -> Accepted:
        accepted, rows = await turn_away(self._env, input)
        if not accepted.duplicate and input.addressed:
            self._turned_away(input, accepted.input_id, rows)
        return accepted

    async def _tell_full(self, input: Input, input_id: int, role: Role, most: int | None) -> None:
        env = self._env
        since_ms = env.clock.now_ms() - FULL_TOLD_EVERY_MS + 1
        notice = Notice(kind="pending_inputs", text=FULL.format(most=most, role=role.value), since_ms=since_ms)
        context = TurnContext(
            turn_id=0, principal=input.principal, role=role, address=input.address, origin=input.origin
        )
        self._turned_away(input, input_id, await tell_once(env, context, notice))

    async def _take_edit(self, edit: Input, passes_lanes: bool, now_ms: int) -> Accepted:
        """Take in the new form of an earlier message: it takes the place of one that waits, else it is history.

        The id that is returned is that of the earlier one where that will have a turn.
        """
        env = self._env
        alone = env.people.alone(edit.principal, edit.address)

        def store(conn: Any) -> tuple[int, bool, bool]:
            inbox.take_turns(conn, str(edit.address))  # nobody may begin with what is being replaced
            input_id, duplicate = inbox.put(conn, edit, now_ms, passes_lanes=False, state="done")
            if duplicate:
                return input_id, True, False
            found = edits.original(conn, edit)
            waits = found is not None and not found.begun
            if found and waits and edits.replace_waiting(conn, found, edit, passes_lanes=passes_lanes):
                return found.input_id, False, True
            edits.note(conn, edit, found, now_ms, alone=alone)
            return input_id, False, False

        input_id, duplicate, waits = await env.database.transact(store)
        env.reached("input committed")
        if waits:
            self._wake(str(edit.address), input_id, passes_lanes)
        return Accepted(input_id=input_id, duplicate=duplicate)

    def _classified(self, input: Input) -> tuple[Input, bool]:
        """Tell commands from messages, by the principal's own words alone."""
        if input.kind not in (InputKind.MESSAGE, InputKind.COMMAND, InputKind.BUTTON):
            return input, input.kind is InputKind.CALL
        text = str(input.data.get("command", "")) if input.kind is InputKind.BUTTON else input.text
        name = command_name(text.strip())
        if not name:
            return dataclasses.replace(input, kind=InputKind.MESSAGE), False
        entry = self._env.generation().commands.get(name)
        passes = entry is not None and entry.spec.passes_lanes
        return dataclasses.replace(input, kind=InputKind.COMMAND, text=text.strip()), passes


def _storable(input: Input) -> Input:
    """Return an input whose words can be stored: half a character (a lone surrogate) becomes its escape."""
    text, author = storable(input.text), storable(input.author_name)
    if (text, author) == (input.text, input.author_name):
        return input
    return dataclasses.replace(input, text=text, author_name=author)


def _masked(input: Input, masker: Masker) -> Input:
    """Return an input without secrets of the installation, which somebody may have pasted."""
    text = masker.text(input.text)
    quoted = tuple(dataclasses.replace(one, text=masker.text(one.text)) for one in input.quoted)
    data = masker.value(input.data) if input.kind is InputKind.CALL else input.data
    if text == input.text and quoted == input.quoted and data == input.data:
        return input
    return dataclasses.replace(input, text=text, quoted=quoted, data=data)


FROM_OUTSIDE = (InputKind.MESSAGE, InputKind.COMMAND, InputKind.BUTTON, InputKind.CALL)


def _refuse_malformed(input: Input) -> None:
    """Refuse what could be stored and not be read again, which would hold up its lane for ever."""
    try:
        if input.kind not in FROM_OUTSIDE:
            raise ValueError(f"an interface hands in no input of kind {input.kind}")
        sound = Principal.parse(str(input.principal)) == input.principal
        sound = sound and Address.parse(str(input.address)) == input.address
        texts = (
            input.text,
            input.author_name,
            *(text for q in input.quoted for text in (q.author, q.text, q.relation)),
        )
        if not sound or not isinstance(input.dedupe_key, str) or not all(isinstance(text, str) for text in texts):
            raise ValueError("its principal, address, dedupe key and texts must be texts, and none of the ids empty")
        size = sum(len(text) for text in texts) + len(compact(input.data))
        if size > LONGEST_TEXT:
            raise ValueError(f"its texts have {size} characters, {LONGEST_TEXT} are the most")
        str(input.principal).encode() + str(input.address).encode()
    except (TypeError, ValueError) as error:
        raise RekkuError(f"The input {input.dedupe_key!r} cannot be taken: {error}.") from error
