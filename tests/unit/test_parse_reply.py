"""What a reply says: the shapes that are read, the messes that lose nothing, and what goes back to the model."""

from __future__ import annotations

import json
import sys

import pytest

from core.contracts.json import Json, JsonObject
from core.contracts.steps import ParsedReply, ReplyError
from core.turn.stages.parse_reply import MAX_REPLY_BYTES, parse_reply

HI: JsonObject = {"type": "message", "payload": {"text": "hi"}}
LS: JsonObject = {"type": "terminal", "payload": {"command": "ls"}}


def actions(parsed: ParsedReply) -> list[Json]:
    return [envelope and envelope.as_json() for envelope in parsed.actions]


def read(text: str) -> list[Json]:
    """The actions of a reply that must be fine."""
    parsed = parse_reply(text)
    assert parsed.errors == ()
    return actions(parsed)


def whole_error(text: str) -> str:
    """The one error of a reply that must be refused as a whole."""
    parsed = parse_reply(text)
    assert parsed.actions == ()
    assert [error.index for error in parsed.errors] == [None]
    return parsed.errors[0].message


def repairs(text: str) -> list[tuple[str, str]]:
    return [(repair.path, repair.what) for repair in parse_reply(text).repairs]


class TestShapes:
    def test_list_of_actions(self) -> None:
        text = json.dumps({"actions": [HI, LS]})
        assert read(text) == [HI, LS]
        assert repairs(text) == []

    def test_no_actions_is_valid_and_empty(self) -> None:
        assert parse_reply('{"actions": []}') == ParsedReply()

    def test_single_action(self) -> None:
        assert read(json.dumps(HI)) == [HI]

    def test_bare_list(self) -> None:
        assert read(json.dumps([HI, LS])) == [HI, LS]

    @pytest.mark.parametrize("text", ['{"type": "now"}', '{"type": "now", "payload": null}'])
    def test_absent_payload_is_an_empty_one(self, text: str) -> None:
        assert read(text) == [{"type": "now", "payload": {}}]
        assert repairs(text) == [("$.payload", "no payload, taken as {}")]

    def test_keys_in_any_order(self) -> None:
        assert read('{"payload": {"text": "hi"}, "type": "message"}') == [HI]

    def test_sixteen_actions_are_the_most(self) -> None:
        assert len(read(json.dumps({"actions": [HI] * 16}))) == 16
        assert "17 actions" in whole_error(json.dumps({"actions": [HI] * 17}))
        assert "17 actions" in whole_error(json.dumps([HI] * 17))

    @pytest.mark.parametrize(
        ("item", "says"),
        [
            ('{"type": "terminal", "command": "ls"}', '"command" in $.actions[1] would be lost'),
            ('{"payload": {}}', '$.actions[1] has no "type"'),
            ('{"type": 3}', '"type" in $.actions[1] is a number'),
            ('{"type": null}', '"type" in $.actions[1] is null'),
            ('{"type": true}', '"type" in $.actions[1] is true'),
            ('{"type": ""}', '"type" in $.actions[1] is empty'),
            ('{"type": "x", "payload": []}', '"payload" in $.actions[1] is a list'),
            ('{"type": "x", "payload": "ls"}', '"payload" in $.actions[1] is a text'),
            ('{"type": "x", "payload": false}', '"payload" in $.actions[1] is false'),
            ('"ls"', "$.actions[1] is a text"),
            ("null", "$.actions[1] is null"),
            ('[{"type": "x"}]', "$.actions[1] is a list"),
            ('{"actions": []}', '"actions" in $.actions[1] would be lost'),
            ('{"type": "x", "payload": {"a": 1, "a": 1}}', 'the key "a" stands twice in $.actions[1].payload;'),
            ('{"type": "x", "type": "y"}', 'the key "type" stands twice in $.actions[1];'),
            ('{"type": "x", "payload": {"a": {"b": 1, "\\u0062": 2}}}', "twice in $.actions[1].payload.a;"),
            ('{"type": "x", "payload": {"a": NaN}}', "At $.actions[1].payload.a: NaN is no JSON number"),
            ('{"type": "x", "payload": {"a": -Infinity}}', "-Infinity is no JSON number"),
            ('{"type": "x", "payload": {"a": [1e999]}}', 'At $.actions[1].payload.a[0]: the number "1e999"'),
            ('{"type": "x", "payload": {"a": ' + "9" * 5000 + "}}", "is out of range"),
            ('{"type": "x", "payload": {"a": "\\ud83d"}}', "At $.actions[1].payload.a: a text holds half of"),
            ('{"type": "x", "payload": {"\\ude00": 1}}', "half of a character"),
        ],
    )
    def test_one_bad_action_leaves_the_others_in_their_places(self, item: str, says: str) -> None:
        parsed = parse_reply(f'{{"actions": [{json.dumps(HI)}, {item}, {json.dumps(LS)}]}}')
        assert actions(parsed) == [HI, None, LS]
        assert parsed.errors
        assert {error.index for error in parsed.errors} == {1}
        assert says in parsed.errors[0].message

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('{"thought": "hm", "actions": []}', '"thought" beside "actions" would be lost'),
            ('{"type": "x", "actions": []}', '"type" beside "actions" would be lost'),
            ('{"actions": {"type": "x"}}', '"actions" is no list'),
            ('{"actions": null}', '"actions" is no list'),
            ('{"actions": [], "actions": []}', 'the key "actions" stands twice in $;'),
        ],
    )
    def test_a_wrong_outermost_object_refuses_the_whole(self, text: str, says: str) -> None:
        assert says in whole_error(text)

    def test_the_same_in_a_mess(self) -> None:
        text = "{'actions': [{'type': 'a', 'payload': {'x': 1, 'x': 2}}, {'type': 'b', 'payload': {}},]}"
        parsed = parse_reply(text)
        assert actions(parsed) == [None, {"type": "b", "payload": {}}]
        assert parsed.errors == (
            ReplyError(
                index=0,
                message='At $.actions[0].payload.x: the key "x" stands twice in $.actions[0].payload; give it once.',
            ),
        )


