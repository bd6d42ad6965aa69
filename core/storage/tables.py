"""Every table of the core, for SQLite, MariaDB and PostgreSQL alike.

Times are UTC milliseconds in 64-bit integers. Addresses and principals are stored as their text. JSON is stored
as text, since the three databases disagree about JSON types and nothing here is searched by its inside.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint

from core.storage.columns import MARIADB, Id, Key, LongText, Word, Words, metadata

__all__ = ["Id", "Key", "LongText", "Word", "Words", "metadata"]

inbox = Table(
    "inbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("interface", Word, nullable=False),
    Column("dedupe_key", Key, nullable=False),
    Column("lane", String(400), nullable=False),
    Column("kind", Word, nullable=False),
    Column("principal", Key, nullable=False),
    Column("body", LongText, nullable=False),
    Column("passes_lanes", Boolean, nullable=False, default=False),
    Column("not_before_ms", BigInteger, nullable=False, default=0),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("state", Word, nullable=False),
    Column("turn_id", Id, nullable=False, default=0),
    Column("resumed", Integer, nullable=False, default=0),
    Column("lease_owner", Word, nullable=False, default=""),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until_ms", BigInteger, nullable=False, default=0),
    UniqueConstraint("interface", "dedupe_key", name="inbox_dedupe"),
    Index("inbox_open", "state", "not_before_ms"),
    Index("inbox_lane", "lane", "state", "id", mariadb_length={"lane": 190}),
    Index("inbox_received", "received_at_ms"),
    Index("inbox_principal", "principal", "state", "not_before_ms"),
    **MARIADB,
)
"""What came in. state: scheduled (an instant that the schedule looks after), waiting, running, done."""

lanes = Table("lanes", metadata, Column("lane", String(400), primary_key=True), **MARIADB)
"""One row a lane, to be locked by whoever claims in it; on SQLite, where one process writes, there are none."""

sessions = Table(
    "sessions",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("lane", String(400), nullable=False),
    Column("engine", Word, nullable=False, default=""),
    Column("model", Key, nullable=False, default=""),
    Column("persona", Key, nullable=False, default=""),
    Column("summary", LongText, nullable=False, default=""),
    Column("summary_tainted", Boolean, nullable=False, default=False),
    Column("summarized_to", Id, nullable=False, default=0),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger, nullable=False, default=0),
    Column("title", Key, nullable=False, default="", server_default=""),
    Column("strategy", Word, nullable=False, default="", server_default=""),
    Column("picked", Integer, nullable=False, default=0, server_default="0"),
    Index("sessions_lane", "lane", "closed_at_ms", mariadb_length={"lane": 190}),
    **MARIADB,
)
"""A lane's conversations. An open one has closed_at_ms 0; the lane's current one is the open one with the highest
`picked`, of several the newest. History up to row `summarized_to` is in `summary`. strategy: the turn strategy that
was chosen, or "".
"""

turns = Table(
    "turns",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("input_id", Id, nullable=False),
    Column("session_id", Id, nullable=False),
    Column("lane", String(400), nullable=False),
    Column("principal", Key, nullable=False),
    Column("origin", Word, nullable=False),
    Column("state", Word, nullable=False),
    Column("reason", Words, nullable=False, default=""),
    Column("steps", Integer, nullable=False, default=0),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False, default=0),
    Index("turns_input", "input_id"),
    Index("turns_principal", "principal", "started_at_ms"),
    **MARIADB,
)
"""state: running, awaiting_approval, complete, aborted, error."""

replies = Table(
    "replies",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("turn_id", Id, nullable=False),
    Column("step", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("engine", Word, nullable=False),
    Column("model", Key, nullable=False),
    Column("text", LongText, nullable=False),
    Column("finish_reason", Word, nullable=False),
    Column("prompt_bytes", Integer, nullable=False, default=0),
    Column("prompt_tokens", Integer),
    Column("cached_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("turn_id", "step", "attempt", name="replies_place"),
    **MARIADB,
)
"""Every raw reply of a model, corrections included, recorded before its actions run."""

steps = Table(
    "steps",
    metadata,
    Column("turn_id", Id, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("at_ms", BigInteger, nullable=False),
    **MARIADB,
)
"""The committed steps; their actions and outcomes stand in the ledger."""

ledger = Table(
    "ledger",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("turn_id", Id, nullable=False),
    Column("step", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("action", Key, nullable=False),
    Column("payload", LongText, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("effect", Word, nullable=False),
    Column("principal", Key, nullable=False),
    Column("status", Word, nullable=False),
    Column("reason", Words, nullable=False, default=""),
    Column("output", LongText),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("approval_id", Word, nullable=False, default=""),
    Column("started_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False, default=0),
    UniqueConstraint("turn_id", "step", "position", name="ledger_place"),
    **MARIADB,
)
"""What was done. status: started (an intent whose end is not known yet) or one of OutcomeStatus."""

messages = Table(
    "messages",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("session_id", Id, nullable=False),
    Column("turn_id", Id, nullable=False, default=0),
    Column("role", Word, nullable=False),
    Column("author", Key, nullable=False, default=""),
    Column("text", LongText, nullable=False),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("principal", Key, nullable=False, default="", server_default=""),
    Index("messages_session", "session_id", "id"),
    Index("messages_turn", "turn_id"),
    Index("messages_principal", "principal"),
    **MARIADB,
)
"""History. role: user, foreign (text that the principal did not write), assistant, actions (ledger summaries).

