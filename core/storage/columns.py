"""What all tables share: the metadata they stand in, the types of their columns, and how MariaDB keeps them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer, MetaData, String, Text
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeDecorator

from core.contracts.json import storable

metadata = MetaData()


class _Storable(TypeDecorator[str]):
    """A text in which half a character is stored as its escape: a row that cannot be written holds up its lane."""

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.impl = kind

    def process_bind_param(self, value: Any, dialect: Any) -> Any:
        return storable(value) if isinstance(value, str) else value


Id = BigInteger().with_variant(Integer, "sqlite")
LongText = _Storable(Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb"))
Words = LongText
Key = _Storable(String(190))
Word = String(40)

MARIADB: dict[str, Any] = {
    "mariadb_charset": "utf8mb4",
    # Texts are equal when they are the same, as in the other two: no folding of case or accents, no padding.
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mariadb_engine": "InnoDB",
}
