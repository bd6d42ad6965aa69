"""What holds for every reply: never an exception, never an unvalidated action, never an altered or shortened one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.contracts.actions import MAX_ACTIONS_PER_REPLY
from core.contracts.engine import EngineRequest
from core.contracts.json import Json, JsonObject, compact
from core.contracts.steps import ParsedReply
from core.turn.reading.lenient_json import Reading, read_value
from core.turn.stages.correct_reply import correction_request, merge_correction
from core.turn.stages.parse_reply import parse_reply
from core.turn.stages.validate_actions import validate_actions
from tests.unit.test_validate_actions import KNOWN

REQUEST = EngineRequest(instructions="", catalogue="", catalogue_brief="", messages=())


def examples(count: int) -> settings:
    """Try a third of `count` examples; all with REKKU_EVERY_CASE=1."""
    count = count if os.environ.get("REKKU_EVERY_CASE") else count // 3
    return settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))


PIECES = [
    *"{}[](),:\"'`#\\<>",
    *(
        "```",
        "```json",
        "//",
        "/*",
        "*/",
        '\\"',
        "\\u",
        "\\ud83d",
        "\\n",
        "1",
        "-1",
        "1e9",
        "1e999",
        "NaN",
        "null",
        "None",
    ),
    *(
        "<think>",
        "</think>",
        "<thinking>",
        "</thinking>",
        "True",
        "true",
        "{}",
        "[]",
        "Sure:",
        "rm",
        "type",
        "actions",
    ),
    *(
        '"type"',
        '"payload"',
        '"actions"',
        '"message"',
        '"terminal"',
        '"text"',
        '"command"',
        '"ls"',
        "{'type':'terminal'",
    ),
    *('{"type":', '{"actions":', '[{"type":"message","payload":{"text":"hi"}}', '"payload":{"command":"ls"}'),
]
CHARACTERS = st.characters()  # lone surrogates and NUL included
FRAGMENTS = st.lists(st.one_of(st.sampled_from([*PIECES, " ", "\n", "\ufeff"]), st.text(CHARACTERS, max_size=3)))
WILD = st.one_of(
    st.text(CHARACTERS),
    FRAGMENTS.map("".join),
    st.binary().map(lambda raw: raw.decode("latin-1")),
    st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
)

TEXTS = st.one_of(st.text(), st.lists(st.sampled_from([*PIECES, " ", "\n"]), max_size=6).map(" ".join))
NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)
ACTIONS = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["message", "terminal", "x"]),
        "payload": st.dictionaries(st.one_of(st.just("text"), TEXTS), VALUES, max_size=3),
    }
)
REPLIES = st.one_of(
    st.lists(ACTIONS, max_size=3).map(lambda actions: {"actions": actions}),
    ACTIONS,
    st.lists(ACTIONS, min_size=1, max_size=3),
)
WRITTEN = st.builds(
    lambda reply, indent, ascii_only: json.dumps(reply, indent=indent, ensure_ascii=ascii_only),
    REPLIES,
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A valid reply with pieces cut out, put in, or doubled."""
    text = draw(WRITTEN)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 20)))
        text = text[:start] + draw(st.one_of(FRAGMENTS.map("".join), st.just(text[start:end] * 2))) + text[end:]
    return text


def actions(parsed: ParsedReply) -> list[Json]:
    return [envelope and envelope.as_json() for envelope in parsed.actions]


def meant(reply: Json) -> list[Json]:
    listed = reply if isinstance(reply, list) else reply.get("actions", [reply])
    return [{"type": item["type"], "payload": item["payload"]} for item in listed]


def same(one: Json, other: Json) -> bool:
    """Equality that tells True from 1, 1 from 1.0, and keeps the order of keys."""
    return compact(one) == compact(other)


def check(parsed: ParsedReply) -> None:
    """What holds for every parsed or validated reply."""
    assert len(parsed.actions) <= MAX_ACTIONS_PER_REPLY
    wrong = {error.index for error in parsed.errors}
    empty = {index for index, envelope in enumerate(parsed.actions) if envelope is None}
    assert wrong == empty or (wrong == {None} and not parsed.actions)
    for error in parsed.errors:
        assert error.message
        error.message.encode()
    for envelope in parsed.actions:
        if envelope is not None:
            assert len(envelope.hash) == 64


@examples(1000)
@given(st.one_of(WILD, mutated(), WRITTEN))
def test_any_text_is_read_without_an_exception_and_only_valid_actions_come_through(text: str) -> None:
    parsed = parse_reply(text)
    check(parsed)
    assert parse_reply(text) == parsed
    checked = validate_actions(parsed, KNOWN)
    check(checked)
    for envelope in checked.actions:
        if envelope is not None:
            assert KNOWN[envelope.type].complaints(envelope.payload) == []
    for message in correction_request(REQUEST, text, checked).messages:
        message.content.encode()


@examples(300)
@given(st.one_of(mutated(), WRITTEN), st.one_of(WILD, mutated(), WRITTEN))
def test_any_correction_is_merged_without_losing_a_valid_action(first: str, second: str) -> None:
    checked, correction = validate_actions(parse_reply(first), KNOWN), parse_reply(second)
    merged = merge_correction(checked, correction)
    check(merged)
    if None not in {error.index for error in checked.errors}:
        assert len(merged.actions) == len(checked.actions)
        for before, after in zip(checked.actions, merged.actions, strict=True):
            assert before is None or before == after
    check(validate_actions(merged, KNOWN))