class TestMess:
    """What loses nothing is read, and noted."""

    @pytest.mark.parametrize(
        ("text", "noted"),
        [
            ("\ufeff" + json.dumps(HI), ("$", "byte order mark")),
            ("```json\n" + json.dumps(HI) + "\n```", ("$", "code fence")),
            ("```\n" + json.dumps(HI) + "\n```\n", ("$", "code fence")),
            ("```json\n" + json.dumps(HI), ("$", "code fence")),
            ("Sure!\n" + json.dumps(HI) + "\nAnything else?", ("$", "text around the actions left out")),
            ("As in [1], for {name}: " + json.dumps(HI), ("$", "text around the actions left out")),
            ("<think>Say hi.</think>" + json.dumps(HI), ("$", "thinking left out")),
            ("<THINKING>\nSay hi.\n</THINKING>\n" + json.dumps(HI), ("$", "thinking left out")),
            (json.dumps(HI) + "<think>Well done.</think>", ("$", "thinking left out")),
            ("The model's template opened it.\n</think>\n" + json.dumps(HI), ("$", "thinking left out")),
            ('{"type": "message", // note\n "payload": {"text": "hi"}}', ("$.type", "comment")),
            ('{"type": "message", "payload": {/* one * two */"text": "hi"}}', ("$.payload", "comment")),
            ('{"type": "message", "payload": {"text": "hi" # end\n}}', ("$.payload.text", "comment")),
            ('{"type": "message", "payload": {"text": "hi",},}', ("$.payload", "trailing comma")),
            ('[{"type": "message", "payload": {"text": "hi"}} , ]', ("$", "trailing comma")),
            ('{"type": \'message\', "payload": {"text": "hi"}}', ("$.type", "single-quoted string")),
        ],
    )
    def test_is_read_and_noted(self, text: str, noted: tuple[str, str]) -> None:
        assert read(text) == [HI]
        assert noted in repairs(text)

    def test_a_python_literal(self) -> None:
        payload: JsonObject = {"yes": True, "no": False, "none": None, "text": 'it\'s "so"\n', "n": -1.5e3}
        text = repr({"actions": [{"type": "x", "payload": payload}]})
        assert read(text) == [{"type": "x", "payload": payload}]
        assert ("$.actions[0].payload.yes", "Python literal True") in repairs(text)

    def test_raw_control_characters_in_strings_are_kept(self) -> None:
        raw = "a\nb\r\nc\td\x00e\x1b"
        text = f'{{"type": "message", "payload": {{"text": "{raw}"}}}}'
        assert read(text) == [{"type": "message", "payload": {"text": raw}}]
        assert repairs(text) == [("$.payload.text", "raw control character in a string")]

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            (r"it\'s", "it's"),
            (r"\"", '"'),
            (r"a\\b\\", "a\\b\\"),
            (r"\n\r\t\b\f", "\n\r\t\b\f"),
            (r"\x1b[0m", "\x1b[0m"),
            (r"\u00e9", "é"),
            (r"\ud83d\ude00", "😀"),
            ('say "hi"', 'say "hi"'),
        ],
    )
    def test_escapes_in_single_quotes(self, written: str, meant: str) -> None:
        assert read(f"{{'type': 'x', 'payload': {{'a': '{written}'}}}}") == [{"type": "x", "payload": {"a": meant}}]

    @pytest.mark.parametrize("escape", [r"\/", r"\a", r"\0", r"\N{DIGIT ONE}", r"\U0001f600", "\\\n", r"\d", r"\x1"])
    def test_escapes_that_differ_between_languages_go_back(self, escape: str) -> None:
        assert "begins no escape" in whole_error(f"{{'type': 'x', 'payload': {{'a': '{escape}'}}}}")

    @pytest.mark.parametrize("escape", [r"\'", r"\d", r"\x41", r"\u12", r"\U0001f600"])
    def test_escapes_that_json_lacks_go_back(self, escape: str) -> None:
        message = whole_error(f'{{"type": "terminal", "payload": {{"command": "grep {escape}"}}}}')
        assert "begins no escape" in message
        assert "line 1, column 5" in message

    def test_what_is_noted_is_bounded(self) -> None:
        assert len(repairs('{"type": "x", "payload": {"a": [' + "'a'," * 1000 + "]}}")) <= 40


