"""From raw updates to the inbox, whether they were fetched or posted: an update is done once its input is stored."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiogram.exceptions import TelegramAPIError
from aiogram.methods import AnswerCallbackQuery
from structlog.typing import FilteringBoundLogger

from core.contracts.errors import RekkuError, ValueRefused
from core.contracts.inputs import Input
from core.contracts.services import Clock
from core.interface_base import Receive
from interfaces.telegram.addressing import Addressing
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.updates import Read, Unreadable, joined, read_update
from interfaces.telegram.waiting import Waiting

MOST_ALBUMS = 256
EDIT_OF = "edit_of"
MOVED = object()


class Intake:
    """Takes updates in.

    addressing: is asked anew for each, since commands come and go. album_wait_s: for how long the turn of an album
    waits for its further parts, where these come one by one.
    """

    def __init__(
        self,
        *,
        interface: str,
        receive: Receive,
        client: Client,
        addressing: Callable[[], Addressing],
        moved: MovedChats,
        tasks: OwnedTasks,
        waiting: Waiting,
        clock: Clock,
        album_wait_s: float,
        log: FilteringBoundLogger,
    ) -> None:
        self._interface = interface
        self._receive = receive
        self._client = client
        self._addressing = addressing
        self._moved = moved
        self._tasks = tasks
        self._waiting = waiting
        self._clock = clock
        self._album_wait_s = album_wait_s
        self._log = log
        self._albums: OrderedDict[tuple[str, str], Input] = OrderedDict()

    async def take(self, raws: list[Any]) -> None:
        """Take in one update, or the parts of one album; returns when it is stored or nothing is to be stored.

        Raises RekkuError (the database is away, the app is going down): it must come again then. What cannot be
        read is reported and passed over, so that it holds up nothing.
        """
        reads = [read for read in map(self._read, raws) if read is not None]
        inputs = [read.input for read in reads if read.input is not None]
        for read in reads:
            if read.moved is not None:
                before, after = read.moved
                await self._moved.note(before, after)
        if inputs:
            await self._store(joined(inputs))
        for read in reads:
            if read.callback_id:
                self._tasks.spawn(self._acknowledge(read.callback_id), "answer of a button press")

    def _read(self, raw: Any) -> Read | None:
        update_id = raw.get("update_id") if isinstance(raw, dict) else None
        try:
            return read_update(raw, self._interface, self._addressing())
        except Unreadable as error:
            self._log.error("an update was passed over", update=update_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - a mistake of our own in reading one must not stop all others
            self._log.error("an update was passed over", update=update_id, error=type(error).__name__)
        return None

    async def _store(self, input: Input) -> None:
        album = (str(input.address), str(input.data.get("album", "")))
        begun = self._albums.get(album)
        is_part = bool(album[1]) and EDIT_OF not in input.data
        whole = input
        if is_part and begun is not None:
            whole = joined([begun, input])
            # The album's new form: it takes the place of what came before while that waits, and starts no turn else.
            input = replace(
                whole, dedupe_key=input.dedupe_key, data={**whole.data, EDIT_OF: whole.data["message_id"]}
            )
        elif is_part and self._album_wait_s:
            whole = input = replace(input, not_before_ms=self._clock.now_ms() + round(self._album_wait_s * 1000))
        try:
            accepted = await self._receive(input)
        except ValueRefused as error:
            # It could never be stored, and what comes behind it would wait for ever.
            self._log.error("an input was passed over", update=input.dedupe_key, error=str(error))
            return
        except RekkuError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this one input, the next ones must come in
            self._log.error("an input was passed over", update=input.dedupe_key, error=type(error).__name__)
            return
        self._waiting.accepted(input, accepted)
        if is_part:
            self._albums[album] = whole
            if len(self._albums) > MOST_ALBUMS:
                self._albums.popitem(last=False)

    async def _acknowledge(self, callback_id: str) -> None:
        """Stop the button's spinner; a press that is too old for that was taken in all the same."""
        try:
            await self._client(AnswerCallbackQuery(callback_query_id=callback_id))
        except (TelegramAPIError, Unreachable) as error:
            self._log.debug("a button press could not be acknowledged", error=str(error))


def groups(batch: list[Any], album_of: Callable[[Any], tuple[int, str] | None]) -> list[list[Any]]:
    """Return the updates in their order, the parts of an album together where its first one stands."""
    found: list[list[Any]] = []
    albums: dict[tuple[int, str], list[Any]] = {}
    for raw in batch:
        album = album_of(raw)
        if album is not None and album in albums:
            albums[album].append(raw)
            continue
        found.append([raw])
        if album is not None:
            albums[album] = found[-1]
    return found


def by_chat(groups: list[list[Any]]) -> list[list[list[Any]]]:
    """Return the groups of each chat, in their order; all as one where a chat has moved: it has two names then."""
    found: dict[object, list[list[Any]]] = {}
    for group in groups:
        chat = _chat_of(group[0])
        if chat is MOVED:
            return [groups]
        found.setdefault(chat, []).append(group)
    return list(found.values())


def _chat_of(raw: Any) -> object:
    """Return something that is the same for all updates of a chat."""
    found: Any = raw
    if isinstance(found, dict) and "callback_query" in found:
        found = found["callback_query"]
    if isinstance(found, dict):
        found = found.get("message") or found.get("edited_message")
    if not isinstance(found, dict):
        return None
    if "migrate_to_chat_id" in found or "migrate_from_chat_id" in found:
        return MOVED
    chat = found.get("chat")
    return str(chat.get("id")) if isinstance(chat, dict) else None
