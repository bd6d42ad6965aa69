"""Actions: their one declaration, the envelope that asks for one, and what a handler is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from core.contracts.deliveries import Delivery
from core.contracts.inputs import Address, Origin, Principal, Role
from core.contracts.json import Json, JsonObject, action_hash

MESSAGE_ACTION = "message"
"""The action type that plain text stands for (a reply in which no action can be seen)."""

MAX_ACTIONS_PER_REPLY = 16


class Effect(StrEnum):
    """What running an action touches.

    READ may be repeated. LOCAL only writes to the database, in the core's transaction, so it happens once.
    EXTERNAL touches the world and is never repeated by itself.
    """

    READ = "read"
    LOCAL = "local"
    EXTERNAL = "external"


class Permission(StrEnum):
    """Who may run an action when no policy rule says otherwise."""

    ANYONE = "anyone"
    USER = "user"
    TRAINER = "trainer"

    @property
    def least_role(self) -> Role:
        """The weakest role that has it."""
        return _LEAST_ROLE[self]


_LEAST_ROLE = {Permission.ANYONE: Role.GUEST, Permission.USER: Role.USER, Permission.TRAINER: Role.TRAINER}


@dataclass(frozen=True, slots=True, kw_only=True)
class DisplayHints:
    """How a person is shown an action: a verb ("runs"), and which payload field is the path, command or diff."""

    verb: str = ""
    path_field: str = ""
    command_field: str = ""
    diff_field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionSpec:
    """The one declaration of an action; it serves the model, the slash command and other plugins alike.

    schema: JSON Schema (draft 2020-12) of the payload, always an object that refuses undeclared fields.
    timeout_s: the longest its handler may take, in seconds.
    returns_output: whether its result is shown to the model. None means that it may (contract of 5.1).
    reads_outside: its output is text from outside, so whatever sees it is tainted.
    repeatable: may be done again with the same payload within one turn.
    command: its slash command, without the slash, or "".
    model: False keeps it from the model; it can still be typed.
    passes_lanes: typed as a command it does not wait for the turn that its lane is busy with.
    destination_field: the payload field that may name another address to write to, or "".
    plants: it leaves something that acts later by itself; a turn that the system started may not.
    compensation: the action of the same plugin that takes it back, for `/undo`, or "".
    phrases: what the offline engine understands, such as "roll a d{sides}".
    """

    type: str
    description: str
    schema: Mapping[str, Json]
    plugin: str = ""
    permission: Permission = Permission.USER
    effect: Effect = Effect.EXTERNAL
    timeout_s: float = 60.0
    returns_output: bool = True
    reads_outside: bool = False
    repeatable: bool = False
    command: str = ""
    model: bool = True
    passes_lanes: bool = False
    destination_field: str = ""
    plants: bool = False
    compensation: str = ""
    phrases: tuple[str, ...] = ()
    display: DisplayHints = field(default_factory=DisplayHints)

    @property
    def fields(self) -> Mapping[str, Mapping[str, Json]]:
        """The payload's fields and their schemas, in the order in which they were declared."""
        properties: Mapping[str, Mapping[str, Json]] = self.schema.get("properties", {})
        return properties

    @property
    def required(self) -> tuple[str, ...]:
        """The names of the fields that must be given."""
        return tuple(self.schema.get("required", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionEnvelope:
    """What a reply asks for: a type and a payload, as read, not yet validated."""

    type: str
    payload: JsonObject

    @property
    def hash(self) -> str:
        """What binds approvals and recorded outcomes to this exact action."""
        return action_hash(self.type, self.payload)

    def as_json(self) -> JsonObject:
        """Return `{"type": …, "payload": …}`."""
        return {"type": self.type, "payload": self.payload}


@dataclass(frozen=True, slots=True)
class Untrusted:
    """Wraps text that comes from outside (a web page, another person): whatever sees it is tainted."""

    text: str


WriteFn: TypeAlias = Callable[[Any], Any]
"""A synchronous `fn(conn)` on a SQLAlchemy Core connection, run inside the core's transaction."""


class ActionContext(Protocol):
    """What a handler may know and do while its action runs.

    principal and role: who asked, and with which rights. address: the chat it was asked in.
    action_id: the same whenever this very action is looked at again; fit as an idempotency key.
    tainted: whether the step that asks for this has seen text that its principal did not write.
    """

    @property
    def principal(self) -> Principal: ...
    @property
    def role(self) -> Role: ...
    @property
    def address(self) -> Address: ...
    @property
    def origin(self) -> Origin: ...
    @property
    def turn_id(self) -> int: ...
    @property
    def action_id(self) -> str: ...
    @property
    def tainted(self) -> bool: ...

    def write(self, fn: WriteFn) -> None:
        """Hand over `fn(conn)`; it runs in the one transaction that also records this action as done.

        When it raises, the action has failed and nothing of it is kept.
        """

    def send(self, text: str, to: Address | None = None) -> None:
        """Deliver `text` (CommonMark), to the current chat or to `to`, once this action is recorded as done."""

    def deliver(self, delivery: Delivery) -> None:
        """Like `send`, with all that a delivery can say (buttons, time to live)."""

    def compensate(self, payload: JsonObject) -> None:
        """Say with which payload the action's `compensation` takes back what is done here; kept with the write."""

    def progress(self, text: str) -> None:
        """Show that work goes on; ephemeral, lost when nobody is looking."""


Handler: TypeAlias = Callable[[ActionContext, JsonObject], Awaitable[Json]]
"""What the catalogue keeps for each action: called with a validated payload."""

PayloadCheck: TypeAlias = Callable[[JsonObject], Awaitable[list[str]]]
"""A plugin's own check of a payload that its schema has accepted: sentences, empty when valid."""
