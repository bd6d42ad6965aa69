"""An input from an interface to its durable row: only then is it acknowledged upstream."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from core.contracts.errors import RekkuError
from core.contracts.inputs import Accepted, Input, InputKind
from core.contracts.prompts import Line
from core.services import edits, history, inbox
from core.turn.environment import TurnEnvironment
from core.turn.stages.read_command import command_name

LONGEST_TEXT = 1 << 20


class Receiver:
    """Takes inputs in. `wake(lane, input_id, passes_lanes)` tells the dispatcher of a new one."""

    def __init__(self, env: TurnEnvironment, wake: Callable[[str, int, bool], None]) -> None:
        self._env = env
        self._wake = wake
        self.open = True

    async def receive(self, input: Input) -> Accepted:
        """Store an input once; returns when it is durable.

        Raises StorageError when it cannot be stored, and RekkuError when it is too long or the app is going down:
        it must not be acknowledged upstream then.
        """
        if not self.open:
            raise RekkuError("Rekku is going down and takes nothing in.", cure="Send it again after the start.")
        if len(input.text) > LONGEST_TEXT:
            raise RekkuError(f"A message may have at most {LONGEST_TEXT} characters.", cure="Send it in parts.")
        input, passes_lanes = self._classified(_storable(input))
        env = self._env
        now_ms = env.clock.now_ms()
        if edits.is_edit(input):
            return await self._take_edit(input, passes_lanes, now_ms)
        state = "waiting" if input.addressed else "done"

        def store(conn: Any) -> tuple[int, bool]:
            stored = inbox.put(conn, input, now_ms, passes_lanes=passes_lanes, state=state)
            if not input.addressed and not stored[1]:
                session = history.open_session(conn, str(input.address), now_ms)
                # What others say among themselves is not the words of whoever asks later.
                heard = Line(role="foreign", text=input.text, author=input.author_name, tainted=True)
                history.append(conn, session.id, 0, [heard], now_ms)
            return stored

        input_id, duplicate = await env.database.transact(store)
        env.reached("input committed")
        if not duplicate and input.addressed:
            self._wake(str(input.address), input_id, passes_lanes)
        return Accepted(input_id=input_id, duplicate=duplicate)

    async def _take_edit(self, edit: Input, passes_lanes: bool, now_ms: int) -> Accepted:
        """Take in the new form of an earlier message: it takes the place of one that waits, else it is history.

        The id that is returned is that of the earlier one where that will have a turn.
        """
        env = self._env
        alone = env.people.alone(edit.principal, edit.address)

        def store(conn: Any) -> tuple[int, bool, bool]:
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
            return input, False
        text = str(input.data.get("command", "")) if input.kind is InputKind.BUTTON else input.text
        name = command_name(text.strip())
        if not name:
            return dataclasses.replace(input, kind=InputKind.MESSAGE), False
        entry = self._env.generation().commands.get(name)
        passes = entry is not None and entry.spec.passes_lanes
        return dataclasses.replace(input, kind=InputKind.COMMAND, text=text.strip()), passes


def _storable(input: Input) -> Input:
    """Return an input whose words can be stored: half a character (a lone surrogate) becomes its escape."""
    text, author = (
        said if said.isascii() else said.encode("utf-8", "backslashreplace").decode()
        for said in (input.text, input.author_name)
    )
    if (text, author) == (input.text, input.author_name):
        return input
    return dataclasses.replace(input, text=text, author_name=author)
