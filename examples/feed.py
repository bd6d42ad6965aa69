"""A feed: looks every quarter of an hour what is new, and tells those who follow it, each entry once.

What is new and the messages about it are stored in one transaction, as reminders that are due at once: a crash
between the two neither loses nor repeats a message.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from pydantic import BaseModel, Field
from sqlalchemy import Column, MetaData, String, Table, delete, insert, inspect, select

from core.ai_plugin_base import ActionContext, ActionFailed, AIPluginBase, action, every
from core.contracts.deliveries import Health
from core.contracts.inputs import Address, Principal
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder

LARGEST = 1_000_000
MOST_NEW = 5

metadata = MetaData()
followers = Table(
    "feed_follower",
    metadata,
    Column("principal", String(190), primary_key=True),
    Column("address", String(190), nullable=False),
)
seen = Table("feed_seen", metadata, Column("entry", String(190), primary_key=True))


class Feed(AIPluginBase):
    """Tells what is new in an Atom or RSS feed."""

    class Config(BaseModel):
        """`[plugins.feed]`: url is the feed's; without one nothing is looked at."""

        url: str = Field(default="", description="Where the feed is.")

    config: Config

    async def start(self) -> None:
        """Make the tables."""
        self.problem = ""
        await self.context.database.transact(metadata.create_all)

    async def health(self) -> Health:
        """Tell why the feed could not be read last time."""
        return Health(ok=not self.problem, detail=self.problem)

    @action(effect="local", command="follow", phrases=["follow the feed"])
    async def follow_feed(self, ctx: ActionContext) -> str:
        """Tell of what is new in the feed, here, from now on."""
        if not self.config.url:
            raise ActionFailed("No feed is configured.", cure="Set url in [plugins.feed] of rekku.toml.")
        row = {"principal": str(ctx.principal), "address": str(ctx.address)}
        ctx.write(lambda conn: follow(conn, row))
        return "You will be told of what is new."

    @action(effect="local", command="unfollow")
    async def unfollow_feed(self, ctx: ActionContext) -> str:
        """Tell no more of the feed."""
        ctx.write(lambda conn: unfollow(conn, str(ctx.principal)))
        return "You will not be told any more."

    @every(minutes=15)
    async def look(self) -> None:
        """Read the feed and tell of what is new in it."""
        if not self.config.url:
            return
        try:
            entries = await asyncio.to_thread(entries_of, await self.fetch())
        except (OSError, ValueError, ElementTree.ParseError) as error:
            self.problem = f"The feed cannot be read: {error}"
            return
        self.problem = ""
        told = await self.context.database.read(lambda conn: list(conn.execute(select(followers))))
        pairs = [(row, await self.context.schedule.new_number()) for row in told]
        new = await self.context.database.transact(lambda conn: self._tell(conn, entries, pairs))
        self.context.log.info("looked at the feed", new=new)

    async def fetch(self) -> bytes:
        """Return the feed's text; raises OSError."""
        import aiohttp  # heavy, and only needed here

        try:
            timeout = aiohttp.ClientTimeout(total=20)
            async with aiohttp.ClientSession(timeout=timeout) as session, session.get(self.config.url) as answer:
                answer.raise_for_status()
                return await answer.content.read(LARGEST)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise OSError(str(error) or type(error).__name__) from error

    def _tell(self, conn: Any, entries: list[tuple[str, str]], told: list[tuple[Any, int]]) -> int:
        """Note the entries that are new, and set a reminder for each follower that is due at once."""
        known = set(conn.execute(select(seen.c.entry)).scalars())
        new = [(key, title) for key, title in entries if key not in known]
        for key, _ in new:
            conn.execute(insert(seen), {"entry": key})
        if not new or not known:  # of the first look everything is new, and nobody wants to read it all
            return 0
        text = "New: " + "; ".join(title for _, title in new[:MOST_NEW])
        now_ms = self.context.clock.now_ms()
        local = datetime.fromtimestamp(now_ms / 1000, UTC).replace(tzinfo=None)
        for row, number in told:
            address = Address.parse(row.address)
            reminder = Reminder(
                principal=Principal.parse(row.principal),
                number=number,
                address=address,
                asked_in=address,
                text=text,
                intent=Intent(start=local, zone="UTC", elapsed=True),
                next=Occurrence(local=local, at_ms=now_ms),
                tainted=True,  # somebody else has written it
            )
            self.context.schedule.add(conn, reminder)
        return len(new)

    async def export_person(self, principal: Principal) -> dict[str, str] | None:
        """Return where somebody is told."""
        address = await self.context.database.read(lambda conn: followed_from(conn, str(principal)))
        return {"follows from": address} if address else None

    async def erase_person(self, principal: Principal) -> int:
        """Forget that somebody follows."""
        return await self.context.database.transact(lambda conn: unfollow(conn, str(principal)))


def follow(conn: Any, row: dict[str, str]) -> None:
    """Note where somebody is to be told."""
    conn.execute(delete(followers).where(followers.c.principal == row["principal"]))
    conn.execute(insert(followers), row)


def unfollow(conn: Any, who: str) -> int:
    """Forget somebody; returns how many rows that were."""
    if followed_from(conn, who) is None:
        return 0
    conn.execute(delete(followers).where(followers.c.principal == who))
    return 1


def followed_from(conn: Any, who: str) -> str | None:
    """Return the address from which somebody follows, or None."""
    if not inspect(conn).has_table(followers.name):
        return None
    address: str | None = conn.execute(select(followers.c.address).where(followers.c.principal == who)).scalar()
    return address


def entries_of(text: bytes) -> list[tuple[str, str]]:
    """Return (id, title) of each entry of an Atom or RSS feed; raises ValueError or ParseError."""
    if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
        raise ValueError("it declares entities, which feeds do not need")
    found = []
    for item in ElementTree.fromstring(text).iter():
        if item.tag.rpartition("}")[2] in ("entry", "item"):
            parts = {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in item}
            key = parts.get("id") or parts.get("guid") or parts.get("link") or parts.get("title", "")
            if key:
                found.append((key[:190], parts.get("title", key)[:200]))
    return found


PLUGIN_CLASS = Feed
