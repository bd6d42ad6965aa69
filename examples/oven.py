"""An oven: work that takes longer than an action, as a background job, and a server of the plugin's own beside it."""

from __future__ import annotations

import asyncio
import socket
import sys

from pydantic import BaseModel, Field

from core.ai_plugin_base import ActionContext, AIPluginBase, Event, action, on
from core.contracts.inputs import Address


class Oven(AIPluginBase):
    """Bakes bread, and shows the recipes to browsers of this machine."""

    class Config(BaseModel):
        """`[plugins.oven]`."""

        bake_s: float = Field(default=60, ge=0, description="Seconds until the bread is ready.")

    config: Config

    async def start(self) -> None:
        """Start the server: it is kept going, and ended with the plugin and everything that it has started."""
        self.waiting: dict[str, Address] = {}
        self.port = free_port()
        argv = [sys.executable, "-m", "http.server", str(self.port), "--bind", "127.0.0.1"]
        folder = self.context.data_directory
        self.server = await self.context.sidecar(argv, name="recipes", cwd=folder, ready=self.answers)

    async def answers(self) -> bool:
        """Tell whether the server takes connections; an error means that it does not yet."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.close()
        return True

    @action(effect="local", command="bake", phrases=["bake bread"])
    async def bake_bread(self, ctx: ActionContext) -> str:
        """Begin to bake, and tell here when the bread is ready."""
        job = self.context.jobs.start(self.bake, "bread")
        self.waiting[job.id] = ctx.address
        return "It is in the oven."

    async def bake(self) -> str:
        """Take the time that it takes; a restart forgets it: what must not be lost is a reminder."""
        await self.context.clock.sleep(self.config.bake_s)
        return "fresh"

    @on("job.ended")
    async def tell(self, event: Event) -> None:
        """Tell who asked how it went."""
        address = self.waiting.pop(event.data["job_id"], None)
        if address is not None:
            how = event.data["result"] if event.data["state"] == "done" else event.data["state"]
            await self.context.messages.show(address, f"The bread is {how}.")

    @action(effect="read", command="recipes")
    async def tell_recipes(self) -> str:
        """Tell where the recipes are."""
        return f"http://127.0.0.1:{self.port}" if self.server.pid else "The server does not run."


def free_port() -> int:
    """Return a port that nobody uses at this moment."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


PLUGIN_CLASS = Oven
