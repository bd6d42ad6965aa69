"""Two hundred actions of forty plugins: what the prompt costs, whether its beginning stays, what can be reached."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.chats import Chats
from benchmarks.figures import Figure
from benchmarks.installation import installation
from core.contracts.engine import EngineRequest
from core.testing import ScriptedEngine, actions, message, running_app
from tests.support.many_actions import DEEDS, Place, places
from tests.support.model_server import ModelServer

LARGEST = 8 * 1024
ASKED = (
    "give the plants in the {place} some water",
    "dim the lamps in the {place}",
    "lock up the {place}",
    "make it warmer in the {place}, heat it",
    "what do the sensors say in the {place}",
)
"""Words about each of DEEDS, in their order."""


async def many_actions(directory: Path) -> list[Figure]:
    """Count the bytes of whole requests, and the actions that the offline engine and a scripted one come to."""
    figures = []
    count = 0
    for mode in ("json_schema", "json_object", "prompt"):
        chats = Chats()
        async with (
            ModelServer() as server,
            installation(directory / f"many-{mode}", server.base_url, chats, mode=mode, plugins=places()) as app,
        ):
            count = sum(entry.spec.model for entry in app.registry.generation.values())
            await chats.say("ping", "ping")
            await chats.say("ping", "and again")
            first, second = (request.body for request in server.requests)
            size = len(server.requests[0].raw)
        same = [first["messages"][0], first.get("response_format")] == [
            second["messages"][0],
            second.get("response_format"),
        ]
        figures.append(Figure(name=f"{count} actions, {mode}", value=size, unit="bytes", at_most=LARGEST))
        figures.append(
            Figure(name=f"{count} actions, {mode}: beginning kept", value=float(same), unit="", at_least=1)
        )
    offline, scripted = await _reached_offline(), await _reached_by_description()
    everything = len(places()) * len(DEEDS)
    figures.append(Figure(name="reached by the offline engine", value=offline, unit="actions", at_least=everything))
    figures.append(
        Figure(name="found by words, described and run", value=scripted, unit="actions", at_least=everything)
    )
    return figures


async def _reached_offline() -> int:
    house = places()
    async with running_app(plugins=house, chain=("offline",)) as kit:
        for plugin in house:
            for deed in DEEDS:
                await kit.interface.ask(f"{deed} the {plugin.place} at 7")
    return _right(house)


async def _reached_by_description() -> int:
    """Have a model that knows no names ask by words about each deed, and take the first action that it is told of."""

    def answer(request: EngineRequest) -> str:
        if request.messages[-1].source != "outcomes":
            return actions(("describe_actions", {"about": request.messages[-1].content}))
        told = json.loads(request.messages[-1].content.partition("\n")[2])[0]
        if told["action"] == "describe_actions":
            return actions((next(iter(told["output"])), {"amount": 7}))
        return message("done")

    house = places()
    async with running_app(plugins=house, engine=ScriptedEngine(otherwise=answer)) as kit:
        for plugin in house:
            for asked in ASKED:
                await kit.interface.ask(asked.format(place=plugin.place))
    return _right(house)


def _right(house: list[Place]) -> int:
    """Return how many of the five deeds of each place were done, once and in order of asking."""
    return sum(
        len(DEEDS) for plugin in house if plugin.done == [(f"{plugin.place}_{d}", {"amount": 7}) for d in DEEDS]
    )
