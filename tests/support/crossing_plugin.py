"""A plugin that uses everything of its context that can cross to a process of its own, and its neighbour inside."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import Any

from core.ai_plugin_base import (
    ActionContext,
    ActionFailed,
    AIPluginBase,
    Drop,
    Event,
    Reject,
    StepPlan,
    Stop,
    TurnContext,
    Untrusted,
    action,
    hook,
    on,
    regex,
    strategy,
    wake_word,
)
from core.contracts.engine import EngineRequest
from core.contracts.errors import BudgetUsedUp, RekkuError
from core.contracts.events import Handled
from core.contracts.inputs import Address, Principal
from core.contracts.json import Json, JsonObject
from core.contracts.messages import Said
from core.contracts.slots import Gauge, Mention, MessageRenderer, StatusSegment
from core.contracts.steps import Step


def bright(event: Event) -> bool:
    """A condition that only code can say."""
    return bool(event.data["bright"])


async def broken(event: Event) -> bool:
    raise LookupError("no condition")


@dataclass
class Light:
    """A type that nobody else knows."""

    on: bool
    in_: str


class Crosser(AIPluginBase):
    """Does in its action what it is told. `heard`: what its handlers were told, in order."""

    name = "crosser"

    def __init__(self) -> None:
        self.heard: list[Json] = []
        self.jobs: dict[str, Any] = {}
        self.later: asyncio.Event = asyncio.Event()

    async def start(self) -> None:
        self.context.contribute("status", StatusSegment(text=lambda: f"{len(self.heard)} heard"))
        self.context.contribute(
            "mentions", Mention(name="crossing", description="The crossing.", resolve=self.resolve)
        )
        self.context.contribute(
            "renderers", MessageRenderer(name="crossed", render=self.render, interfaces=("test",))
        )
        self.context.contribute("metrics", Gauge(name="heard", description="Heard.", read=lambda: len(self.heard)))

    def render(self, turn: TurnContext, text: str) -> str:
        return f"{text.strip()} for {turn.principal}"

    async def resolve(self, turn: TurnContext, name: str) -> str | Untrusted:
        return f"{name} of {turn.principal}"

    @on("lamp.switching", stage="validate")
    async def check(self, event: Event) -> Reject | None:
        return None if isinstance(event.data.get("on"), bool) else Reject("on is true or false")

    @on("lamp.switching", stage="filter", when=bright)
    def level(self, event: Event) -> JsonObject:
        return {**event.data, "level": 10}

    @on("lamp.switching", stage="filter", when=regex("^nobody", field="room"))
    async def drop(self, event: Event) -> Drop:
        return Drop("nobody is there")

    @on("lamp.switching", when=wake_word("hey, lamp", "please", field="said.text"), priority=50)
    async def polite(self, event: Event) -> object:
        self.heard.append(["polite", event.data["said"]["text"]])
        return object()

    @on("lamp.switching", when=broken)
    async def never(self, event: Event) -> None:
        self.heard.append("never")

    @on("lamp.switching", when=regex("^hall", field="room"), priority=200)
    async def enough(self, event: Event) -> Stop:
        return Stop("enough")

    @on("light.asked")
    async def tell(self, event: Event) -> Light:
        return Light(on=True, in_=event.data["room"])

    @on("light.asked", priority=300)
    async def cannot_tell(self, event: Event) -> object:
        return object()

    @on("circle.round")
    async def round(self, event: Event) -> None:
        told = await self.context.events.emit("circle.round")
        self.heard.append([event.depth, told.end])

    @on("crosser.called_back")
    async def called_back(self, event: Event) -> str:
        value = await self.context.events.request("light.asked", {"room": "cellar"})
        return f"{event.source}, {event.correlation_id}, {event.depth}, {value}"

    @on("job.ended")
    async def job_ended(self, event: Event) -> None:
        job = self.jobs.get(event.data["job_id"])
        if job is not None:
            self.heard.append([event.data["name"], event.data["state"], job.state, job.result, job.error])

    @hook("before_llm")
    async def look(self, turn: TurnContext, request: EngineRequest) -> None:
        if request.instructions == "Add.":
            self.heard.append(await _refusal(self.context.engines.ask("and again")))

    @strategy("one_step")
    def one_step(self, turn: TurnContext, steps: tuple[Step, ...]) -> StepPlan:
        self.heard.append(["asked", len(steps)])
        return StepPlan(last=True, actions={"do"}, instruction="One step.")

    @action(effect="external", permission="anyone", repeatable=True, reads_outside=False, timeout_s=20)
    async def do(self, ctx: ActionContext, what: str) -> Json:
        """Do something."""
        return await getattr(self, what)(ctx)

    @action(effect="external", permission="anyone", reads_outside=False, timeout_s=0.5)
    async def do_shortly(self) -> Json:
        """Call what takes longer than there is time."""
        return await self.context.services.call_plugin("neighbour", "hold", {})

    @action(effect="external", permission="anyone", repeatable=True, reads_outside=False)
    async def back_again(self) -> Json:
        """Be called by a neighbour."""
        return os.getpid() > 0

    async def emit(self, ctx: ActionContext) -> Json:
        emit = self.context.events.emit
        said = {"text": "Hey LAMP!"}
        facts = []
        for on_, bright_, room in (
            ("yes", True, "x"),
            (True, True, "hall"),
            (True, False, "nobody's"),
            (True, False, "x"),
        ):
            data = {"on": on_, "bright": bright_, "room": room, "said": said}
            facts.append(_facts(await emit("lamp.switching", data)))
        refused = [await _refusal(emit(name)) for name in ("turn.started", "Not a name")]
        return [facts, refused, self.heard]

    async def ask(self, ctx: ActionContext) -> Json:
        events = self.context.events
        first = await events.request("light.asked", {"room": "attic"})
        answers = [
            [a.plugin, a.handler, a.value, bool(a.error)] for a in await events.gather("light.asked", {"room": "x"})
        ]
        return [first, answers, await events.request("nobody.asked"), await _refusal(events.request("door.opening"))]

    async def circle(self, ctx: ActionContext) -> Json:
        told = await self.context.events.emit("circle.round")
        return [told.end, told.event.depth, self.heard]

    async def subscribe(self, ctx: ActionContext) -> Json:
        heard: list[Json] = []

        async def hear(event: Event) -> str:
            heard.append([event.name, event.data])
            return "heard"

        subscription = self.context.events.subscribe("bell.*", hear, when=lambda event: event.data["loud"])
        told = [await self.context.events.request("bell.rang", {"loud": loud}) for loud in (True, False)]
        subscription.cancel()
        subscription.cancel()
        told.append(await self.context.events.request("bell.rang", {"loud": True}))
        wrong = []
        try:
            self.context.events.subscribe("bell.*", hear, stage="no")
        except RekkuError as error:
            wrong.append(error.explain())
        return [told, heard, wrong]

    async def call(self, ctx: ActionContext) -> Json:
        call = self.context.services.call_plugin
        told = [await call("neighbour", "greet", {"who": "Anna"}), await call("neighbour", "call_back", {})]
        for action_, payload in (("only_trainer", {}), ("greet", {"who": 5}), ("gret", {}), ("fail", {})):
            told.append(await _refusal(call("neighbour", action_, payload)))
        before = ctx.tainted
        told.append([await call("neighbour", "read_page", {}), before, ctx.tainted])
        told.append(await _refusal(call("neighbour", "greet", {"who": "Bea"})))
        ctx.send("what was read")
        return told

    async def model(self, ctx: ActionContext) -> Json:
        before = ctx.tainted
        reply = await self.context.engines.ask(
            ["two and", Untrusted("two")], instructions="Add.", max_output_tokens=9
        )
        wrong = [
            await _refusal(self.context.engines.ask("x", engine="nobody")),
            await _refusal(self.context.engines.ask([])),
        ]
        return [reply.text, before, ctx.tainted, wrong]

    async def ask_for_zoe(self, ctx: ActionContext) -> Json:
        try:
            return (await self.context.engines.ask("two and two", principal=Principal("test", "zoe"))).text
        except BudgetUsedUp as error:
            return str(error)

    async def messages(self, ctx: ActionContext) -> Json:
        def hear(said: Said) -> None:
            self.heard.append([said.role, said.text])

        self.hearing = self.context.messages.subscribe(hear, address=ctx.address)
        await self.context.messages.show(ctx.address, "shown")
        await self.context.messages.note(ctx.address, Untrusted("noted"))
        elsewhere = Address("nowhere", "1")
        return [self.hearing.dropped, await _refusal(self.context.messages.show(elsewhere, ""))]

    async def begin(self, ctx: ActionContext) -> Json:
        async def fail() -> None:
            raise ValueError("burnt")

        async def work(what: str) -> Json:
            return [what, await self.context.events.request("light.asked", {"room": what})]

        async def forever() -> None:
            await asyncio.Event().wait()

        started = [
            self.context.jobs.start(lambda: work("bread"), "bread"),
            self.context.jobs.start(fail, "toast"),
            self.context.jobs.start(forever, "ice"),
        ]
        self.jobs = {job.id: job for job in started}
        started[2].cancel()
        try:
            self.context.jobs.start(forever, "never", timeout_s=0)
        except ValueError as error:
            return str(error)
        return [job.state for job in started]

    async def serve(self, ctx: ActionContext) -> Json:
        answers = [False, True]

        async def ready() -> bool:
            return answers.pop(0)

        server = await self.context.sidecar(["sleep", "600"], name="sleeper", ready=ready)
        pid = server.pid
        self.left = await self.context.sidecar(["sleep", "600"], name="left")
        await server.stop()
        refused = await _refusal(self.context.sidecar(["no-such-program"], name="none"))
        return [isinstance(pid, int), server.restarts, server.pid, answers, refused]

    async def left_pid(self, ctx: ActionContext) -> Json:
        return self.left.pid

    async def afterwards(self, ctx: ActionContext) -> Json:
        async def call() -> None:
            await self.later.wait()
            told = await self.context.events.emit("crosser.later")
            self.heard.append(await _refusal(self.context.services.call_plugin("neighbour", "greet", {"who": "x"})))
            self.heard.append([told.event.correlation_id == f"turn-{ctx.turn_id}", bool(told.event.cause)])

        self.context.spawn(call(), "afterwards")
        return "begun"

    async def go_on(self, ctx: ActionContext) -> Json:
        self.later.set()
        return None

    async def tell_heard(self, ctx: ActionContext) -> Json:
        return self.heard

    async def require(self, ctx: ActionContext) -> Json:
        return str(self.context.services.require("thing"))

    async def call_for_long(self, ctx: ActionContext) -> Json:
        return await self.context.services.call_plugin("neighbour", "hold", {})

    async def begin_forever(self, ctx: ActionContext) -> Json:
        async def forever() -> None:
            await asyncio.Event().wait()

        return self.context.jobs.start(forever, "endless").id

    async def subscribe_for_long(self, ctx: ActionContext) -> Json:
        self.context.events.subscribe("bell.*", lambda event: "heard")
        return await self.context.events.request("bell.rang")

    async def flood(self, ctx: ActionContext) -> Json:
        emits = [self.context.events.emit("flood.one") for _ in range(400)]
        ended = await asyncio.gather(*emits, return_exceptions=True)
        return sorted({type(one).__name__ for one in ended if isinstance(one, BaseException)})


def _facts(handled: Handled) -> Json:
    runs = [[run.plugin, run.handler, run.stage, run.end, run.reason] for run in handled.runs]
    event = handled.event
    return [
        handled.end,
        handled.reason,
        runs,
        event.data,
        event.source,
        event.depth,
        event.correlation_id,
        event.cause != "",
    ]


async def _refusal(asking: Any) -> Json:
    try:
        return ["no refusal", await asking]
    except (RekkuError, ValueError) as error:
        return [type(error).__name__, error.explain() if isinstance(error, RekkuError) else str(error)]


class Neighbour(AIPluginBase):
    """A plugin inside Rekku. `heard`: the events of its neighbour. `gate`: what `hold` waits for."""

    name = "neighbour"

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.gate = asyncio.Event()
        self.held = asyncio.Event()
        self.ended = asyncio.Event()

    @on("crosser.later")
    async def hear(self, event: Event) -> None:
        self.heard.append(event)

    @on("light.asked", priority=200)
    async def tell(self, event: Event) -> str:
        return "dark"

    @on("door.opening", stage="filter")
    async def drop(self, event: Event) -> Drop:
        return Drop("locked")

    @action(effect="read", permission="anyone")
    async def greet(self, ctx: ActionContext, who: str) -> str:
        """Greet somebody."""
        return f"Hello, {who}, says {ctx.principal}"

    @action(effect="external", permission="anyone", repeatable=True, reads_outside=False)
    async def call_back(self) -> Json:
        """Ask whoever has called, by an event and by an action."""
        asked = await self.context.events.request("crosser.called_back")
        return [asked, await self.context.services.call_plugin("crosser", "back_again", {})]

    @action(effect="read", permission="anyone", reads_outside=True)
    async def read_page(self) -> str:
        """Read something from outside."""
        return "outside"

    @action(effect="external", permission="trainer", reads_outside=False)
    async def only_trainer(self) -> str:
        """Do what only a trainer may."""
        return "done"

    @action(effect="read", permission="anyone")
    async def fail(self) -> str:
        """Fail."""
        raise ActionFailed("It does not work.", cure="Nothing to be done.")

    @action(effect="external", permission="anyone", timeout_s=30)
    async def hold(self) -> str:
        """Take as long as the test wants."""
        self.held.set()
        try:
            await self.gate.wait()
        finally:
            self.ended.set()
        return "let go"