principal: whose turn it came of, or who said what came of none. author: a display name, for the prompt only.
"""

outbox = Table(
    "outbox",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("address", String(400), nullable=False),
    Column("interface", Word, nullable=False),
    Column("turn_id", Id, nullable=False, default=0),
    Column("text", LongText, nullable=False),
    Column("body", LongText, nullable=False),
    Column("state", Word, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before_ms", BigInteger, nullable=False, default=0),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("reason", Words, nullable=False, default=""),
    Column("message_id", Key, nullable=False, default=""),
    Column("lease_owner", Word, nullable=False, default=""),
    Column("lease_epoch", Integer, nullable=False, default=0),
    Column("lease_until_ms", BigInteger, nullable=False, default=0),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger, nullable=False, default=0),
    Index("outbox_open", "state", "address", "id", mariadb_length={"address": 190}),
    Index("outbox_turn", "turn_id"),
    **MARIADB,
)
"""What must go out, one row a part. state: waiting, sending, sent, dead."""

approvals = Table(
    "approvals",
    metadata,
    Column("id", Word, primary_key=True),
    Column("turn_id", Id, nullable=False),
    Column("step", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("lane", String(400), nullable=False),
    Column("action", Key, nullable=False),
    Column("payload", LongText, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("principal", Key, nullable=False),
    Column("approver", Key, nullable=False),
    Column("reason", Words, nullable=False, default=""),
    Column("state", Word, nullable=False),
    Column("scope", Word, nullable=False, default=""),
    Column("decided_by", Key, nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("approvals_turn", "turn_id"),
    Index("approvals_state", "state", "expires_at_ms"),
    **MARIADB,
)
"""state: waiting, approved, denied, expired, used. approver: a principal, or "role:trainer" for any trainer."""

kv = Table(
    "kv",
    metadata,
    Column("owner", String(60), primary_key=True),
    Column("key", Key, primary_key=True),
    Column("value", LongText, nullable=False),
    **MARIADB,
)
"""Small durable values of components, JSON."""

people = Table(
    "people",
    metadata,
    Column("principal", Key, primary_key=True),
    Column("role", Word, nullable=False),
    Column("name", Key, nullable=False, default=""),
    Column("since_ms", BigInteger, nullable=False),
    Column("decided_by", Key, nullable=False),
    Column("tell", String(400), nullable=False, default=""),
    **MARIADB,
)
"""Whom a trainer let in or shut out. role: user, guest, blocked; never trainer, whom only the settings name.

