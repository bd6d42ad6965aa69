"""What crosses between Rekku and the process of a plugin comes out as it went in, and nothing else comes out."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from datetime import date, datetime, time
from typing import Any

import pytest

from core.contracts.actions import ActionEnvelope, ActionSpec, DisplayHints, Effect, Permission, Untrusted
from core.contracts.deliveries import Button, Delivery, Health
from core.contracts.engine import EngineReply, EngineRequest, PromptMessage, Source, Usage
from core.contracts.errors import ActionFailed, DeclarationError, RekkuError, RetryAction
from core.contracts.hooks import HOOKS, Block, Intercept, SessionView, TurnContext
from core.contracts.inputs import Address, Attachment, Input, InputKind, Origin, Principal, Quoted, Role
from core.contracts.outcomes import Outcome, OutcomeStatus
from core.contracts.reminders import Intent, Occurrence
from core.contracts.schedule import Reminder
from core.isolation.codec import CannotCross, decode, encode
from core.isolation.crossing_errors import PluginProcessDied, decode_error, encode_error
from core.isolation.declared import Declared
from core.isolation.peer import MAX_MESSAGE, Peer, ProtocolBroken
from core.turn.running_action import lost_connection

ANNA = Principal("test", "anna")
HERE = Address("test", "a/b", "3")
TURN = TurnContext(
    turn_id=3, principal=ANNA, role=Role.USER, address=HERE, origin=Origin.SYSTEM, session=SessionView(id=4)
)
INPUT = Input(
    kind=InputKind.BUTTON,
    principal=ANNA,
    address=HERE,
    dedupe_key="k",
    text="hi \udcff",
    quoted=(Quoted(relation="reply", author="Bea", text="x"),),
    attachments=(Attachment(kind="file", name="f", ref="r", size_bytes=3),),
    data={"$": 1, "deep": [{"$data": None}]},
)
SPEC = ActionSpec(
    type="roll",
    description="Roll.",
    schema={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    permission=Permission.ANYONE,
    effect=Effect.READ,
    phrases=("roll {n}",),
    display=DisplayHints(verb="rolls"),
)
REQUEST = EngineRequest(
    instructions="i",
    catalogue="c",
    catalogue_brief="b",
    messages=(PromptMessage(role="user", content="x", source=Source.PRINCIPAL),),
    actions=(SPEC,),
    response_schema={"type": "object"},
    temperature=1,
)
DELIVERY = Delivery(address=HERE, text="x", buttons=(Button(label="b", data={"a": 1}),), ttl_s=5)
ACTION = ActionEnvelope(type="roll", payload={"n": 2})

CROSSES: dict[str, list[Any]] = {
    "transform_input": [TURN, INPUT, Intercept("no")],
    "resolve_session": [TURN, SessionView(id=1, engine="e")],
    "gather_context": [TURN, Untrusted("x"), {"a": [1.5, None, True]}],
    "extend_system_prompt": [TURN, "prompt"],
    "filter_actions": [TURN, [SPEC]],
    "before_llm": [TURN, REQUEST],
    "after_llm": [TURN, EngineReply(text="x", usage=Usage(prompt_tokens=3))],
    "before_action": [TURN, ACTION, Block("no")],
    "after_action": [TURN, ACTION, Outcome(status=OutcomeStatus.DONE, output={"x": [1]})],
    "before_delivery": [TURN, DELIVERY, Block("no")],
}
OTHERS = [
    Health(ok=False, detail="d"),
    Occurrence(local=datetime(2026, 1, 2, 3, 4), at_ms=5, remaining=None),
    Reminder(
        principal=ANNA,
        number=1,
        address=HERE,
        asked_in=HERE,
        text="x",
        intent=Intent(start=datetime(2026, 1, 2), zone="UTC"),
        next=None,
    ),
    {"day": date(2026, 1, 2), "at": time(3, 4), 5: (1, (2,)), "set": frozenset({1, 2})},
]


def crossed(value: Any) -> Any:
    return decode(json.loads(json.dumps(encode(value))))


def test_every_hook_is_covered() -> None:
    assert CROSSES.keys() == HOOKS.keys()


@pytest.mark.parametrize("values", [*CROSSES.values(), OTHERS])
def test_what_crosses_comes_out_as_it_went_in(values: list[Any]) -> None:
    for value in values:
        out = crossed(value)
        assert out == value
        assert type(out) is type(value)


@pytest.mark.parametrize("value", [object(), lambda: 1, b"bytes", {"x": ValueError()}])
def test_what_is_no_plain_data_does_not_go(value: Any) -> None:
    with pytest.raises(CannotCross, match="plain data"):
        encode(value)


@pytest.mark.parametrize(
    "text",
    [
        '{"$": ["data", "inputs.Address", {"interface": 1, "chat_id": "c"}]}',
        '{"$": ["data", "inputs.Address", {"interface": "t"}]}',
        '{"$": ["data", "inputs.Address", {"interface": "t", "chat_id": "c", "more": 1}]}',
        '{"$": ["data", "os.system", {}]}',
        '{"$": ["data", "inputs.Role", {}]}',
        '{"$": ["enum", "inputs.Role", "king"]}',
        '{"$": ["enum", "inputs.Address", "t"]}',
        '{"$": ["enum", "actions.Untrusted", {}]}',
        '{"$": ["data", "strategies.StepPlan", {"actions": {"$": ["dict", [["$a", 1]]]}}]}',
        '{"$": ["time", "noon"]}',
        '{"$": ["dict", [[[], 1]]]}',
        '{"$": []}',
        '{"$": 7}',
        '{"$": ["data", "outcomes.Outcome", {"status": "done"}]}',
        "[" * 200 + "]" * 200,
    ],
)
def test_what_was_never_written_is_refused(text: str) -> None:
    with pytest.raises(CannotCross):
        decode(json.loads(text))


class OwnFailure(ActionFailed):
    """An error that only the plugin knows."""


@pytest.mark.parametrize(
    "error", [ActionFailed("no", cure="do"), RetryAction("later"), OwnFailure("mine", cure="do")]
)
def test_errors_of_ours_stay_what_they_are(error: RekkuError) -> None:
    out = decode_error(json.loads(json.dumps(encode_error(error))))
    assert isinstance(out, ActionFailed)
    assert (type(out).__name__, str(out), out.explain()) == (type(error).__name__, str(error), error.explain())


def test_a_lost_connection_stays_one() -> None:
    class Odd(Exception):
        pass

    odd = Odd("x")
    odd.__cause__ = ConnectionResetError("gone")
    out = decode_error(json.loads(json.dumps(encode_error(odd))))
    assert type(out).__name__ == "Odd"
    assert lost_connection(out)
    assert not lost_connection(decode_error(encode_error(ValueError("x"))))
    assert lost_connection(PluginProcessDied("x"))


@pytest.mark.parametrize(
    "sent",
    [
        (MAX_MESSAGE + 1).to_bytes(4, "big"),
        b"\0\0\0\1{",
        b"\0\0\0\2[]",
        b'\0\0\0\x0b{"call": 1}',
        b"\0\0\x27\x10" + b"[" * 10_000,
        b'\0\0\0\x1f{"tell":"x","with":[{"$":[1]}]}',
    ],
)
async def test_garbage_breaks_the_protocol(sent: bytes) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        peer = Peer(ours, serve=refuse, told=lambda name, args: None)
        theirs.sendall(sent)
        with pytest.raises(ProtocolBroken):
            await asyncio.wait_for(peer.run(), 10)


async def refuse(name: str, args: list[Any]) -> Any:
    raise AssertionError(name)


async def test_a_call_that_is_cancelled_is_cancelled_over_there() -> None:
    one, two = socket.socketpair()
    one.setblocking(False)
    two.setblocking(False)
    began, ended = asyncio.Event(), asyncio.Event()
    late: list[str] = []

    async def serve(name: str, args: list[Any]) -> Any:
        if name == "echo":
            return args
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    here = Peer(one, serve=refuse, told=lambda name, args: None, unanswered=late.append)
    there = Peer(two, serve=serve, told=lambda name, args: None)
    running = [asyncio.create_task(peer.run()) for peer in (here, there)]
    with one, two:
        assert await here.call("echo", TURN, (1,)) == [TURN, (1,)]
        call = asyncio.create_task(here.call("wait"))
        await began.wait()
        call.cancel()
        await asyncio.wait_for(ended.wait(), 10)
        assert await here.call("echo") == []  # the answer to the cancelled call came before this one
        assert late == []
        assert not here._cancelled
        with pytest.raises(CannotCross, match="larger than"):
            await here.call("echo", "x" * (MAX_MESSAGE + 1))
        here.abandon(PluginProcessDied("over"))
        with pytest.raises(PluginProcessDied, match="over"):
            await here.call("echo")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


NOTHING: dict[str, Any] = {
    "specs": [],
    "hooks": [],
    "handlers": [],
    "strategies": [],
    "jobs": [],
    "requires": [],
    "secrets": [],
    "config_schema": None,
}


@pytest.mark.parametrize("number", [math.nan, math.inf, -1, 0, 10**400, "5", None])
def test_a_deadline_that_is_none_is_no_declaration(number: Any) -> None:
    assert Declared.read(NOTHING).jobs == {}
    for declared in (
        {"strategies": [["slowly", "think", number]]},
        {"jobs": [["sweep", 60.0, "", False, number]]},
    ):
        with pytest.raises(DeclarationError, match="cannot be read"):
            Declared.read({**NOTHING, **declared})


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1])
def test_an_interval_that_is_none_is_no_declaration(seconds: float) -> None:
    with pytest.raises(DeclarationError, match="cannot be read"):
        Declared.read({**NOTHING, "jobs": [["sweep", seconds, "", False, 5]]})
