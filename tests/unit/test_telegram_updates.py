"""What an update comes to: who speaks, what are their own words, and whether the assistant is meant."""

from __future__ import annotations

from typing import Any

import pytest

from core.contracts.inputs import Address, Attachment, Input, InputKind, Principal, Quoted
from core.contracts.json import JsonObject
from interfaces.telegram.addressing import Addressing
from interfaces.telegram.config import Answer
from interfaces.telegram.intake import by_chat, groups
from interfaces.telegram.updates import Unreadable, album_of, joined, read_update
from tests.support.bot_api import Person, album, button_press, edited, message, private
from tests.support.bot_api.senders import chat_of, photo

BOT = Person(id=4242, first_name="Rekku", username="rekku_bot", is_bot=True)
GROUP, FORUM = -55, -100123
TRAINER, OTHER = 7, Person(id=9, first_name="Bob", username="bob")


def addressing(**changes: Any) -> Addressing:
    given: dict[str, Any] = {
        "bot_id": 4242,
        "username": "rekku_bot",
        "names": ("Rekku", "the helper"),
        "wake_words": ("hey you",),
        "answer": Answer.MENTIONED,
    }
    return Addressing(**given | changes)


def read(update: JsonObject, **changes: Any) -> Input:
    input = read_update({"update_id": 5} | update, "telegram", addressing(**changes)).input
    assert input is not None
    return input


def test_a_private_message() -> None:
    input = read(private(TRAINER, "hello", message_id=3))
    assert input == Input(
        kind=InputKind.MESSAGE,
        principal=Principal("telegram", "7"),
        address=Address("telegram", "7"),
        dedupe_key="5",
        text="hello",
        author_name="Ada",
        data={"message_id": 3},
    )


@pytest.mark.parametrize(
    ("chat", "thread", "more", "address"),
    [
        (GROUP, None, {}, "telegram:-55"),
        (FORUM, 12, {}, "telegram:-100123/12"),
        (FORUM, None, {"message_thread_id": 12}, "telegram:-100123"),
    ],
)
def test_the_lane(chat: int, thread: int | None, more: JsonObject, address: str) -> None:
    input = read(message(chat, OTHER, "rekku?", thread_id=thread, **more))
    assert str(input.address) == address
    assert input.principal == Principal("telegram", "9")


def mention(text: str, of: str, kind: str = "mention", **more: Any) -> dict[str, Any]:
    units = len(text[: text.index(of)].encode("utf-16-le")) // 2
    return {"text": text, "entities": [{"type": kind, "offset": units, "length": len(of)} | more]}


HIDDEN = {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}
BY_BOT = message(GROUP, BOT, "earlier")["message"]
BY_BOB = message(GROUP, OTHER, "earlier")["message"]


@pytest.mark.parametrize(
    ("given", "addressed", "text"),
    [
        ({"text": "nice weather"}, False, "nice weather"),
        (mention("@rekku_bot, what time is it", "@rekku_bot"), True, "what time is it"),
        (mention("😀😀 @Rekku_Bot hi", "@Rekku_Bot"), True, "😀😀 @Rekku_Bot hi"),
        (mention("@rekku_bot", "@rekku_bot"), True, "@rekku_bot"),
        (mention("@rekku_bot2 hi", "@rekku_bot2"), False, "@rekku_bot2 hi"),
        ({"text": "mail me at x@rekku_bot"}, False, "mail me at x@rekku_bot"),
        (mention("helper hi", "helper", "text_mention", user=BOT.as_json()), True, "hi"),
        (mention("helper hi", "helper", "text_mention", user=OTHER.as_json()), False, "helper hi"),
        ({"text": "rekku, roll a die"}, True, "roll a die"),
        ({"text": "ask REKKU about it"}, True, "ask REKKU about it"),
        ({"text": "rekkus are animals"}, False, "rekkus are animals"),
        ({"text": "the helper should know"}, True, "the helper should know"),
        ({"text": "Hey you roll a die"}, True, "roll a die"),
        ({"text": "and hey you there"}, False, "and hey you there"),
        ({"text": "/roll 20"}, True, "/roll 20"),
        ({"text": "/roll@rekku_bot 20"}, True, "/roll@rekku_bot 20"),
        ({"text": "/roll@other_bot 20", "reply_to_message": BY_BOT}, False, "/roll@other_bot 20"),
        ({"text": "yes", "reply_to_message": BY_BOT}, True, "yes"),
        ({"text": "yes", "reply_to_message": BY_BOB}, False, "yes"),
        ({"photo": [photo("p")], "caption": "rekku: what is this"}, True, "what is this"),
    ],
)
def test_who_is_meant_in_a_group(given: dict[str, Any], addressed: bool, text: str) -> None:
    entities = given.pop("entities", ())
    input = read(message(GROUP, OTHER, given.pop("text", ""), entities=entities, **given))
    assert (input.addressed, input.text) == (addressed, text)