@examples(400)
@given(REPLIES, st.sampled_from([None, 0, 2]), st.booleans())
def test_strict_json_says_what_it_says(reply: Json, indent: int | None, ascii_only: bool) -> None:
    parsed = parse_reply(json.dumps(reply, indent=indent, ensure_ascii=ascii_only))
    assert parsed.errors == ()
    assert parsed.repairs == ()
    assert same(actions(parsed), meant(reply))


@examples(300)
@given(REPLIES, st.sampled_from([None, 0, 2]))
def test_the_lenient_reader_agrees_with_the_strict_one(reply: Json, indent: int | None) -> None:
    text = json.dumps(reply, indent=indent)
    reading = read_value(text, 0, 10_000)
    assert isinstance(reading, Reading)
    assert (reading.end, reading.repairs, reading.faults) == (len(text), (), ())
    assert same(reading.value, reply)


HARMLESS = st.text(st.sampled_from("abc XYZ.,;:!?-\n\té😀'#/*\\"), max_size=20)
COMMENTS = st.one_of(
    HARMLESS.map(lambda words: f"//{words.replace(chr(10), ' ')}\n"),
    HARMLESS.map(lambda words: f"#{words.replace(chr(10), ' ')}\n"),
    HARMLESS.map(lambda words: f"/*{words.replace('*', '')}*/"),
)
GAPS = st.one_of(st.just(""), st.just(" "), st.just("\n  "), COMMENTS)


def single_quoted(text: str) -> str:
    return "'" + json.dumps(text, ensure_ascii=False)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def with_raw_controls(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


STYLES: tuple[Callable[[str], str], ...] = (json.dumps, single_quoted, with_raw_controls, json.dumps)


def messy(draw: st.DrawFn, value: Json) -> str:
    """A value written with comments, trailing commas, single quotes, Python literals and raw line breaks."""

    def gap() -> str:
        return draw(GAPS)

    def text(value: str) -> str:
        return draw(st.sampled_from(STYLES))(value)

    def several(items: list[str], brackets: str) -> str:
        tail = draw(st.sampled_from(["", ","])) if items else ""
        return brackets[0] + gap() + ",".join(items) + gap() + tail + gap() + brackets[1]

    if isinstance(value, str):
        return text(value)
    if isinstance(value, list):
        return several([gap() + messy(draw, item) + gap() for item in value], "[]")
    if isinstance(value, dict):
        items = [gap() + text(key) + gap() + ":" + gap() + messy(draw, item) for key, item in value.items()]
        return several(items, "{}")
    return str(draw(st.sampled_from([json.dumps, repr]))(value))


@st.composite
def in_a_mess(draw: st.DrawFn, *, prose_before: bool = True) -> tuple[Json, str]:
    """A reply, and how a careless model may write it."""
    reply = draw(REPLIES)
    text = messy(draw, reply)
    if draw(st.booleans()):
        text = f"```{draw(st.sampled_from(['', 'json', 'python']))}\n{text}\n```"
    thought = f"<think>{draw(st.one_of(TEXTS, WRITTEN)).replace('</think', '')}</think>"
    before = draw(st.sampled_from(["", "\ufeff", thought, "\n"]))
    prose = draw(HARMLESS) if prose_before else ""
    after = draw(st.one_of(st.just(""), HARMLESS, st.just(thought)))
    return reply, f"{before}{prose}{text}{after}"


@examples(400)
@given(in_a_mess())
def test_a_mess_around_and_inside_changes_nothing(written: tuple[Json, str]) -> None:
    reply, text = written
    parsed = parse_reply(text)
    assert parsed.errors == ()
    assert same(actions(parsed), meant(reply))


@examples(500)
@given(REPLIES, WILD, WILD)
def test_wild_text_around_changes_nothing_or_goes_back(reply: Json, before: str, after: str) -> None:
    text = before + json.dumps(reply) + after
    parsed = parse_reply(text)
    if parsed.valid:
        plain = [{"type": "message", "payload": {"text": text.removeprefix("\ufeff").strip()}}]
        assert same(actions(parsed), meant(reply)) or actions(parsed) != plain


@examples(80)
@given(in_a_mess(prose_before=False))
def test_a_truncated_reply_is_whole_or_goes_back(written: tuple[Json, str]) -> None:
    reply, text = written
    for end in range(len(text)):
        parsed = parse_reply(text[:end])
        check(parsed)
        assert parsed.errors or same(actions(parsed), meant(reply)), text[:end]


@examples(150)
@given(WRITTEN)
def test_a_missing_bracket_quote_colon_or_comma_goes_back(text: str) -> None:
    """Every character of the structure that can be lost, lost once."""
    inside, escaped = False, False
    for at, char in enumerate(text):
        structural = char == '"' and not escaped if inside else char in '{}[],:"'
        if structural and char == '"':
            inside = not inside
        escaped = inside and char == "\\" and not escaped
        if structural:
            assert parse_reply(text[:at] + text[at + 1 :]).errors, (at, char)


@examples(200)
@given(TEXTS, TEXTS)
def test_texts_survive_byte_for_byte(one: str, other: str) -> None:
    assume(one != other)
    payload: JsonObject = {one: other, other: [one, {one: one}]}
    reply = [{"type": "x", "payload": payload}]
    for text in (json.dumps(reply), repr(reply), f"Here:\n```json\n{json.dumps(reply, indent=1)[:-1]},]\n```"):
        parsed = parse_reply(text)
        if text.startswith("[{'") and parsed.errors:  # Python escapes for which JSON has no equal
            assert "begins no escape" in parsed.errors[0].message
            continue
        assert same(actions(parsed), reply)
