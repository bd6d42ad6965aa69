"""Which ways of holding a model to the format a server takes: found once per server and model, and remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from structlog.typing import FilteringBoundLogger

from core.contracts.errors import StorageError
from core.contracts.json import Json
from core.contracts.services import Clock, KeyValueStore
from engines.openai.config import Mode, OpenAIConfig

MAX_MODELS = 64
IGNORED_IN_A_ROW = 2
"""So many replies in a row that cannot have been enforced show that a server ignores the schema."""


REMEMBERED_MS = 30 * 24 * 3600 * 1000
"""Then it is tried again: the server may be newer, or the action gone whose schema it did not take."""


class Modes:
    """What did not work, by model, in memory and in the key-value store. A configured mode is the only one."""

    def __init__(self, config: OpenAIConfig, store: KeyValueStore, clock: Clock, log: FilteringBoundLogger) -> None:
        self._pinned = None if config.mode == "auto" else config.mode
        self._server = config.server
        self._store = store
        self._clock = clock
        self._log = log
        self._unusable: dict[str, frozenset[Mode]] = {}
        self._ignored: dict[str, int] = {}

    def enforces_schema(self, model: str) -> bool:
        """Whether a call of `model` would be made with a schema, as far as is known by now."""
        if self._pinned is not None:
            return self._pinned is Mode.JSON_SCHEMA
        return Mode.JSON_SCHEMA not in self._unusable.get(model, frozenset())

    async def usable(self, model: str, *, has_schema: bool) -> list[Mode]:
        """Return the modes to try, strongest first; never empty. Without a schema JSON_SCHEMA is none of them."""
        possible = [mode for mode in Mode if has_schema or mode is not Mode.JSON_SCHEMA]
        if self._pinned is not None:
            return [self._pinned if self._pinned in possible else Mode.JSON_OBJECT]
        unusable = await self._load(model)
        return [mode for mode in possible if mode is Mode.PROMPT or mode not in unusable]

    async def give_up(self, model: str, modes: Iterable[Mode]) -> None:
        """Remember that these do not work; a store that is away only means finding out again."""
        unusable = await self._load(model) | frozenset(modes)
        self._unusable[model] = unusable
        self._log.info("model is held to the format otherwise", model=model, unusable=sorted(unusable))
        try:
            until_ms = self._clock.now_ms() + REMEMBERED_MS
            await self._store.set(self._key(model), {"unusable": sorted(unusable), "until_ms": until_ms})
        except StorageError as error:
            self._log.warning("what the model server takes could not be remembered", error=str(error))

    async def observe(self, model: str, *, enforced: bool) -> None:
        """Count a reply to a call with a schema; gives JSON_SCHEMA up once the server evidently ignores it."""
        if enforced or self._pinned is not None:
            self._ignored.pop(model, None)
            return
        self._ignored[model] = self._ignored.get(model, 0) + 1
        if self._ignored[model] >= IGNORED_IN_A_ROW:
            del self._ignored[model]
            await self.give_up(model, [Mode.JSON_SCHEMA])

    async def load(self, model: str) -> None:
        """Fetch what is remembered, so that `enforces_schema` knows it."""
        await self._load(model)

    async def _load(self, model: str) -> frozenset[Mode]:
        known = self._unusable.get(model)
        if known is not None:
            return known
        try:
            stored = await self._store.get(self._key(model))
        except StorageError as error:
            self._log.warning("what the model server takes is not known by now", error=str(error))
            return frozenset()
        if len(self._unusable) >= MAX_MODELS:
            self._unusable.clear()
            self._ignored.clear()
        return self._unusable.setdefault(model, self._still_valid(stored))

    def _still_valid(self, stored: Json) -> frozenset[Mode]:
        match stored:
            case {"unusable": list(names), "until_ms": int(until_ms)} if until_ms > self._clock.now_ms():
                return frozenset(mode for mode in Mode if mode in names)
        return frozenset()

    def _key(self, model: str) -> str:
        return "modes:" + hashlib.sha256(f"{self._server}\n{model}".encode()).hexdigest()[:24]
