"""A pantry: a line in /status, a mention, a health check, a number for /metrics, and commands, `rekku pantry …`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from core.ai_plugin_base import AIPluginBase, TurnContext
from core.contracts.deliveries import Health
from core.contracts.slots import CommandGroup, Gauge, HealthCheck, Mention, StatusSegment


class Pantry(AIPluginBase):
    """Knows what is in the pantry."""

    async def start(self) -> None:
        """Fill the slots; what fills them is taken away when the plugin stops."""
        fill = self.context.contribute
        fill("status", StatusSegment(text=self.status))
        fill("mentions", Mention(name="pantry", description="What is in the pantry.", resolve=self.tell))
        fill("health", HealthCheck(name="stock", check=self.look))
        fill("metrics", Gauge(name="jars", description="Jars in the pantry.", read=self.count))

    def command_groups(self) -> Sequence[CommandGroup]:
        """Return the commands of the command line; there the plugin is not started, and the database is the same."""
        run: dict[str, Callable[..., object]] = {"list": self.list_jars, "put": self.put}
        return [CommandGroup(name="pantry", description="Look into the pantry, and fill it.", run=run)]

    async def list_jars(self) -> None:
        """List what there is."""
        for name, count in (await self.jars()).items():
            print(f"{count} {name}")

    async def put(self, name: str, count: int = 1) -> int:
        """Put some jars in; 0 takes the last of them out."""
        if count < 0:
            print("There is no jar of less than nothing.")
            return 1
        jars = {**await self.jars(), name: count}
        await self.context.kv.set("jars", {name: count for name, count in jars.items() if count})
        return 0

    async def jars(self) -> dict[str, int]:
        """Return how many jars there are of each thing."""
        return dict(await self.context.kv.get("jars", {}))

    async def count(self) -> int:
        """Return how many jars there are."""
        return sum((await self.jars()).values())

    async def status(self) -> str:
        """Return the line of `/status`."""
        return f"{await self.count()} jars in the pantry"

    async def tell(self, turn: TurnContext, name: str) -> str:
        """Return what the model is told where somebody writes @pantry."""
        return ", ".join(f"{count} of {what}" for what, count in (await self.jars()).items()) or "It is empty."

    async def look(self) -> Health:
        """Tell a person that it is empty; the plugin itself works all the same."""
        count = await self.count()
        return Health(ok=count > 0, detail=f"{count} jars.", cure="Write `rekku pantry put jam`, say.")


PLUGIN_CLASS = Pantry
