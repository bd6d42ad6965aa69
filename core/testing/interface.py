"""An interface without a platform: a test speaks through it, and it keeps what would have been sent."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, TypeAlias

from core.contracts.deliveries import Activity, ActivityKind, Button, Delivery, InterfaceLimits, Part, Receipt
from core.contracts.inputs import Accepted, Address, Input, InputKind, Principal
from core.interface_base import InterfaceBase, Receive

WAIT_S = 10.0
"""How long a wait for something that should happen takes before it fails."""


class _Hang:
    """The type of `HANG`."""


HANG = _Hang()
"""A failure that never ends: the send is taken and not answered."""

Failure: TypeAlias = BaseException | _Hang


class RecordingInterface(InterfaceBase):
    """Inputs come from `say` and `press`, deliveries end up in `sent`.

    name: of the interface; several may run side by side. trainer: the user id that `say` speaks for if it is given
    no other; `running_app` makes it a trainer. A chat has the id of its user unless another is given.
    """

    limits: ClassVar[InterfaceLimits] = InterfaceLimits(markdown=True, buttons=True, threads=True)

    def __init__(self, name: str = "test", *, trainer: str = "trainer") -> None:
        self.name = name
        self.trainer = trainer
        self.sent: list[Part] = []
        self.activities: list[Activity] = []
        self._receive: Receive | None = None
        self._failures: dict[str, deque[Failure]] = defaultdict(deque)
        self._read: dict[str, int] = defaultdict(int)
        self._keys = (f"{secrets.token_hex(4)}-{number}" for number in itertools.count(1))
        self._changed = asyncio.Event()

    # What a user does

    async def say(self, text: str, *, user_id: str = "", chat_id: str = "", **more: Any) -> Accepted:
        """Send a text; `more` are other fields of `Input`. Returns once it is durable."""
        return await self.receive(self.input(text, user_id=user_id, chat_id=chat_id, **more))

    async def press(self, button: Button, *, user_id: str = "", chat_id: str = "") -> Accepted:
        """Press a button that was sent."""
        pressed = self.input("", user_id=user_id, chat_id=chat_id, kind=InputKind.BUTTON, data=button.data)
        return await self.receive(pressed)

    async def ask(self, text: str, *, user_id: str = "", chat_id: str = "", **more: Any) -> list[str]:
        """Say something, wait until its turn has ended, and return what has newly been sent to its chat."""
        accepted = await self.say(text, user_id=user_id, chat_id=chat_id, **more)
        await self.ended(accepted)
        return self._take(self._chat(user_id, chat_id))

    async def receive(self, input: Input) -> Accepted:
        """Hand an input to the app; raises RuntimeError while the interface does not run."""
        if self._receive is None:
            raise RuntimeError(f"The interface {self.name} does not run.")
        return await self._receive(input)

    def input(self, text: str, *, user_id: str = "", chat_id: str = "", **more: Any) -> Input:
        """Make an input; its dedupe key is new unless one is given."""
        fields: dict[str, Any] = {"kind": InputKind.MESSAGE, "dedupe_key": next(self._keys), **more}
        return Input(
            principal=Principal(self.name, user_id or self.trainer),
            address=Address(self.name, self._chat(user_id, chat_id)),
            text=text,
            **fields,
        )

    # What a test looks at

    async def replies(self, count: int = 1, *, chat_id: str = "", timeout_s: float = WAIT_S) -> list[str]:
        """Wait until at least `count` more texts were sent to a chat, and return all that were not returned before.

        Raises AssertionError that tells what did come when they do not come within `timeout_s` seconds.
        """
        chat = chat_id or self.trainer

        def enough() -> bool:
            return len(self.texts(chat)) - self._read[chat] >= count

        await self.until(enough, f"{count} more sent to {chat}", timeout_s)
        return self._take(chat)

    async def ended(self, accepted: Accepted, *, timeout_s: float = WAIT_S) -> Activity:
        """Wait until the turn of an input has ended and its deliveries were sent or have failed once."""

        def end() -> list[Activity]:
            return [a for a in self.ends if a.input_id == accepted.input_id]

        await self.until(lambda: bool(end()), f"the end of input {accepted.input_id}", timeout_s)
        return end()[0]

    async def until(self, true: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        """Wait until something is true that a send or an activity makes so; raises AssertionError otherwise."""
        try:
            async with asyncio.timeout(timeout_s):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            sent = [f"{part.address}: {part.text[:200]}" for part in self.sent[-10:]]
            raise AssertionError(f"Waited {timeout_s:g} s for {what}. Sent so far: {sent}") from None

    def texts(self, chat_id: str = "") -> list[str]:
        """Return all that was sent to a chat."""
        return [part.text for part in self.sent if part.address.chat_id == (chat_id or self.trainer)]

    def buttons(self, chat_id: str = "") -> list[Button]:
        """Return the buttons under the newest part that was sent to a chat and has any; raises LookupError."""
        for part in reversed(self.sent):
            if part.address.chat_id == (chat_id or self.trainer) and part.body.get("buttons"):
                return [Button(label=one["label"], data=one["data"]) for one in part.body["buttons"]]
        raise LookupError(f"No buttons were sent to {chat_id or self.trainer}.")

    @property
    def ends(self) -> list[Activity]:
        """The ends of turns, oldest first."""
        return [activity for activity in self.activities if activity.kind is ActivityKind.ENDED]

    def fail(self, *failures: Failure, chat_id: str = "") -> None:
        """Let the next sends fail, to one chat or to any: an error is raised, `HANG` never ends."""
        self._failures[chat_id].extend(failures)

    # What the app calls

    async def start(self, receive: Receive) -> None:
        """Begin to take inputs."""
        self._receive = receive

    async def stop(self) -> None:
        """Take no more inputs."""
        self._receive = None

    def render(self, delivery: Delivery) -> list[Part]:
        """Make one part, the buttons in its body."""
        buttons = [{"label": button.label, "data": button.data} for button in delivery.buttons]
        body = {"buttons": buttons} if buttons else {}
        return [Part(address=delivery.address, text=delivery.text, body=body)]

    async def send(self, part: Part) -> Receipt:
        """Record a part, unless a failure was asked for."""
        failure = self._next_failure((part.address.chat_id, ""))
        if isinstance(failure, _Hang):
            await asyncio.get_running_loop().create_future()
        elif failure is not None:
            raise failure
        self.sent.append(part)
        self._changed.set()
        return Receipt(message_id=str(len(self.sent)))

    async def activity(self, activity: Activity) -> None:
        """Record a sign of life."""
        self.activities.append(activity)
        self._changed.set()

    def _next_failure(self, places: Iterable[str]) -> Failure | None:
        for place in places:
            if self._failures[place]:
                return self._failures[place].popleft()
        return None

    def _chat(self, user_id: str, chat_id: str) -> str:
        return chat_id or user_id or self.trainer

    def _take(self, chat: str) -> list[str]:
        texts = self.texts(chat)
        new, self._read[chat] = texts[self._read[chat] :], len(texts)
        return new
