"""What a child process has around the core: platform, model and world, each kept in files that outlive the process.

Every file holds a line of JSON an event, written with fsync before the call returns, so that it tells what happened
outside whatever becomes of the process.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text

from core.ai_plugin_base import ActionContext, AIPluginBase, action
from core.contracts.deliveries import InterfaceLimits, Part, Receipt
from core.contracts.engine import EngineCapabilities, EngineReply, EngineRequest, Source
from core.contracts.errors import RekkuError
from core.contracts.inputs import Address, Input, InputKind, Principal
from core.contracts.json import Json, JsonObject
from core.engine_base import EngineBase
from core.interface_base import InterfaceBase, Receive

SENDS, CALLS, WORLD, ACKNOWLEDGED = "sends", "calls", "world", "acknowledged"
PLATFORM = "fake"
TRAINER = "1"
POLL_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One input of the platform: what `user` says in `chat`, under a key that is the same when it is redelivered."""

    key: str
    chat: str
    text: str
    user: str = TRAINER


class Records:
    """Files of JSON lines in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def add(self, name: str, **event: Json) -> None:
        """Append an event and make it durable."""
        descriptor = os.open(self.directory / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (json.dumps(event) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def read(self, name: str) -> list[JsonObject]:
        """Return the events of a file, in order."""
        path = self.directory / name
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


class Platform(InterfaceBase):
    """A chat platform: redelivers what was not acknowledged, one input of a chat after the other.

    Whoever is asked for an approval presses its first button.
    """

    limits = InterfaceLimits(buttons=True)

    def __init__(self, records: Records, said: list[Said], send_s: float) -> None:
        self.records = records
        self.said = said
        self.send_s = send_s
        self.unread = asyncio.Event()
        self._acknowledged: set[str] = {event["key"] for event in records.read(ACKNOWLEDGED)}
        self._pressed: list[Said] = []

    async def start(self, receive: Receive) -> None:
        chats = dict.fromkeys(said.chat for said in self.said)
        for chat in chats:
            self.context.spawn(self._hand_in(receive, [s for s in self.said if s.chat == chat]), f"inputs of {chat}")
        self.context.spawn(self._press_buttons(receive), "buttons")

    @property
    def quiet(self) -> bool:
        """Whether every input, presses included, was taken in."""
        self._look_for_buttons()
        return all(said.key in self._acknowledged for said in [*self.said, *self._pressed])

    async def send(self, part: Part) -> Receipt:
        self.records.add(SENDS, id=int(part.id), address=str(part.address), text=part.text)
        self.unread.set()
        if self.send_s:
            await asyncio.sleep(self.send_s)
        return Receipt(message_id=f"m{part.id}")

    async def _press_buttons(self, receive: Receive) -> None:
        while True:
            self._look_for_buttons()
            await self._hand_in(receive, self._pressed)
            await self.unread.wait()
            self.unread.clear()

    def _look_for_buttons(self) -> None:
        known = {said.key for said in self._pressed}
        for event in self.records.read(SENDS):
            found = re.search(r"/approve (\w+)", event["text"])
            if found and f"press {found[1]}" not in known:
                known.add(f"press {found[1]}")
                chat = Address.parse(event["address"]).chat_id
                self._pressed.append(Said(key=f"press {found[1]}", chat=chat, text=f"/approve {found[1]}"))

    async def _hand_in(self, receive: Receive, inputs: list[Said]) -> None:
        for said in inputs:
            while said.key not in self._acknowledged:
                try:
                    await receive(
                        Input(
                            kind=InputKind.MESSAGE,
                            principal=Principal(PLATFORM, said.user),
                            address=Address(PLATFORM, said.chat),
                            dedupe_key=said.key,
                            text=said.text,
                        )
                    )
                except RekkuError:
                    await asyncio.sleep(POLL_S)
                    continue
                self.records.add(ACKNOWLEDGED, key=said.key)
                self._acknowledged.add(said.key)


REPLIES: dict[str, list[tuple[str, str]]] = {
    "look": [("look", "token")],
    "keep": [("keep", "token")],
    "append": [("append", "token")],
    "say": [("message", "text")],
    "both": [("keep", "token"), ("append", "token")],
    "mixed": [("message", "before"), ("append", "token"), ("look", "token")],
    "twice": [("append", "token"), ("append", "token")],
    "once": [("once", "token"), ("look", "token")],
    "wave": [("wave", "token")],
    "risky": [("risky", "token"), ("message", "text")],
}
"""The first word of what is said, and the actions that the model answers it with."""


class Model(EngineBase):
    """Answers the first word of what the user said as `REPLIES` has it, and outcomes with a message about them.

    joins: whether it is given messages that wait together.
    """

    auto_rank = 0

    def __init__(self, records: Records, think_s: float, joins: bool = False) -> None:
        self.records = records
        self.think_s = think_s
        self.joins = joins

    @property
    def capabilities(self) -> EngineCapabilities:
        return EngineCapabilities(language_model=self.joins)

    async def complete(self, request: EngineRequest) -> EngineReply:
        asked = next(m.content for m in request.messages if m.source is Source.PRINCIPAL)
        outcomes = [m.content for m in request.messages if m.source is Source.OUTCOMES]
        kind, token, *_ = asked.split()
        self.records.add(CALLS, token=token, step=len(outcomes), outcomes=outcomes, asked=asked)
        if self.think_s:
            await asyncio.sleep(self.think_s)
        if outcomes:
            statuses = ", ".join(re.findall(r'"status":"(\w+)"', outcomes[-1]))
            actions = [{"type": "message", "payload": {"text": f"answer {token}: {statuses}"}}]
        else:
            actions = [_wanted(type_, field, token) for type_, field in REPLIES[kind]]
        return EngineReply(text=json.dumps({"actions": actions}))


def _wanted(type_: str, field: str, token: str) -> JsonObject:
    if type_ == "message":
        return {"type": type_, "payload": {"text": f"{'before' if field == 'before' else 'answer'} {token}"}}
    return {"type": type_, "payload": {"token": token}}


class Actions(AIPluginBase):
    """An action of each effect."""

    def __init__(self, records: Records, act_s: float) -> None:
        self.records = records
        self.act_s = act_s

    async def start(self) -> None:
        statement = "CREATE TABLE IF NOT EXISTS faults_kept (token VARCHAR(40) NOT NULL)"
        await self.context.database.transact(lambda conn: conn.execute(text(statement)))

    @action(effect="read", command="look")
    async def look(self, token: str) -> str:
        """Look at something."""
        return f"saw {token}"

    @action(effect="local", command="keep")
    async def keep(self, ctx: ActionContext, token: str) -> str:
        """Keep a row."""
        statement = text("INSERT INTO faults_kept (token) VALUES (:token)")
        ctx.write(lambda conn: conn.execute(statement, {"token": token}))
        return f"kept {token}"

    @action(effect="external", command="append")
    async def append(self, ctx: ActionContext, token: str) -> str:
        """Touch the world."""
        self.records.add(WORLD, token=token, action=ctx.action_id)
        if self.act_s:
            await asyncio.sleep(self.act_s)
        return f"appended {token}"

    @action(effect="external")
    async def once(self, ctx: ActionContext, token: str) -> str:
        """Touch the world, where nobody has touched it: afterwards the same payload is not valid any more."""
        return await self.append(ctx, token)

    @action(effect="external", permission="anyone")
    async def wave(self, ctx: ActionContext, token: str) -> str:
        """Touch the world for a guest."""
        return await self.append(ctx, token)

    def validate_payload(self, action_type: str, payload: JsonObject) -> list[str]:
        if action_type == "once" and any(event["token"] == payload["token"] for event in self.records.read(WORLD)):
            return [f"{payload['token']} was touched already."]
        return []

    @action(effect="external")
    async def risky(self, ctx: ActionContext, token: str) -> None:
        """Touch the world, once somebody has approved it."""
        self.records.add(WORLD, token=token, action=ctx.action_id)
        if self.act_s:
            await asyncio.sleep(self.act_s)