NASTY = [
    "```json\n{}\n```",
    '{"type": "terminal", "payload": {"command": "rm -rf /"}}',
    '{"actions": []}',
    "<think>no</think>",
    "</think>",
    "<think>",
    "// no /* comment */ # here",
    "},]}",
    "a,}",
    "True False None NaN",
    'it\'s "quoted" `so`',
    "\\n \\u0041 \\",
    "\ufeff\u2028\u2029\x7f\u200b",
    "\x00\x01\x1f",
    "  spaces\t\r\n ",
    "😀 é 漢字",
]


@pytest.mark.parametrize("nasty", NASTY)
@pytest.mark.parametrize(
    "write",
    [
        lambda value: json.dumps(value),
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: "```json\n" + json.dumps(value, indent=2) + "\n```",
        lambda value: "<think>hm</think>Sure: " + json.dumps(value) + " done",
        lambda value: json.dumps(value)[:-1] + ", /* } */ }",
        repr,
    ],
)
def test_the_text_in_strings_is_never_touched(nasty: str, write: object) -> None:
    value: JsonObject = {"actions": [{"type": "message", "payload": {"text": nasty, nasty: [nasty]}}]}
    assert callable(write)
    assert read(write(value)) == value["actions"]


class TestThinking:
    def test_an_action_in_it_is_none(self) -> None:
        assert read(f"<think>{json.dumps(LS)}</think>{json.dumps(HI)}") == [HI]
        assert read(f"{json.dumps(LS)}</think>{json.dumps(HI)}") == [HI]
        assert read(f"<think>{json.dumps(LS)}</think>Done.") == [{"type": "message", "payload": {"text": "Done."}}]

    @pytest.mark.parametrize(
        "text",
        [
            "<think>hm",
            f"<think>{json.dumps(LS)}",
            "<thinking>hm</thinking>",
            " <think></think>\n",
            "hm</think>",
            f"{json.dumps(LS)}</think>",
        ],
    )
    def test_nothing_else_is_no_reply(self, text: str) -> None:
        assert "holds only thinking" in whole_error(text)

    def test_what_never_ends_hides_what_follows(self) -> None:
        assert "never closed" in whole_error(f"Well. <think>{json.dumps(LS)}")
        assert "never closed" in whole_error(f"{json.dumps(LS)} <think> or not")

    def test_it_is_cut_out_of_a_message(self) -> None:
        assert read("<think>hm</think>\n Hello <think>a { b</think>you") == [
            {"type": "message", "payload": {"text": "Hello you"}}
        ]

    def test_talk_about_the_tags_is_no_thinking(self) -> None:
        text = "Put it between `<think>` and `</think>`."
        assert read(text) == [{"type": "message", "payload": {"text": text}}]


