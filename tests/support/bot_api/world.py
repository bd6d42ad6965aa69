"""The platform's side: updates that wait, what was taken, and the faults to come."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from core.contracts.json import JsonObject
from tests.support.bot_api.senders import AT_S, Person, chat_of

TOKEN = "4242:fake-token-of-a-bot-that-is-not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One call that the platform accepted; `message_id` is 0 where none came of it."""

    method: str
    chat_id: int
    thread_id: int | None
    message_id: int
    text: str
    params: JsonObject
    at_s: float


@dataclass(slots=True, kw_only=True)
class Fault:
    """What happens to calls of `method` ("": of any), in `chat_id` (None: any), `times` times.

    status and description: the refusal. parameters: of it. drop: "before" or "after" the effect the connection is
    closed. hang_s: seconds that it takes before anything happens. with_entities: only calls that carry entities.
    """

    method: str = ""
    chat_id: int | None = None
    times: int = 1
    status: int = 0
    description: str = ""
    parameters: JsonObject = field(default_factory=dict)
    drop: str = ""
    hang_s: float = 0.0
    with_entities: bool = False
    raw: str = ""


class World:
    """All that the server knows. `clock` returns seconds, for flood control."""

    def __init__(self, *, first_update_id: int = 1000, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = TOKEN
        self.bot = Person(id=4242, first_name="Rekku", username="rekku_bot", is_bot=True)
        self.clock = clock
        self.waiting: list[JsonObject] = []
        self.confirmed: list[JsonObject] = []
        self.effects: list[Effect] = []
        self.calls: list[tuple[str, JsonObject]] = []
        self.faults: list[Fault] = []
        self.blocked: set[int] = set()
        self.missing: set[int] = set()
        self.migrated: dict[int, int] = {}
        self.floods: dict[int, float] = {}
        self.violations: list[tuple[str, int]] = []
        self.files: dict[str, bytes] = {}
        self.webhook: JsonObject = {}
        self.conflict = False
        self.arrange: Callable[[list[JsonObject]], list[JsonObject]] = lambda batch: batch
        """Changes each answer of getUpdates: to reorder updates, or to repeat some."""
        self.news = asyncio.Event()
        self.changed = asyncio.Event()
        self._awaited: dict[int, list[asyncio.Future[float]]] = defaultdict(list)
        self._next_update = first_update_id
        self._next_message: dict[int, int] = defaultdict(lambda: 1)

    def say(self, *bodies: JsonObject) -> list[int]:
        """Queue updates; return their ids."""
        ids = []
        for body in bodies:
            ids.append(self._next_update)
            self.push({"update_id": self._next_update} | body)
            self._next_update += 1
        return ids

    async def exchange(self, body: JsonObject, chat_id: int) -> float:
        """Queue an update; return the seconds until the next message in a chat is accepted."""
        replied: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._awaited[chat_id].append(replied)
        began_s = self.clock()
        self.say(body)
        return await replied - began_s

    def push(self, update: JsonObject) -> None:
        """Queue an update as it is, with whatever id."""
        self.waiting.append(update)
        self._wake()

    def confirm_below(self, offset: int) -> None:
        """Forget what lies below `offset`, as getUpdates does."""
        kept = [update for update in self.waiting if update.get("update_id", offset) >= offset]
        self.confirmed += [update for update in self.waiting if update.get("update_id", offset) < offset]
        if len(kept) < len(self.waiting):
            self.waiting = kept
            self._wake()

    def flood(self, chat_id: int, seconds: float) -> None:
        """From its next message on, refuse everything in a chat for so long, and note what comes all the same."""
        self.faults.append(
            Fault(
                method="sendMessage",
                chat_id=chat_id,
                status=429,
                description=f"Too Many Requests: retry after {seconds:g}",
                parameters={"retry_after": seconds},
            )
        )

    def take_fault(self, method: str, chat_id: int | None, *, entities: bool) -> Fault | None:
        """Return the fault that this call meets, and use it up."""
        for fault in self.faults:
            applies = fault.method in ("", method) and fault.chat_id in (None, chat_id)
            if applies and (entities or not fault.with_entities):
                fault.times -= 1
                if fault.times <= 0:
                    self.faults.remove(fault)
                return fault
        return None

    def record(self, method: str, params: JsonObject, *, message_id: int | None = None) -> Effect:
        """Write down that a call was accepted; return what came of it."""
        chat_id = int(params.get("chat_id", 0))
        if message_id is None and method == "sendMessage":
            message_id = self._next_message[chat_id]
            self._next_message[chat_id] += 1
        thread = params.get("message_thread_id")
        effect = Effect(
            method=method,
            chat_id=chat_id,
            thread_id=None if thread is None else int(thread),
            message_id=message_id or 0,
            text=str(params.get("text", "")),
            params=params,
            at_s=self.clock(),
        )
        self.effects.append(effect)
        if method == "sendMessage":
            for waiting in self._awaited.pop(chat_id, ()):
                if not waiting.done():
                    waiting.set_result(effect.at_s)
        self._wake()
        return effect

    def message_of(self, effect: Effect) -> JsonObject:
        """Return the Message object of something that was sent."""
        body: JsonObject = {
            "message_id": effect.message_id,
            "date": AT_S,
            "chat": chat_of(effect.chat_id, forum=effect.thread_id is not None),
            "from": self.bot.as_json(),
            "text": effect.text,
        }
        if effect.thread_id is not None:
            body |= {"message_thread_id": effect.thread_id, "is_topic_message": True}
        return body

    def sent(self, chat_id: int | None = None) -> list[Effect]:
        """Return the messages that were accepted, of one chat or of all."""
        return [e for e in self.effects if e.method == "sendMessage" and chat_id in (None, e.chat_id)]

    def texts(self, chat_id: int | None = None) -> list[str]:
        """Return the texts of these messages."""
        return [effect.text for effect in self.sent(chat_id)]

    def of(self, *methods: str) -> list[Effect]:
        """Return what was accepted of these methods."""
        return [effect for effect in self.effects if effect.method in methods]

    async def until(self, holds: Callable[[], object], timeout_s: float = 10.0) -> None:
        """Wait until a condition on this world holds; raises TimeoutError that tells what was sent."""
        try:
            async with asyncio.timeout(timeout_s):
                while not holds():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise TimeoutError(f"it did not come to that; sent: {self.texts()}, calls: {len(self.calls)}") from None

    def _wake(self) -> None:
        self.news.set()
        self.changed.set()

    def called(self, method: str, params: JsonObject) -> None:
        """Note that a call arrived, whatever becomes of it."""
        self.calls.append((method, params))
        self.changed.set()

    def batch(self, limit: int) -> Iterable[JsonObject]:
        """Return the earliest updates that nobody confirmed."""
        return self.arrange(self.waiting[:limit])
