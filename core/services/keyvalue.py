"""Small durable values of one component."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import bindparam, delete, insert, select, update

from core.contracts.errors import RekkuError
from core.contracts.json import Json, compact
from core.contracts.services import Database
from core.storage.tables import kv

LONGEST_KEY = 190

_get = select(kv.c.value).where(kv.c.owner == bindparam("o"), kv.c.key == bindparam("k"))
_update = update(kv).where(kv.c.owner == bindparam("o"), kv.c.key == bindparam("k")).values(value=bindparam("v"))
_delete = delete(kv).where(kv.c.owner == bindparam("o"), kv.c.key == bindparam("k"))


class StoredKeyValues:
    """The `KeyValueStore` of one owner."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    async def get(self, key: str, default: Json = None) -> Json:
        """Return the value under `key`, or `default`."""
        place = {"o": self._owner, "k": key}
        text = await self._database.read(lambda conn: conn.execute(_get, place).scalar())
        return default if text is None else json.loads(text)

    async def set(self, key: str, value: Json) -> None:
        """Store `value` (JSON) under `key`; raises RekkuError when the key is too long."""
        if len(key) > LONGEST_KEY:
            raise RekkuError(f"The key {key[:40]}… is longer than {LONGEST_KEY} characters.")
        text = compact(value)

        def write(conn: Any) -> None:
            changed = conn.execute(_update, {"o": self._owner, "k": key, "v": text}).rowcount
            if not changed:
                conn.execute(insert(kv), {"owner": self._owner, "key": key, "value": text})

        await self._database.transact(write)

    async def delete(self, key: str) -> None:
        """Forget `key`; nothing happens when it is not there."""
        place = {"o": self._owner, "k": key}
        await self._database.transact(lambda conn: conn.execute(_delete, place) and None)
