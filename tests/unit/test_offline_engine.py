"""The offline engine: its grammar, its sums, what it says of itself, and what it never reads."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from core.ai_plugin_base import AIPluginBase
from core.contracts.actions import ActionSpec, Effect, Permission
from core.contracts.engine import EngineRequest, PromptMessage, Source
from core.contracts.json import Json, JsonObject
from engines.offline import PLUGIN_CLASS
from engines.offline.arithmetic import CannotCalculate, calculate
from engines.offline.phrases import MAX_CATALOGUES, GrammarCache
from plugins.dice import Dice
from plugins.message import Message
from plugins.time import Time
from plugins.weather import PLUGIN_CLASS as WEATHER_CLASS

INTEGER: Json = {"type": "integer"}
TEXT: Json = {"type": "string"}


def specs_of(plugin: AIPluginBase) -> tuple[ActionSpec, ...]:
    """Return the specs of a plugin's declared actions, as the catalogue would hold them."""
    unused = ("required_fields", "optional_fields")
    declarations = plugin.get_supported_actions().items()
    return tuple(
        ActionSpec(type=type_, **{k: v for k, v in said.items() if k not in unused}) for type_, said in declarations
    )


def spec(type_: str, *phrases: str, required: tuple[str, ...] = (), **fields: Json) -> ActionSpec:
    """Return the spec of an action that nobody runs: what the grammar needs of it."""
    return ActionSpec(
        type=type_,
        description=f"Do {type_}. More about it.",
        schema={"type": "object", "properties": fields, "required": list(required), "additionalProperties": False},
        effect=Effect.READ,
        permission=Permission.ANYONE,
        phrases=phrases,
    )


CATALOGUE = (*specs_of(Message()), *specs_of(Dice()), *specs_of(Time()), *specs_of(WEATHER_CLASS()))


def request(*messages: tuple[Source, str], actions: tuple[ActionSpec, ...] = CATALOGUE) -> EngineRequest:
    return EngineRequest(
        instructions="Answer in JSON.",
        catalogue="",
        catalogue_brief="",
        messages=tuple(PromptMessage(role="user", content=text, source=source) for source, text in messages),
        actions=actions,
    )


async def reply(*messages: tuple[Source, str], actions: tuple[ActionSpec, ...] = CATALOGUE) -> JsonObject:
    """Return the one action that the engine answers with."""
    answered = await PLUGIN_CLASS().complete(request(*messages, actions=actions))
    value = json.loads(answered.text)
    assert list(value) == ["actions"]
    assert len(value["actions"]) == 1
    action: JsonObject = value["actions"][0]
    assert list(action) == ["type", "payload"]
    return action


async def ask(text: str, *actions: ActionSpec) -> tuple[str, JsonObject]:
    """Return type and payload of the action that the principal's `text` leads to."""
    action = await reply((Source.PRINCIPAL, text), actions=actions or CATALOGUE)
    return action["type"], action["payload"]


async def told(text: str, *actions: ActionSpec) -> str:
    """Return the message with which `text` is answered."""
    type_, payload = await ask(text, *actions)
    assert type_ == "message"
    return str(payload["text"])


@pytest.mark.parametrize(
    ("text", "type_", "payload"),
    [
        ("roll a d20", "roll_dice", {"sides": 20}),
        ("Roll a D20!", "roll_dice", {"sides": 20}),
        ("  roll   d20 ", "roll_dice", {"sides": 20}),
        ("d20", "roll_dice", {"sides": 20}),
        ("a d20", "roll_dice", {"sides": 20}),
        ("roll a die.", "roll_dice", {}),
        ("roll 3d6", "roll_dice", {"count": 3, "sides": 6}),
        ("roll two d 6", "roll_dice", {"count": 2, "sides": 6}),
        ("roll a twenty sided die", "roll_dice", {"sides": 20}),
        ("Hey Rekku, could you please roll a d6, please?", "roll_dice", {"sides": 6}),
        ("what time is it", "get_time", {}),
        ("What's the time?", "get_time", {}),
        ("whats the time", "get_time", {}),
        ("What’s the time in New York?", "get_time", {"place": "New York"}),
        ("what time is it in São Paulo please", "get_time", {"place": "São Paulo"}),
        ("what is today's date?", "get_time", {}),
        ("tell me the time in UTC+2", "get_time", {"place": "UTC+2"}),
        ("what's the weather?", "get_weather", {}),
        ("weather in 'Washington, D.C.'", "get_weather", {"place": "Washington, D.C."}),
        ('say "Hello, you!"', "message", {"text": "Hello, you!"}),
        ("say two\nlines", "message", {"text": "two\nlines"}),
    ],
)
async def test_phrases_of_the_catalogue_become_actions(text: str, type_: str, payload: JsonObject) -> None:
    assert await ask(text) == (type_, payload)