class TestPlainText:
    @pytest.mark.parametrize(
        "text",
        [
            "Hello!",
            "42",
            '"quoted"',
            "null",
            "{}",
            "[]",
            '{"a": 1}',
            '{"server": {"type": "http", "actions": []}}',
            'Set {"a": 1, "b": [true]} in the config.',
            '```json\n{\n  "server": {\n    "type": "http"\n  }\n}\n```',
            "```python\ndef f(x):\n    return {'kind': x, 'n': [1, 2]}\n```",
            "for (;;) { if (x[0]) { y = {a: 1}; } }",
            "Write {name} or {{name}}; [x](url); [ ] todo; [0, 1) is half open",
            "use { to open a block",
            "a } too many, and a ] too",
            "I don't know what type: and actions: are.",
            "type: http\nactions: none",
            "it's 5 o'clock \\o/",
            "\\frac{1}{2}",
            "# heading\n// no comment",
            "x < y",
        ],
    )
    def test_is_one_message_whole(self, text: str) -> None:
        assert read(text) == [{"type": "message", "payload": {"text": text}}]
        assert repairs(text) == [("$", "plain text, taken as a message")]

    def test_is_stripped(self) -> None:
        assert read("\ufeff \n Hello! \n") == [{"type": "message", "payload": {"text": "Hello!"}}]

    @pytest.mark.parametrize("text", ["", " ", "\n\t\r\n", "\ufeff", "\ufeff \n"])
    def test_nothing_is_no_message(self, text: str) -> None:
        assert "The reply is empty" in whole_error(text)

    @pytest.mark.parametrize("text", ["hi \ud83d", "\udfff"])
    def test_half_of_a_character_is_no_message(self, text: str) -> None:
        message = whole_error(text)
        message.encode()
        assert "half of a character" in message


class TestAttempts:
    """What looks like an attempt at an action is neither posted to the user nor guessed at."""

    @pytest.mark.parametrize(
        "text",
        [
            '{"type": "terminal", "payl',
            'Sure: {"type": "terminal", "payload": {"command": "ls"',
            '{"payload": {"command": "ls"}, "ty',
            "{",
            '{"',
            "[",
            "[{",
            "```json",
            "``",
            "<thi",
            '{type: "terminal"}',
            "{actions: []}",
            "{ // note\n type: 1}",
            "{“type”: “terminal”}",
            "{`type`: `terminal`}",
            '{"type" "terminal"}',
            '{"type": terminal}',
            '{"type": "terminal" "payload": {}}',
            '{"type": "terminal", "payload": {"command": "ls}}',
            '{"type": "terminal", "payload": {"command": ls"}}',
            '{"type": "terminal", "payload": {"command": "ls"}',
            '{"type": "terminal", "payload": {"command": "ls"}]',
            '{"actions": [{"type": "terminal"}}',
            '{"actions": [{"type": "terminal"] }',
            '"type": "terminal", "payload": {"command": "ls"}}',
            '"actions": [{"name": "x"}]',
            '{{"actions": []}}',
            '"{\\"type\\": \\"terminal\\"}"',
            '{"type": "terminal", "payload": {"command": "ls"}}}',
            '[{"type": "terminal", "payload": {"command": "ls"}}]]',
            '{"command": "ls"}, "type": "terminal"}',
            '{"type": "terminal"}, "payload": {"command": "ls"}}',
            '{"type": "terminal"} {"command": "ls"}',
            'ls() { return {"type": "terminal"} }',
            '["a", {"type": "terminal"}',
            "{'type': 'terminal', 'payload': {'command': 'echo it's'}}",
            "{'type': u'terminal'}",
            '{"type": "terminal", "payload": ("a",)}',
            '{"type": "terminal", "payload": {1: 2}}',
            '{"type": "terminal", "payload": {"a": "b" "c"}}',
            '{"type": "terminal", "payload": {"a": """b"""}}',
            '{"type": "terminal", "payload": {/* "a": 1}}',
            '{"type": "terminal", // "payload": {"a": 1}}',
            '{"type": "terminal", "payload": {\n"a": 5 // 2"\n}}',
            '{"type": "terminal", "payload": {\n#\\"": null\n}}',
            '{"payload": {} "type": "terminal"}',
            '{"payload": {}, type": "terminal"}',
            '{"payload": {"a": tr',
            '{"payload": {"a": -',
            '{"payload": {"a": 1.',
            "{/",
        ],
    )
    def test_goes_back(self, text: str) -> None:
        assert "Send the whole reply again" in whole_error(text)

    @pytest.mark.parametrize(
        "text",
        [
            json.dumps(HI) + json.dumps(LS),
            json.dumps(HI) + "\n" + json.dumps(HI),
            "First:\n```json\n" + json.dumps(HI) + "\n```\nthen\n```json\n" + json.dumps({"actions": [LS]}) + "\n```",
            json.dumps([HI]) + " or " + json.dumps([LS]),
        ],
    )
    def test_two_that_could_be_meant_go_back(self, text: str) -> None:
        assert "2 objects of actions stand side by side" in whole_error(text)

    def test_the_place_is_named(self) -> None:
        message = whole_error('{\n  "type": "terminal",\n  "payload": {"command" "ls"}}')
        assert "line 3, column 25" in message

    def test_an_object_inside_of_data_is_data(self) -> None:
        text = 'The config {"old": {"type": "terminal", "payload": {"command": "ls"}}} stands.'
        assert read(text) == [{"type": "message", "payload": {"text": text}}]


