"""CommonMark to Telegram's entities, and cutting: nothing is lost, nothing is over the limit."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.contracts.deliveries import Button, Delivery
from core.contracts.inputs import Address
from interfaces.telegram.formatted import Formatted, Span, utf16_length, without_lone_surrogates
from interfaces.telegram.markdown import MOST_MARKED_UP, render_markdown
from interfaces.telegram.pace import Rates
from interfaces.telegram.rendering import LONGEST_TEXT, render_parts
from interfaces.telegram.splitting import MOST_ENTITIES, split
from tests.support.bot_api import BotApi
from tests.support.telegram_bot import telegram

HERE = Address("telegram", "7")


def marked(text: str) -> list[tuple[str, str]]:
    """Return what is marked up, as (kind, words)."""
    shown = render_markdown(text)
    return [(span.kind, shown.text[span.start : span.end]) for span in shown.spans]


@pytest.mark.parametrize(
    ("markdown", "text", "spans"),
    [
        ("plain", "plain", []),
        ("**a** *b* ~~c~~ `d`", "a b c d", [("bold", "a"), ("italic", "b"), ("strikethrough", "c"), ("code", "d")]),
        ("**a `b` c**", "a b c", [("bold", "a "), ("code", "b"), ("bold", " c")]),
        ("# Title\n\ntext", "Title\n\ntext", [("bold", "Title")]),
        ("one\ntwo", "one\ntwo", []),
        ("- a\n- b\n  - c\n\ntext", "• a\n• b\n  • c\n\ntext", []),
        ("text\n\n3. a\n4. b", "text\n\n3. a\n4. b", []),
        ("> quoted\n> **words**", "quoted\nwords", [("blockquote", "quoted\nwords"), ("bold", "words")]),
        ("```python\nx = 1\n```\nend", "x = 1\n\nend", [("pre", "x = 1")]),
        ("[words](https://example.org/a)", "words", [("text_link", "words")]),
        ("[words](javascript:alert)", "[words](javascript:alert)", []),
        ("[mail](mailto:a@example.org)", "mail (mailto:a@example.org)", []),
        ("![](https://example.org/a.png)", "https://example.org/a.png", []),
        ("a <b>c</b> & &amp;", "a <b>c</b> & &", []),
        ("a | b\n--|--\n1 | long", "a | b\n--+-----\n1 | long", [("pre", "a | b\n--+-----\n1 | long")]),
        ("[a]: http://example.org", "[a]: http://example.org", []),
        ("\ud83d\ude00 \ud83d", "😀 \ufffd", []),
        ("-\n- a", "• \n• a", []),
        ("**see** [a][1]\n\n[1]: http://example.org/x", "see [a][1]\n\n[1]: http://example.org/x", [("bold", "see")]),
        ('**see** [a](http://e.org "lost")', '**see** [a](http://e.org "lost")', []),
        ("a\n--\n1 | hidden", "a\n\n1 | hidden", [("bold", "a")]),
        ("| a |\n|--|\n| b | cut |", "| a |\n|--|\n| b | cut |", []),
    ],
)
def test_what_is_shown(markdown: str, text: str, spans: list[tuple[str, str]]) -> None:
    assert render_markdown(markdown).text == text
    assert marked(markdown) == spans


def test_offsets_count_utf16_units() -> None:
    shown = render_markdown("😀 **b** 😀 [l](http://example.org)\n\n```py\nx\n```")
    assert shown.wire() == [
        {"type": "bold", "offset": 3, "length": 1},
        {"type": "text_link", "offset": 8, "length": 1, "url": "http://example.org"},
        {"type": "pre", "offset": 11, "length": 1, "language": "py"},
    ]


def test_an_entity_that_is_cut_is_closed_and_opened_again() -> None:
    parts = split(Formatted(text="aaaa bbbb cccc", spans=(Span(kind="bold", start=2, end=12),)), 10)
    assert [part.text for part in parts] == ["aaaa bbbb ", "cccc"]
    assert [part.spans for part in parts] == [
        (Span(kind="bold", start=2, end=10),),
        (Span(kind="bold", start=0, end=2),),
    ]


def test_a_cut_prefers_paragraphs_lines_and_words_and_spares_surrogate_pairs() -> None:
    assert [part.text for part in split(Formatted(text="one two\n\nthree four five"), 14)] == [
        "one two\n\n",
        "three four ",
        "five",
    ]
    assert [part.text for part in split(Formatted(text="😀" * 5), 5)] == ["😀😀", "😀😀", "😀"]


def test_no_part_has_more_entities_than_telegram_takes() -> None:
    parts = render_parts(Delivery(address=HERE, text="**a** b " * 450))
    assert max(len(part.body["entities"]) for part in parts) <= MOST_ENTITIES
    assert sum(len(part.body["entities"]) for part in parts) == 450


def test_buttons_stand_under_the_last_part_that_shows_anything() -> None:
    command = Button(label="Yes", data={"command": "/approve abcdefgh turn"})
    other = Button(label="Other", data={"n": 1})
    too_long = Button(label="No", data={"command": "/" + "x" * 64})
    parts = render_parts(Delivery(address=HERE, text="a" * 5000, buttons=(command, other, too_long)))
    assert "buttons" not in parts[0].body
    assert parts[1].body["buttons"] == [["Yes", "/approve abcdefgh turn"], ["Other", '{"n":1}']]


HOSTILE = st.text(
    st.one_of(
        st.sampled_from("*_`~[]()<>#-+.!|\\&:;/ \n\t\"'0123456789abc"),
        st.characters(),
        st.sampled_from("😀👨‍👩‍👧\u200d\ufe0f\ud800\udfff\x00\r\u2028"),
    ),
    min_size=1,
    max_size=400,
)
SNIPPETS = st.sampled_from(
    [
        "**",
        "```\n",
        "> ",
        "- ",
        "1. ",
        "![",
        "](",
        "[a](http://x)",
        "~~",
        "| a |\n|--|\n",
        "&#0;",
        "<b>",
        "\n\n",
        "😀",
        "  ",
    ]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    text=st.one_of(HOSTILE, st.lists(st.one_of(SNIPPETS, st.text(max_size=5)), min_size=1).map("".join)),
    times=st.sampled_from([1, 2, 20, 500]),
)
@example(text="😀", times=200_000)
@example(text=" ", times=200_000)
@example(text="*", times=60_000)
@example(text="**a `b` ", times=25_000)
@example(text="\r\n- a\n", times=10_000)
def test_the_parts_together_are_the_whole(text: str, times: int) -> None:
    whole = (text * times)[:200_000]
    shown = render_markdown(whole)
    parts = render_parts(Delivery(address=HERE, text=whole))
    assert "".join(part.text for part in parts) == shown.text
    assert bool(shown.text.strip()) or not whole.strip() or not without_lone_surrogates(whole).strip()
    for part in parts:
        units = utf16_length(part.text)
        assert 0 < units <= LONGEST_TEXT
        assert units == len(part.text.encode("utf-16-le")) // 2
        for entity in part.body.get("entities", []):
            assert entity["offset"] >= 0
            assert entity["length"] > 0
            assert entity["offset"] + entity["length"] <= units
            encoded = part.text.encode("utf-16-le")
            encoded[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")


MARKS = [*"*_`~[]()<>#-+.!|\\&:;/ \n\t\"'", "```x y\n", '[a](b "', "]: "]
MARKED_UP_WORDS = st.lists(
    st.one_of(SNIPPETS, st.sampled_from(MARKS), st.just(None)),
    min_size=1,
    max_size=60,
)


@settings(max_examples=300, deadline=None)
@given(marks=MARKED_UP_WORDS)
def test_no_word_is_lost_between_hostile_marks(marks: list[str | None]) -> None:
    """Every word can be read or is where a link leads to or what a piece of code is written in."""
    letters = "qwxyzjkv"
    words = ["".join(letters[int(digit)] for digit in f"{number:03o}") for number in range(len(marks))]
    whole = "".join(word if mark is None else mark for word, mark in zip(words, marks, strict=True))
    shown = render_markdown(whole)
    seen = shown.text + "".join(unquote(span.url) + span.language for span in shown.spans)
    for word, mark in zip(words, marks, strict=True):
        assert mark is not None or word in seen


@settings(max_examples=8, deadline=None)
@given(
    text=st.one_of(HOSTILE, st.lists(st.one_of(SNIPPETS, st.text(max_size=5)), min_size=1).map("".join)),
    times=st.sampled_from([1, 20, 500]),
)
@example(text="**a `b` ", times=25_000)
@example(text="😀 word ", times=30_000)
@example(text="x", times=1)
async def test_what_the_platform_shows_is_the_whole(text: str, times: int) -> None:
    """Over HTTP, at a platform that refuses what is too long or marked up wrongly: nothing is refused."""
    whole = (text * times)[:200_000]
    unlimited = Rates(overall=(10**6, 1), chat=(10**6, 1))
    async with BotApi() as api, telegram(api, rates=unlimited) as bot:
        parts = bot.interface.render(Delivery(address=HERE, text=whole))
        for part in parts:
            await bot.interface.send(part)
        said = [part.text for part in parts if part.text.strip()]
        assert api.world.texts(7) == said
        assert sum(method == "sendMessage" for method, _ in api.world.calls) == len(said)
        assert "".join(part.text for part in parts) == render_markdown(whole).text
        if len(whole) > MOST_MARKED_UP:
            assert render_markdown(whole).text == without_lone_surrogates(whole)


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(max_size=300),
    longest=st.integers(2, 60),
    data=st.data(),
)
def test_spans_survive_the_cutting(text: str, longest: int, data: st.DataObject) -> None:
    count = len(text)
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count), st.integers(0, count)), max_size=8))
    spans = tuple(Span(kind="bold", start=a, end=b) for a, b in pairs if a < b)
    parts = split(Formatted(text=text, spans=spans), longest)
    assert "".join(part.text for part in parts) == text
    covered: list[str] = []
    start = 0
    for part in parts:
        assert utf16_length(part.text) <= longest
        for span in part.spans:
            assert 0 <= span.start < span.end <= len(part.text)
            covered += [str(start + index) for index in range(span.start, span.end)]
        start += len(part.text)
    assert sorted(covered) == sorted(str(index) for span in spans for index in range(span.start, span.end))