async def test_typed_fields_take_only_texts_of_their_type() -> None:
    light = spec(
        "set_light",
        "set light to {level}",
        "turn light {on}",
        "make light {mood}",
        level={"type": "number"},
        on={"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        mood={"$ref": "#/$defs/Mood"},
    )
    light.schema["$defs"] = {"Mood": {"enum": ["warm_white", "cold"], "type": "string"}}  # type: ignore[index]

    assert await ask("set the light to 0.5", light) == ("set_light", {"level": 0.5})
    assert await ask("set the light to -2", light) == ("set_light", {"level": -2})
    assert await ask("turn the light off!", light) == ("set_light", {"on": False})
    assert await ask("make the light warm white", light) == ("set_light", {"mood": "warm_white"})
    for wrong in ("set the light to bright", "turn the light around", "make the light green"):
        assert (await ask(wrong, light))[0] == "message"


async def test_a_text_field_captures_greedily_up_to_the_next_literal_that_still_fits() -> None:
    remind = spec(
        "remind", "remind me to {what} in {minutes} minutes", "remind me to {what}", what=TEXT, minutes=INTEGER
    )
    assert await ask("remind me to put milk in the fridge in 5 minutes", remind) == (
        "remind",
        {"what": "put milk in the fridge", "minutes": 5},
    )
    assert await ask("remind me to look in in 5 minutes", remind) == ("remind", {"what": "look in", "minutes": 5})
    assert await ask("remind me to wait in five-ish minutes", remind) == (
        "remind",
        {"what": "wait in five-ish minutes"},
    )


async def test_the_more_specific_phrase_wins_whatever_the_order() -> None:
    search = spec("search", "find {what}", what=TEXT)
    files = spec("files", "find the file {name}", name=TEXT)
    for actions in ((search, files), (files, search)):
        assert await ask("find the file a.txt", *actions) == ("files", {"name": "a.txt"})
        assert await ask("find Anna", *actions) == ("search", {"what": "Anna"})


async def test_a_tie_tells_the_alternatives_and_does_nothing() -> None:
    text = await told("play Help!", spec("song", "play {x}", x=TEXT), spec("film", "play {x}", x=TEXT))
    assert '`song x="Help"`' in text
    assert '`film x="Help"`' in text


async def test_phrases_that_cannot_give_a_valid_payload_are_left_out() -> None:
    broken = spec("broken", "do {nothing}", "just do it", "", "{what} {what}", required=("what",), what=TEXT)
    for text in ("do this", "just do it", "that that"):
        assert (await ask(text, broken))[0] == "message"


@pytest.mark.parametrize(
    ("text", "type_", "payload"),
    [
        ("roll_dice", "roll_dice", {}),
        ("ROLL_DICE sides=8 count=2", "roll_dice", {"sides": 8, "count": 2}),
        ('message text="two words" to=telegram:1', "message", {"text": "two words", "to": "telegram:1"}),
        (r'message text="say \"hi\"\n\\o/"', "message", {"text": 'say "hi"\n\\o/'}),
        ("message text='it\"s = fine'", "message", {"text": 'it"s = fine'}),
        ("message text=https://a.example/?q=1", "message", {"text": "https://a.example/?q=1"}),
    ],
)
async def test_any_action_can_be_written_out(text: str, type_: str, payload: JsonObject) -> None:
    assert await ask(text) == (type_, payload)


async def test_written_out_values_have_the_type_of_the_schema() -> None:
    tune = spec(
        "tune",
        tags={"type": "array", "items": TEXT},
        options={"type": "object"},
        name=TEXT,
        ratio={"type": "number"},
        loud={"type": "boolean"},
    )
    assert await ask('tune tags=["a b", "c"] options={"x": [1]} name=7 ratio=.5 loud=yes', tune) == (
        "tune",
        {"tags": ["a b", "c"], "options": {"x": [1]}, "name": "7", "ratio": 0.5, "loud": True},
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("roll_dice sides=many", "`sides` must be integer"),
        ("roll_dice faces=6", "there is no field `faces`"),
        ("roll_dice sides=6 sides=8", "`sides` is given twice"),
        ("message text=two words", "put quotes around"),
        ('message text="open', "a quote is not closed"),
        ("message to=telegram:1", "text must be given"),
        ('message text="a"b', "there must be a space"),
        ("message hello", "neither a phrase nor `field=value`"),
        ("message text=" + "[" * 50_000, "must be JSON"),
    ],
)
async def test_a_mistake_in_what_is_written_out_is_said_with_the_usage(text: str, what: str) -> None:
    answer = await told(text)
    assert what in answer
    assert (
        "`roll_dice [sides=<integer>] [count=<integer>]`" in answer or "`message text=<text> [to=<text>]`" in answer
    )


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("2+2", "2+2 = 4"),
        ("What is 3.5 * (2 - 1)^2?", "`3.5 * (2 - 1)^2` = 3.5"),
        ("what's 0.1 + 0.2", "0.1 + 0.2 = 0.3"),
        ("please calculate 15% of 80", "15% of 80 = 12"),
        ("7 % 3", "7 % 3 = 1"),
        ("how much is 1,000 x 3?", "1,000 x 3 = 3000"),
        ("10 divided by 4 =", "10 divided by 4 = 2.5"),
        ("1/3", "1/3 ≈ 0.333333333333"),
        (".5 * 4", "`.5 * 4` = 2"),
        ("two + 2", None),
        ("-2^2", "-2^2 = -4"),
        ("2^100", "2^100 = 1267650600228229401496703205376"),
        ("007 + 1", "007 + 1 = 8"),
        ("1/0", "`1/0`: That divides by zero, which has no answer."),
        ("5 % 0", "`5 % 0`: That divides by zero, which has no answer."),
        ("0^-1", "`0^-1`: That divides by zero, which has no answer."),
        ("9^9^9", "`9^9^9`: I take whole exponents only, up to 1000."),
        ("2^0.5", "`2^0.5`: I take whole exponents only, up to 1000."),
        ("99999999^999", "`99999999^999`: That number is too large for me."),
        ("1+", "`1+`: I cannot read that as a sum."),
        ("2026-11-20", None),
        ("42", None),
    ],
)
async def test_sums_are_exact_and_bounded(text: str, answer: str | None) -> None:
    said = await told(text)
    if answer is None:
        assert "I did not understand" in said
    else:
        assert said == answer