MUST_REJECT = [
    "[1 true]",
    "[a]",
    '["": 1]',
    "[,1]",
    "[1,,2]",
    '["x",,]',
    '["x"]]',
    '["',
    '["x"',
    "[3[4]]",
    "[1:2]",
    "[,]",
    "[-]",
    '["a',
    "[1,",
    "[1,\n1\n,1",
    "[*]",
    "[{}",
    "[fals]",
    "[nul]",
    "[tru]",
    "[TRUE]",
    "[NULL]",
    "[Nil]",
    "[undefined]",
    "[++1234]",
    "[+1]",
    "[+Inf]",
    "[-01]",
    "[-1.0.]",
    "[-2.]",
    "[-NaN]",
    "[.-1]",
    "[.2e-3]",
    "[0.1.2]",
    "[0.3e+]",
    "[0.3e]",
    "[0.e1]",
    "[0E+]",
    "[1.0e-]",
    "[1.0eE2]",
    "[1 000.0]",
    "[1_000]",
    "[1eE2]",
    "[2.e+3]",
    "[9.e+]",
    "[Inf]",
    "[NaN]",
    "[nan]",
    "[-Infinity]",
    "[1+2]",
    "[0x1]",
    "[0x42]",
    "[0o17]",
    "[- 1]",
    "[-012]",
    "[-.123]",
    "[-1x]",
    "[1ea]",
    "[1.]",
    "[.123]",
    "[1.2a-3]",
    "[1j]",
    "[10n]",
    "[012]",
    "[\uff11]",
    '["x", truth]',
    "{[: 'x'}",
    '{"x", null}',
    '{"x"::"b"}',
    '{"a": "a" 123}',
    "{key: 'value'}",
    '{"a" b}',
    '{:"b"}',
    '{"a":',
    '{"a"',
    "{1: 1}",
    "{9999E9999: 1}",
    "{null: null, null: null}",
    '{"id": 0,,,,}',
    '{"a": "b"}/',
    '{"a": "b"}#{}',
    '{"a": "b",,"c": "d"}',
    '{"a": true} "x"',
    "{]",
    "{,}",
    "{'a': 'b' 'c'}",
    '["\\x00"]',
    '["\\\\\\"]',
    '["\\\t"]',
    '["\\🌀"]',
    '["\\"]',
    '["\\uD834\\uDd"]',
    '["\\uD800\\u"]',
    '["\\uD800\\u1"]',
    '["\\uD800"]',
    '["\\u00A"]',
    '["\\uqqqq"]',
    '["\\a"]',
    '["\\',
    '[\\u0020"asd"]',
    "[\\n]",
    "abc",
    "['",
    "[<null>]",
    "<.>",
    "[⁠]",
    "[\f]",
    "[\u00a0]",
    "[\v1]",
    "[1]x",
    '{"a": /* "b"}',
    "[1, /* 2]",
    "[1 /* 2 */ 3]",
    "* 1",
    "(1)",
    "set()",
    'r"a"',
    "b'a'",
    'f"a"',
    "`a`",
    "“a”",
    "...",
    "…",
    "-",
    "",
    '"a" + "b"',
    "[1, ...]",
    '{...{}, "a": 1}',
    '{"a": 1; "b": 2}',
    '{"a" = 1}',
    '{"a" => 1}',
    '{"a", "b"}',
]


