"""From raw updates to the inbox, whether they were fetched or posted: an update is done once its input is stored."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiogram.exceptions import TelegramAPIError
from aiogram.methods import AnswerCallbackQuery
from structlog.typing import FilteringBoundLogger

from core.contracts.errors import RekkuError
from core.contracts.inputs import Input
from core.interface_base import Receive
from interfaces.telegram.addressing import Addressing
from interfaces.telegram.client import Client, Unreachable
from interfaces.telegram.moved_chats import MovedChats
from interfaces.telegram.owned_tasks import OwnedTasks
from interfaces.telegram.updates import Read, Unreadable, joined, read_update
from interfaces.telegram.waiting import Waiting

MOST_ALBUMS = 256
MOVED = object()


class Intake:
    """Takes updates in. `addressing` is asked anew for each, since commands come and go."""

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
        log: FilteringBoundLogger,
    ) -> None:
        self._interface = interface
        self._receive = receive
        self._client = client
        self._addressing = addressing
        self._moved = moved
        self._tasks = tasks
        self._waiting = waiting
        self._log = log
        self._albums: OrderedDict[tuple[str, str], None] = OrderedDict()

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
        if album[1] and album in self._albums and not input.text:
            # A late part: what came before it is answered already, or will be.
            input = dataclasses.replace(input, addressed=False)
        try:
            accepted = await self._receive(input)
        except RekkuError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with this one input, the next ones must come in
            self._log.error("an input was passed over", update=input.dedupe_key, error=type(error).__name__)
            return
        self._waiting.accepted(input, accepted)
        if album[1]:
            self._albums[album] = None
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
    if not isinstance(raw, dict):
        return None
    press = raw.get("callback_query")
    message = raw.get("message") or raw.get("edited_message") or (press.get("message") if _is_object(press) else None)
    if not _is_object(message):
        return None
    if "migrate_to_chat_id" in message or "migrate_from_chat_id" in message:
        return MOVED
    chat = message.get("chat")
    return str(chat.get("id")) if _is_object(chat) else None


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)