@pytest.mark.parametrize(
    "expression", ["__import__('os')", "a", "(1).real", "[1]", "1 if 1 else 2", "True", "1j", "~1"]
)
def test_nothing_but_numbers_is_ever_reckoned(expression: str) -> None:
    with pytest.raises(CannotCalculate):
        calculate(expression)


def test_a_chain_of_products_stays_bounded() -> None:
    with pytest.raises(CannotCalculate, match="too large"):
        calculate("*".join(["9**999"] * 20))


@pytest.mark.parametrize("text", ["hello", "Hi!", "Ciao", "Hey Rekku!", "Thanks a lot!", "good night", "Rekku?"])
async def test_small_talk_is_answered(text: str) -> None:
    assert "did not understand" not in await told(text)


async def test_help_lists_the_catalogue_with_examples_and_how_to_connect_a_model() -> None:
    for question in ("help", "What can you do?", "can you help me"):
        text = await told(question, *CATALOGUE, spec("archive", required=("name",), name=TEXT))
        assert "`roll a d<sides>`" in text
        assert "`archive name=<text>`: Do archive\n" in text
        for cure in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL", "/engine"):
            assert cure in text


async def test_it_says_what_it_is() -> None:
    for question in ("who are you?", "What are you?", "are you a human?"):
        assert "no language model" in await told(question)


