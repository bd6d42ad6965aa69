"""Rows that databases disagree about, in tables of the core and of a plugin."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    insert,
    text,
)

from core.storage import tables

HUGE = "🙂שלום\n" * 70_000
TEXTS = (
    "",
    " padded ",
    "👩‍👩‍👧‍👦 and 𝕌𝕟𝕚𝕔𝕠𝕕𝕖",
    "שלום עולם ‮ override ‏",
    "'; DROP TABLE people; -- \\' \\\\ %s %(name)s :name ? {} \b\x1b\x7f",
    "line\r\nbreaks\ttabs\u2028\u2029",
    "x" * (1 << 20),
    HUGE,
)
BIG = 2**63 - 1
MESSAGES = 1200

plugin = MetaData()
tags = Table(
    "notes_tag",
    plugin,
    Column("id", Integer, primary_key=True),
    Column("name", String(100), nullable=False, unique=True),
    mariadb_collate="utf8mb4_nopad_bin",
    mariadb_charset="utf8mb4",
)
notes = Table(
    "notes_note",
    plugin,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("tag", Integer, ForeignKey("notes_tag.id")),
    Column("text", Text, server_default="it's empty"),
    Column("big", BigInteger, nullable=False, server_default="7"),
    Column("done", Boolean, nullable=False, default=False),
    Column("weight", Double),
    Column("price", Numeric(12, 3)),
    Column("raw", LargeBinary),
    Column("at", DateTime),
    UniqueConstraint("big", "done", name="notes_big"),
    Index("notes_at", "at"),
    mariadb_charset="utf8mb4",
    mariadb_collate="utf8mb4_nopad_bin",
)
words = Table("notes_word", plugin, Column("word", String(50)), Column("times", Integer), mariadb_charset="utf8mb4")
"""Without a key."""


def fill(conn: Any) -> None:
    """Put the rows into a database whose core tables are there."""
    plugin.create_all(conn)
    session = {"lane": "t:1", "started_at_ms": BIG, "summary": HUGE, "summary_tainted": True}
    conn.execute(insert(tables.sessions), [session])
    conn.execute(
        insert(tables.messages),
        [
            {
                "session_id": 1,
                "role": "user",
                "author": f"t:{number}",
                "text": TEXTS[number] if number < len(TEXTS) else f"message {number} 🙂",
                "tainted": number % 2 == 0,
                "at_ms": BIG - number,
            }
            for number in range(MESSAGES)
        ],
    )
    conn.execute(
        insert(tables.kv),
        [{"owner": "p", "key": key, "value": key} for key in ("a", "A", "á", "ß", "ss", "🙂", "a ", "א")],
    )
    reply = {"turn_id": 1, "step": 1, "attempt": 1, "engine": "e", "model": "m", "text": "", "finish_reason": "stop"}
    conn.execute(insert(tables.replies), [reply | {"at_ms": 0, "prompt_tokens": None, "cached_tokens": 0}])
    conn.execute(insert(tables.lanes), [{"lane": "t:1"}, {"lane": "T:1"}])
    conn.execute(insert(tags), [{"id": 5, "name": "Straße"}, {"id": 9, "name": "STRASSE"}])
    empty = {"tag": None, "text": None, "done": False, "weight": None, "price": None, "raw": None, "at": None}
    conn.execute(
        insert(notes),
        [
            {"id": 3, "big": -BIG - 1, **empty},
            {
                "id": 2**40,
                "big": BIG,
                "tag": 9,
                "text": "א🙂",
                "done": True,
                "weight": 0.1 + 0.2,
                "price": Decimal("123456789.125"),
                "raw": b"\x00\xff'\\",
                "at": datetime(2026, 1, 2, 3, 4, 5, 678901),
            },
        ],
    )
    conn.execute(
        insert(words), [{"word": "same", "times": 1}, {"word": "same", "times": 1}, {"word": None, "times": None}]
    )
    conn.execute(text("DELETE FROM notes_note WHERE id = 0"))