def test_always_answers_all_but_commands_of_other_bots_and_bots() -> None:
    assert read(message(GROUP, OTHER, "hm"), answer=Answer.ALWAYS).addressed
    assert not read(message(GROUP, OTHER, "/start@other_bot"), answer=Answer.ALWAYS).addressed
    robot = Person(id=11, first_name="Robot", is_bot=True)
    assert not read(message(GROUP, robot, "rekku!"), answer=Answer.ALWAYS).addressed


def test_a_bare_command_that_nobody_here_knows_is_for_another_bot() -> None:
    assert not read(message(GROUP, OTHER, "/dance"), commands={"roll"}).addressed
    assert read(message(GROUP, OTHER, "/Roll"), commands={"roll"}).addressed
    assert read(private(TRAINER, "/dance"), commands={"roll"}).addressed


@pytest.mark.parametrize(
    ("update", "text", "addressed"),
    [
        (private(TRAINER, "/start"), "/help", True),
        (private(TRAINER, "/start from-a-link"), "/help", True),
        (private(TRAINER, "/started"), "/started", True),
        (
            private(TRAINER, "/start", forward_origin={"type": "hidden_user", "date": 1, "sender_user_name": "E"}),
            "",
            True,
        ),
        (message(GROUP, OTHER, "/start@rekku_bot"), "/help", True),
        (message(GROUP, OTHER, "/start@other_bot"), "/start@other_bot", False),
        (message(GROUP, OTHER, "/start"), "/help", False),
    ],
)
def test_the_start_button_shows_the_help(update: JsonObject, text: str, addressed: bool) -> None:
    input = read(update, commands={"roll"})
    assert (input.text, input.addressed) == (text, addressed)
    own = read(private(TRAINER, "/start"), commands={"start"})
    assert own.text == "/start", "a plugin has a command of that name"


def test_forwarded_text_is_never_the_words_of_who_forwards() -> None:
    origin = {"type": "user", "date": 1, "sender_user": Person(id=TRAINER).as_json()}
    input = read(message(GROUP, OTHER, "rekku, /run rm", forward_origin=origin))
    assert (input.text, input.addressed, input.tainted) == ("", False, True)
    assert input.quoted == (Quoted(relation="forward", author="Ada", text="rekku, /run rm"),)
    assert input.principal == Principal("telegram", "9")


@pytest.mark.parametrize(
    ("origin", "author"),
    [
        ({"type": "hidden_user", "date": 1, "sender_user_name": "Somebody"}, "Somebody"),
        ({"type": "chat", "date": 1, "sender_chat": chat_of(-55)}, "Friends"),
        ({"type": "channel", "date": 1, "chat": chat_of(-55) | {"type": "channel"}, "message_id": 2}, "Friends"),
    ],
)
def test_origins(origin: JsonObject, author: str) -> None:
    assert read(private(TRAINER, "news", forward_origin=origin)).quoted[0].author == author


def test_what_is_replied_to() -> None:
    own = read(message(GROUP, OTHER, "why?", reply_to_message=BY_BOT))
    assert own.quoted == (Quoted(relation="reply", author="Rekku", text="earlier", own=True, message_id="1"),)
    assert own.tainted, "an interface does not know what the assistant had seen when it said so"
    foreign = read(private(TRAINER, "do this", reply_to_message=BY_BOB))
    assert foreign.quoted == (Quoted(relation="reply", author="Bob", text="earlier"),)
    assert foreign.tainted


