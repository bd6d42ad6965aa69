"""What comes in: who sent it, from where, and what it says."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, unquote

from core.contracts.json import JsonObject


class Role(StrEnum):
    """What a principal may do, weakest first."""

    BLOCKED = "blocked"
    GUEST = "guest"
    USER = "user"
    TRAINER = "trainer"

    @property
    def rank(self) -> int:
        """0 for blocked up to 3 for trainer."""
        return _ROLE_RANK[self]


_ROLE_RANK = {Role.BLOCKED: 0, Role.GUEST: 1, Role.USER: 2, Role.TRAINER: 3}


@dataclass(frozen=True, slots=True)
class Principal:
    """The authenticated sender behind a turn, by the platform's immutable id. Written `interface:user_id`."""

    interface: str
    user_id: str

    def __str__(self) -> str:
        return f"{self.interface}:{self.user_id}"

    @classmethod
    def parse(cls, text: str) -> Principal:
        """Read `interface:user_id`; raises ValueError."""
        interface, separator, user_id = text.partition(":")
        if not (interface and separator and user_id):
            raise ValueError(f"{text!r} is no principal: write interface:user_id, such as telegram:12345")
        return cls(interface, user_id)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a delivery goes, and the name of a lane. Written `interface:chat_id[/thread_id]`.

    A "/" inside an id is written %2F.
    """

    interface: str
    chat_id: str
    thread_id: str | None = None

    def __str__(self) -> str:
        chat = f"{self.interface}:{quote(self.chat_id, safe=_ID_SAFE)}"
        return chat if self.thread_id is None else f"{chat}/{quote(self.thread_id, safe=_ID_SAFE)}"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read `interface:chat_id[/thread_id]`; raises ValueError."""
        interface, separator, rest = text.partition(":")
        chat, slash, thread = rest.partition("/")
        if not (interface and separator and chat) or (slash and not thread):
            raise ValueError(f"{text!r} is no address: write interface:chat_id or interface:chat_id/thread_id")
        address = cls(interface, unquote(chat), unquote(thread) if slash else None)
        if str(address) != text:
            # One address has one spelling, so that no rule about it can be walked around.
            raise ValueError(f"{text!r} is not how this address is written: write {address}")
        return address


_ID_SAFE = "!#$&'()*+,:;=@[]~"


class InputKind(StrEnum):
    """Why an input is in the inbox."""

    MESSAGE = "message"
    COMMAND = "command"
    BUTTON = "button"
    DUE = "due"
    CONTINUATION = "continuation"
    CALL = "call"
    """A program asks for exactly one action: `data` is {"type": …, "payload": …}. Its calls run side by side."""

    @property
    def without_model(self) -> bool:
        """Whether its turn is the one action that it asks for: no model is asked, and none sees what came of it."""
        return self in (InputKind.COMMAND, InputKind.CALL)


class Origin(StrEnum):
    """Who started a turn: a person, or the system on a person's earlier order."""

    USER = "user"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """Text that came with an input and that its principal did not write: a reply's target, a forward, a file.

    `relation` is "reply", "forward", "quote" or "file"; `author` is a display name, for the prompt only. own: the
    assistant's account said it; message_id: the platform's own name of that message. clean: the core has found that
    it said so untainted; whatever an interface sets here is looked up anew.
    """

    relation: str
    author: str
    text: str
    own: bool = False
    message_id: str = ""
    clean: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that came with an input, by reference: `ref` is what the interface needs to download it."""

    kind: str
    name: str
    ref: str
    size_bytes: int | None = None
    mime_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """One durable row of the inbox, as an interface hands it in.

    text: the principal's own words, and nothing else.
    dedupe_key: unique within the interface for 30 days (Telegram: the update id).
    address: the chat it came from; replies go there, and it names the lane.
    addressed: False for talk in a group that is not meant for the assistant: it becomes history and starts no turn.
    not_before_ms: UTC milliseconds before which it must not run; 0 for at once.
    data: what a button, a due reminder, a continuation or a call carries. "trusted": whoever makes the call is known
    to have read nothing but its principal's own words. "message_id": the platform's own name of a message.
    "edit_of": this is the new form of the earlier message of that `message_id`, or dedupe key where it has none; it
    takes its place while that waits, and is history afterwards.
    """

    kind: InputKind
    principal: Principal
    address: Address
    dedupe_key: str
    text: str = ""
    author_name: str = ""
    quoted: tuple[Quoted, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    addressed: bool = True
    origin: Origin = Origin.USER
    not_before_ms: int = 0
    data: JsonObject = field(default_factory=dict)

    @property
    def tainted(self) -> bool:
        """Whether it brings text that its principal did not write, and that is not known to be untainted.

        A call does: it is made by a program, mostly for a model that has read who knows what.
        """
        if self.kind is InputKind.CALL and self.data.get("trusted") is not True:
            return True
        return any(not quoted.clean for quoted in self.quoted) or bool(self.attachments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What `receive` returns once the input is durable: its row's id, and whether it was there before."""

    input_id: int
    duplicate: bool