@pytest.mark.parametrize("document", MUST_REJECT)
@pytest.mark.parametrize(
    "form",
    [
        '{{"type": "terminal", "payload": {}}}',
        '{{"actions": [{{"type": "terminal", "payload": {{"command": {}}}}}]}}',
        '{{"actions": [{{"payload": {{"command": {}}}, "type": "terminal"}}]}}',
        '```json\n[{{"type": "terminal", "payload": {{"command": {}, "cwd": "/"}}}}]\n```',
    ],
)
def test_what_a_parser_must_reject_is_no_action(document: str, form: str) -> None:
    parsed = parse_reply(form.format(document))
    assert parsed.errors
    assert [action for action in parsed.actions if action] == []


def test_the_table_would_notice_a_document_that_is_fine() -> None:
    for document in ("[1]", '{"a": "b"}', "['a', /* b */ True,]"):
        assert read(f'{{"type": "x", "payload": {{"command": {document}}}}}')


class TestBounds:
    @pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
    def test_depth(self, opening: str, closing: str) -> None:
        levels = len(opening.replace('"a":', ""))

        def nested(depth: int) -> str:
            times = depth // levels
            return f'{{"type": "x", "payload": {{"a": {opening * times}1{closing * times}}}}}'

        assert read(nested(62))
        assert "64 deep" in whole_error(nested(64))
        for wrap in ("{}", "```\n{}\n```", "<think>x</think>{}", "Sure: {} done", "{} // end"):
            assert read(wrap.replace("{}", nested(62)))
            assert "64 deep" in whole_error(wrap.replace("{}", nested(64)))

    @pytest.mark.parametrize("unit", ["[", '{"a":', '[{"actions":', "{'a':[", "[[{"])
    def test_bottomless_nesting_is_refused(self, unit: str) -> None:
        for times in (66, 10_000):
            assert "reply cannot be read" in whole_error(unit * times)

    def test_depth_does_not_depend_on_the_callers_stack(self) -> None:
        text = '{"type": "x", "payload": {"a": ' + "[" * 60 + "]" * 60 + "}}"
        expected = parse_reply(text)

        def deep(frames: int) -> ParsedReply:
            return deep(frames - 1) if frames else parse_reply(text)

        free = sys.getrecursionlimit() - len(__import__("inspect").stack())
        assert deep(free - 60) == expected

    def test_brackets_in_strings_are_not_depth(self) -> None:
        assert read(json.dumps({"type": "x", "payload": {"a": "[{" * 1000}}))

    def test_size_is_counted_in_bytes(self) -> None:
        def reply(filler: str, size: int) -> str:
            frame = '{"type": "x", "payload": {"a": ""}}'
            return frame.replace('""', f'"{filler * ((size - len(frame)) // len(filler.encode()))}"')

        assert read(reply("a", MAX_REPLY_BYTES))
        assert "1,048,576 bytes" in whole_error(reply("a", MAX_REPLY_BYTES) + " ")
        assert read(reply("é", MAX_REPLY_BYTES))
        assert "bytes" in whole_error(reply("é", MAX_REPLY_BYTES + 2))
        assert "bytes" in whole_error("\ud800" * (MAX_REPLY_BYTES // 3 + 1))

    def test_long_lists_that_are_strict_json_are_read(self) -> None:
        numbers = list(range(30_000))
        payload = {"a": numbers}
        assert read(json.dumps({"type": "x", "payload": payload})) == [{"type": "x", "payload": payload}]
        assert read("```json\n" + json.dumps({"type": "x", "payload": payload}) + "\n```")

    def test_long_lists_that_are_not_go_back(self) -> None:
        assert "too much" in whole_error('{"type": "x", "payload": {"a": [' + "1," * 30_000 + "]}}")

    def test_a_long_text_of_brackets_is_a_message(self) -> None:
        text = ("[x] " * 200_000).strip()
        assert read(text) == [{"type": "message", "payload": {"text": text}}]
