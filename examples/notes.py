"""Notes of each person: local writes, a table of its own, small values, undo, and what is kept of somebody."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field
from sqlalchemy import Column, Integer, MetaData, String, Table, delete, func, insert, inspect, select

from core.ai_plugin_base import ActionContext, ActionFailed, AIPluginBase, action
from core.contracts.inputs import Principal

metadata = MetaData()
notes = Table(
    "notes_note",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("principal", String(190), nullable=False, index=True),
    Column("number", Integer, nullable=False),
    Column("text", String(500), nullable=False),
)

Number = Annotated[int, Field(ge=1, description="the note's number")]


class Notes(AIPluginBase):
    """Keeps notes, for everybody their own."""

    class Config(BaseModel):
        """`[plugins.notes]`: most is how many notes one person may have."""

        most: int = Field(default=100, ge=1)

    config: Config

    async def start(self) -> None:
        """Make the table, and count the starts."""
        await self.context.database.transact(metadata.create_all)
        await self.context.kv.set("starts", await self.context.kv.get("starts", 0) + 1)

    @action(effect="local", command="note", phrases=["note down {text}"], compensation="drop_note")
    async def write_note(
        self, ctx: ActionContext, text: Annotated[str, Field(min_length=1, max_length=500, description="the note")]
    ) -> str:
        """Write a note down."""
        who = str(ctx.principal)
        rows = await self.context.database.read(lambda conn: numbers(conn, who))
        if len(rows) >= self.config.most:
            raise ActionFailed(f"There are {len(rows)} notes already.", cure="Drop one first.")
        number = max(rows, default=0) + 1
        ctx.write(lambda conn: conn.execute(insert(notes), {"principal": who, "number": number, "text": text}))
        ctx.compensate({"number": number})
        return f"That is note {number}."

    @action(effect="local", command="drop_note")
    async def drop_note(self, ctx: ActionContext, number: Number) -> str:
        """Throw a note away."""
        who = str(ctx.principal)
        if number not in await self.context.database.read(lambda conn: numbers(conn, who)):
            raise ActionFailed(f"There is no note {number}.")
        ctx.write(lambda conn: conn.execute(delete(notes).where(notes.c.principal == who, notes.c.number == number)))
        return f"Note {number} is gone."

    @action(effect="read", command="notes", phrases=["show my notes"])
    async def list_notes(self, ctx: ActionContext) -> str:
        """List the notes."""
        who = str(ctx.principal)
        kept = await self.context.database.read(lambda conn: notes_of(conn, who))
        return "\n".join(f"{number}. {text}" for number, text in kept) or "There are none."

    async def export_person(self, principal: Principal) -> list[str] | None:
        """Return somebody's notes."""
        kept = await self.context.database.read(lambda conn: notes_of(conn, str(principal)))
        return [text for _, text in kept] or None

    async def erase_person(self, principal: Principal) -> int:
        """Delete somebody's notes."""
        return await self.context.database.transact(lambda conn: forget(conn, str(principal)))


def numbers(conn: Any, who: str) -> list[int]:
    """Return the numbers of somebody's notes."""
    return [number for number, _ in notes_of(conn, who)]


def notes_of(conn: Any, who: str) -> list[tuple[int, str]]:
    """Return somebody's notes; none where the plugin was never started."""
    if not inspect(conn).has_table(notes.name):
        return []
    query = select(notes.c.number, notes.c.text).where(notes.c.principal == who).order_by(notes.c.number)
    return [(number, text) for number, text in conn.execute(query)]


def forget(conn: Any, who: str) -> int:
    """Delete somebody's notes and return how many there were."""
    if not inspect(conn).has_table(notes.name):
        return 0
    count = conn.execute(select(func.count()).select_from(notes).where(notes.c.principal == who)).scalar()
    conn.execute(delete(notes).where(notes.c.principal == who))
    return int(count)


PLUGIN_CLASS = Notes