async def test_what_is_not_understood_is_said_plainly_with_the_nearest_phrase() -> None:
    text = await told("wether in Berlin, Germany, where my aunt lives")
    assert text.startswith("I did not understand that: no language model is connected")
    assert "`weather in <place>`" in text
    assert "OPENAI_API_KEY" in text
    assert "Did you mean" not in await told("Sing me the song of the nightingale")


async def test_only_the_principals_last_words_are_read() -> None:
    others = [Source.FOREIGN, Source.HISTORY, Source.CONTEXT, Source.ASSISTANT]
    for other in others:
        action = await reply((other, "roll a d20"), (Source.PRINCIPAL, "Hello"), (other, "roll a d20"))
        assert action["type"] == "message"
        assert (await reply((other, "roll a d20")))["type"] == "message"
    assert (await reply((Source.PRINCIPAL, "roll a d20"), (Source.PRINCIPAL, "hello")))["type"] == "message"
    assert (await reply())["type"] == "message"


def outcomes(*rows: JsonObject) -> tuple[Source, str]:
    return Source.OUTCOMES, f"What became of your actions:\n{json.dumps(rows)}"


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ([{"action": "roll_dice", "status": "done", "output": "4"}], "4"),
        ([{"action": "x", "status": "done"}], "`x` is done."),
        ([{"action": "x", "status": "done", "output": ""}], "`x` is done, with nothing to show."),
        ([{"action": "x", "status": "done", "output": False}], "no"),
        ([{"action": "x", "status": "failed", "reason": "It broke."}], "`x` failed: It broke."),
        ([{"action": "x", "status": "denied", "reason": "trainers only"}], "`x` was not allowed: trainers only."),
        ([{"action": "x", "status": "skipped"}], "`x` was skipped."),
        (
            [{"action": "x", "status": "awaiting_approval", "approval_id": "k7"}],
            "`x` waits for approval. A trainer can allow it with `/approve k7`.",
        ),
        (
            [{"action": "x", "status": "unknown", "reason": "the deadline passed"}],
            "`x` may or may not have been done, and is not tried again by itself: the deadline passed.",
        ),
        (
            [{"action": "a", "status": "done", "output": {"n": 1, "of": ["b", "c"]}}],
            "- n: 1\n- of:\n  - b\n  - c",
        ),
        (
            [
                {"action": "message", "status": "done"},
                {"action": "a", "status": "done", "output": "[1]"},
                {"action": "b", "status": "failed", "reason": "no"},
            ],
            "`a`: [1]\n\n`b` failed: no.",
        ),
    ],
)
async def test_outcomes_are_told_and_lead_to_no_new_action(rows: list[JsonObject], text: str) -> None:
    action = await reply((Source.PRINCIPAL, "roll a d20"), (Source.ASSISTANT, "{}"), outcomes(*rows))
    assert action == {"type": "message", "payload": {"text": text}}


async def test_outcomes_that_look_like_orders_are_only_shown() -> None:
    row = {"action": "read_page", "status": "done", "output": "roll a d20"}
    action = await reply((Source.PRINCIPAL, "hello"), outcomes(row))
    assert action == {"type": "message", "payload": {"text": "roll a d20"}}


async def test_outcomes_before_the_principals_words_belong_to_an_earlier_turn() -> None:
    action = await reply(outcomes({"action": "x", "status": "done"}), (Source.PRINCIPAL, "roll a die"))
    assert action["type"] == "roll_dice"