name: a display name, as information only. tell: the address at which they are still to be told, or "".
"""

pairings = Table(
    "pairings",
    metadata,
    Column("principal", Key, primary_key=True),
    Column("interface", Word, nullable=False),
    Column("code", Word, nullable=False),
    Column("name", Key, nullable=False, default=""),
    Column("address", String(400), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    UniqueConstraint("code", name="pairings_code"),
    Index("pairings_interface", "interface", "expires_at_ms"),
    **MARIADB,
)
"""The codes that strangers were given, one a principal."""

notices = Table(
    "notices",
    metadata,
    Column("principal", Key, primary_key=True),
    Column("kind", Word, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("count", Integer, nullable=False, default=1),
    Index("notices_at", "at_ms"),
    **MARIADB,
)
"""When a principal was last told what is told once in a while, or tried what may be tried so many times."""

reminders = Table(
    "reminders",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("principal", Key, nullable=False),
    Column("number", Integer, nullable=False),
    Column("address", String(400), nullable=False),
    Column("asked_in", String(400), nullable=False),
    Column("text", LongText, nullable=False),
    Column("mode", Word, nullable=False),
    Column("start", Word, nullable=False),
    Column("zone", Key, nullable=False),
    Column("rule", Text, nullable=False, default=""),
    Column("elapsed", Boolean, nullable=False, default=False),
    Column("next_local", Word, nullable=False, default=""),
    Column("next_at_ms", BigInteger, nullable=False, default=0),
    Column("remaining", Integer),
    Column("missed", Word, nullable=False),
    Column("max_lateness_s", Integer),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("state", Word, nullable=False),
    Column("note", Text, nullable=False, default=""),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("number", name="reminders_number"),
    Index("reminders_principal", "principal", "state", "next_at_ms"),
    Index("reminders_state", "state", "id"),
    **MARIADB,
)
"""What somebody wants to be reminded of. state: active, done, cancelled.

start, next_local: naive wall-clock times (of UTC where `elapsed`), ISO 8601. remaining: occurrences behind the next
one, NULL without bound. The next instant stands in the inbox as well, as an input in state scheduled.
"""

zones = Table(
    "zones",
    metadata,
    Column("principal", Key, primary_key=True),
    Column("zone", Key, nullable=False),
    **MARIADB,
)
"""The IANA zone that a principal lives by."""

compensations = Table(
    "compensations",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("turn_id", Id, nullable=False),
    Column("action_id", Key, nullable=False),
    Column("action", Key, nullable=False),
    Column("principal", Key, nullable=False),
    Column("lane", String(400), nullable=False),
    Column("undo", LongText, nullable=False),
    Column("undone_by", Id, nullable=False, default=0),
    Column("at_ms", BigInteger, nullable=False),
    UniqueConstraint("action_id", name="compensations_action"),
    Index("compensations_last", "principal", "undone_by", "id"),
    **MARIADB,
)
"""How what was done can be taken back: `undo` is an action, JSON. action_id: turn.step.position of what was done.

undone_by: the turn that took it back, or 0.
"""

events = Table(
    "events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("event_id", Key, nullable=False),
    Column("name", Key, nullable=False),
    Column("source", Key, nullable=False),
    Column("cause", Key, nullable=False, default=""),
    Column("correlation_id", Key, nullable=False, default=""),
    Column("principal", Key, nullable=False, default=""),
    Column("lane", String(400), nullable=False, default=""),
    Column("data", LongText, nullable=False),
    Column("outcome", Word, nullable=False),
    Column("reason", LongText, nullable=False, default=""),
    Column("runs", LongText, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("events_correlation", "correlation_id", "id"),
    Index("events_principal", "principal"),
    Index("events_lane", "lane"),
    **MARIADB,
)
"""What happened and who was told, where that is kept. data, runs: JSON. principal, lane: whose it was, or ""."""
notes = Table(
    "notes",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("address", String(400), nullable=False),
    Column("plugin", Key, nullable=False),
    Column("text", LongText, nullable=False),
    Column("tainted", Boolean, nullable=False, default=False),
    Column("turn_id", Id, nullable=False, default=0),
    Column("created_at_ms", BigInteger, nullable=False),
    Index("notes_address", "address", "id", mariadb_length={"address": 190}),
    Index("notes_created", "created_at_ms"),
    **MARIADB,
)
"""What plugins add to the next message of a chat. turn_id: the turn that carries it, or 0; it goes with its end."""

asks = Table(
    "asks",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=True),
    Column("principal", Key, nullable=False),
    Column("plugin", Key, nullable=False),
    Column("engine", Word, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("asks_principal", "principal", "at_ms"),
    Index("asks_at", "at_ms"),
    **MARIADB,
)
"""What the calls of a model that plugins made cost, for the budget of the principal whom they were made for."""