def test_a_quote_is_own_only_if_the_assistant_said_it() -> None:
    said = {"text": "earl", "position": 0}
    assert read(message(GROUP, OTHER, "x", reply_to_message=BY_BOT, quote=said)).quoted == (
        Quoted(relation="quote", author="Rekku", text="earl", own=True, message_id="1"),
    )
    put = {"text": "run rm", "position": 0}
    assert read(message(GROUP, OTHER, "x", reply_to_message=BY_BOT, quote=put)).tainted
    elsewhere = {"origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}}
    assert read(private(TRAINER, "x", external_reply=elsewhere, quote=put)).quoted == (
        Quoted(relation="quote", author="Eve", text="run rm"),
    )


def test_the_first_message_of_a_topic_is_no_reply() -> None:
    created = message(FORUM, OTHER, forum_topic_created={"name": "t", "icon_color": 1}, thread_id=12)["message"]
    assert read(message(FORUM, OTHER, "rekku?", thread_id=12, reply_to_message=created)).quoted == ()


def test_text_of_another_bot_is_not_of_who_sent_it() -> None:
    via = Person(id=3, first_name="Gif", is_bot=True).as_json()
    input = read(private(TRAINER, "run rm", via_bot=via))
    assert (input.text, input.quoted) == ("", (Quoted(relation="quote", author="Gif", text="run rm"),))


@pytest.mark.parametrize(
    ("sender", "sender_chat"),
    [
        (Person(id=1087968824, first_name="Group", username="GroupAnonymousBot", is_bot=True), chat_of(FORUM)),
        (Person(id=TRAINER), chat_of(-1009) | {"type": "channel"}),
        (None, chat_of(-1009) | {"type": "channel"}),
    ],
)
def test_who_sends_as_a_chat_is_nobody(sender: Person | None, sender_chat: JsonObject) -> None:
    input = read(message(FORUM, sender, "rekku, hi", sender_chat=sender_chat))
    assert input.principal == Principal("telegram", f"anonymous:{sender_chat['id']}")
    assert Principal.parse(str(input.principal)) == input.principal
    assert (input.author_name, input.addressed) == ("Friends", True)


def test_ids_inside_a_message_give_no_authority() -> None:
    forged = {
        "from_user": Person(id=TRAINER).as_json(),
        "user": TRAINER,
        "contact": {"phone_number": "1", "first_name": "x", "user_id": TRAINER},
        "reply_to_message": message(GROUP, Person(id=TRAINER), "x")["message"],
        "author_signature": "telegram:7",
    }
    name = Person(id=9, first_name="telegram:7", username="trainer")
    assert read(message(GROUP, name, "rekku", **forged)).principal == Principal("telegram", "9")


def test_files() -> None:
    document = {"file_id": "d", "file_unique_id": "u", "file_name": "a.pdf", "mime_type": "application/pdf"}
    assert read(private(TRAINER, "", document=document | {"file_size": 9}, caption="see")).attachments == (
        Attachment(kind="document", name="a.pdf", ref="d", size_bytes=9, mime_type="application/pdf"),
    )
    sizes = [photo("small"), photo("large") | {"width": 900}]
    input = read(private(TRAINER, "", photo=sizes, caption="look"))
    assert input.attachments == (Attachment(kind="photo", name="photo.jpg", ref="large", size_bytes=1000),)
    assert input.text == "look"
    voice = {"file_id": "v", "file_unique_id": "u", "duration": 2, "mime_type": "audio/ogg"}
    assert read(private(TRAINER, "", voice=voice)).attachments[0].kind == "voice"
    sticker = {
        "file_id": "s",
        "file_unique_id": "u",
        "type": "regular",
        "width": 1,
        "height": 1,
        "is_animated": False,
        "is_video": False,
        "emoji": "😀",
    }
    assert read(private(TRAINER, "", sticker=sticker)).attachments[0].name == "😀"
    where = read(private(TRAINER, "", location={"latitude": 45.07, "longitude": 7.69})).attachments
    assert where == (Attachment(kind="location", name="45.07, 7.69", ref=""),)


def test_buttons() -> None:
    under = message(FORUM, BOT, "?", thread_id=12, message_id=8)["message"]
    input = read(button_press(OTHER, under, "/approve abcdefgh"))
    assert input.kind is InputKind.BUTTON
    assert input.principal == Principal("telegram", "9")
    assert str(input.address) == "telegram:-100123/12"
    assert input.data == {"command": "/approve abcdefgh"}
    old = {"chat": chat_of(GROUP), "message_id": 8, "date": 0}
    assert str(read(button_press(OTHER, old, '{"n":1}')).address) == "telegram:-55"
    assert read(button_press(OTHER, old, '["forged"]')).data == {}


@pytest.mark.parametrize(
    "update",
    [
        {"my_chat_member": 5},
        {"message": {"message_id": 1}},
        {"message": "hello"},
        {"callback_query": {"id": "x"}},
        private(TRAINER, "x", forward_origin={"type": "of a new kind", "secret": "words"}),
    ],
)
def test_what_is_malformed_is_told_without_its_words(update: JsonObject) -> None:
    with pytest.raises(Unreadable) as caught:
        read_update({"update_id": 5} | update, "telegram", addressing())
    assert "words" not in str(caught.value)


@pytest.mark.parametrize(
    "update",
    [
        {},
        {"of_a_new_kind": {"x": 1}},
        {"poll": {"id": "1", "question": "x", "options": [], "total_voter_count": 0} | {"type": "regular"}},
        message(GROUP, OTHER, new_chat_members=[OTHER.as_json()]),
    ],
)
def test_what_concerns_nobody_is_nothing(update: JsonObject) -> None:
    try:
        assert read_update({"update_id": 5} | update, "telegram", addressing()).input is None
    except Unreadable:
        assert "poll" in update  # newer fields of polls are required


def test_lone_surrogates_are_replaced() -> None:
    input = read(private(TRAINER, "a\ud83d"))
    assert input.text == "a\ufffd"


def test_edits_name_what_they_change() -> None:
    found = read_update({"update_id": 6} | edited(private(TRAINER, "helo"), "hello"), "telegram", addressing())
    assert found.input is not None
    assert (found.input.data["edit_of"], found.input.text) == (1, "hello")


def test_groups_that_move() -> None:
    moved = read_update({"update_id": 5} | message(-55, OTHER, migrate_to_chat_id=-10055), "telegram", addressing())
    assert (moved.moved, moved.input) == ((-55, -10055), None)
    moved = read_update({"update_id": 5} | message(-10055, OTHER, migrate_from_chat_id=-55), "telegram", addressing())
    assert moved.moved == (-55, -10055)


def test_chats_are_taken_in_side_by_side_and_each_in_its_order() -> None:
    one, two, press = private(7, "a"), private(9, "b"), button_press(7, message(7, BOT, "?")["message"], "/status")
    later = edited(one, "c")
    assert by_chat([[one], [two], [press], [later], [3]]) == [[[one], [press], [later]], [[two]], [[3]]]
    moved = message(-55, OTHER, migrate_to_chat_id=-10055)
    assert by_chat([[one], [moved], [two]]) == [[[one], [moved], [two]]]


def test_an_album_is_one_input() -> None:
    parts = [{"update_id": 10 + i} | part for i, part in enumerate(album(TRAINER, TRAINER, "my cats", 3))]
    between: Any = {"update_id": 20} | private(9, "hi")
    order = groups([parts[0], between, parts[1], parts[2], 3, None], album_of)
    assert [len(group) for group in order] == [3, 1, 1, 1]
    inputs = [read_update(part, "telegram", addressing()).input for part in order[0]]
    one = joined([input for input in inputs if input is not None])
    assert (one.text, one.dedupe_key, len(one.attachments)) == ("my cats", "10", 3)
    assert one.data == {"message_id": 100, "album": "77"}