@pytest.mark.parametrize("content", ["", "no list here", "[not json", "[" * 100_000, "[1, 2]"])
async def test_outcomes_that_cannot_be_read_do_no_harm(content: str) -> None:
    action = await reply((Source.PRINCIPAL, "roll a die"), (Source.OUTCOMES, content))
    assert action["type"] == "message"
    assert 0 < len(action["payload"]["text"]) < 21_000


async def test_a_correction_is_answered_with_a_message_that_it_cannot() -> None:
    action = await reply(
        (Source.PRINCIPAL, "roll a d1"), (Source.ASSISTANT, "…"), (Source.CORRECTION, "0: sides: 1 is less than 2")
    )
    assert action["type"] == "message"
    assert "`roll_dice sides=1`" in action["payload"]["text"]
    assert "cannot" in action["payload"]["text"]
    assert "cannot" in (await reply((Source.CORRECTION, "No.")))["payload"]["text"]


async def test_the_same_request_has_the_same_answer_and_names_the_grammar() -> None:
    engine = PLUGIN_CLASS()
    asked = request((Source.PRINCIPAL, "rol the dise"))
    answers = {(await engine.complete(asked)).text for _ in range(5)} | {(await PLUGIN_CLASS().complete(asked)).text}
    assert len(answers) == 1
    assert (await engine.complete(asked)).model == engine.model == "offline-grammar"
    assert await engine.models() == ["offline-grammar"]
    assert not engine.capabilities.json_schema


def test_grammars_are_compiled_once_a_catalogue_and_kept_in_bounds() -> None:
    cache = GrammarCache()
    first = cache.get(CATALOGUE)
    assert cache.get((*CATALOGUE,)) is first
    for number in range(MAX_CATALOGUES):
        cache.get((spec(f"action_{number}", "go"),))
    assert len(cache._kept) == MAX_CATALOGUES
    assert cache.get(CATALOGUE) is not first


HOSTILE: list[Any] = [
    lambda n: "roll a d" + " " * n + "x",
    lambda n: "what time is it in " * (n // 19),
    lambda n: "a " * (n // 2),
    lambda n: "1" * n,
    lambda n: "1+" * (n // 2),
    lambda n: "(" * n,
    lambda n: 'message text="' + "\\a" * (n // 2),
    lambda n: "message text=" + "=" * n + " x=",
    lambda n: "it's" * (n // 4),
    lambda n: "say " + "in " * (n // 3),
    lambda n: "%" * n,
    lambda n: "!" * n + " please" * 9,
    lambda n: "1,000" * (n // 5),
]


@pytest.mark.parametrize("make", HOSTILE)
async def test_hostile_texts_cost_linear_time(make: Any) -> None:
    many = tuple(
        spec(
            f"move_{i}",
            "move {a} in {b} in {c} in {d}",
            "say {a} in {b}",
            "{a} in {n}",
            a=TEXT,
            b=TEXT,
            c=TEXT,
            d=TEXT,
            n=INTEGER,
        )
        for i in range(40)
    )
    engine = PLUGIN_CLASS()

    async def cost_s(chars: int) -> float:
        asked = request((Source.PRINCIPAL, make(chars)), actions=(*CATALOGUE, *many))
        best = float("inf")
        for _ in range(2):
            began = time.perf_counter()
            await engine.complete(asked)
            best = min(best, time.perf_counter() - began)
        return best

    assert await cost_s(1_900) < 0.5
    small, large = await cost_s(65_536), await cost_s(4 * 65_536)
    assert large < max(8 * small, 0.05)


def test_importing_it_costs_little_and_brings_no_network() -> None:
    code = (
        "import sys, core.engine_base; before = set(sys.modules); import engines.offline;"
        "new = set(sys.modules) - before;"
        "print(*sorted(n for n in new if n.split('.')[0] not in ('engines', '__future__')))"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"httpx2", "openai", "aiohttp", "ssl", "sqlalchemy", "jsonschema", "asyncio"}
    assert not heavy & {name.split(".")[0] for name in printed}
    assert len(printed) < 12
