"""Errors back to the model, and its answer put into the place of what was invalid."""

from __future__ import annotations

import json

import pytest

from core.contracts.actions import ActionEnvelope
from core.contracts.engine import EngineRequest, PromptMessage, Source
from core.contracts.json import Json
from core.contracts.steps import ParsedReply, ReplyError
from core.turn.stages.correct_reply import correction_request, merge_correction
from core.turn.stages.parse_reply import parse_reply
from core.turn.stages.validate_actions import validate_actions
from tests.unit.test_validate_actions import KNOWN

ASKED = PromptMessage(role="user", content="say hi and list my files", source=Source.PRINCIPAL)
REQUEST = EngineRequest(
    instructions="rules", catalogue="all", catalogue_brief="brief", messages=(ASKED,), model="m", timeout_s=7.0
)


def act(type_: str, **payload: Json) -> ActionEnvelope:
    return ActionEnvelope(type=type_, payload=payload)


def text_of(*actions: ActionEnvelope) -> str:
    return json.dumps({"actions": [action.as_json() for action in actions]})


def checked(text: str) -> ParsedReply:
    return validate_actions(parse_reply(text), KNOWN)


HI, LS, BAD, WORSE = act("message", text="hi"), act("terminal", command="ls"), act("terminal"), act("terminl")


class TestRequest:
    def test_the_reply_and_its_errors_are_appended(self) -> None:
        raw = text_of(HI, BAD)
        request = correction_request(REQUEST, raw, checked(raw))
        assert request.messages[:2] == (ASKED, PromptMessage(role="assistant", content=raw, source=Source.ASSISTANT))
        assert [(message.role, message.source) for message in request.messages[2:]] == [("user", Source.CORRECTION)]
        assert (request.instructions, request.catalogue, request.model) == ("rules", "all", "m")
        assert request.timeout_s == 7.0

    def test_exactly_the_invalid_actions_are_asked_for(self) -> None:
        raw = text_of(HI, BAD, LS, WORSE)
        content = correction_request(REQUEST, raw, checked(raw)).messages[-1].content
        assert content == (
            "2 of the 4 actions cannot be used, and nothing was done yet:\n"
            "- actions[1]: terminal: 'command' is a required property\n"
            '- actions[3]: There is no action "terminl". Did you mean terminal?\n'
            "The valid ones are kept: do not send them again. Send exactly 2 actions, corrected, in this order: "
            "actions[1], actions[3]; as this JSON and nothing else:\n"
            '{"actions": [{"type": "…", "payload": {…}}]}'
        )

    def test_nothing_is_said_to_be_kept_where_nothing_is(self) -> None:
        content = correction_request(REQUEST, text_of(BAD), checked(text_of(BAD))).messages[-1].content
        assert "kept" not in content
        assert "1 of the 1 action cannot be used" in content
        assert "Send exactly 1 action, corrected, in this order: actions[0]" in content

    @pytest.mark.parametrize("raw", ['{"actions": [{"type": "terminal"', '{"thought": "", "actions": []}'])
    def test_an_unreadable_reply_is_asked_for_as_a_whole(self, raw: str) -> None:
        content = correction_request(REQUEST, raw, checked(raw)).messages[-1].content
        assert checked(raw).errors[0].message in content
        assert "Send the whole reply again" in content
        assert "exactly" not in content

    def test_a_long_reply_is_cut_in_the_middle(self) -> None:
        raw = '{"actions": [' + "x" * 50_000 + "END"
        shown = correction_request(REQUEST, raw, checked(raw)).messages[1].content
        assert len(shown) < 4_100
        assert shown.startswith('{"actions": [x')
        assert shown.endswith("xEND")
        assert "46,016 characters left out" in shown

    def test_an_empty_reply_is_not_shown(self) -> None:
        request = correction_request(REQUEST, " \n", checked(" \n"))
        assert [message.source for message in request.messages] == [Source.PRINCIPAL, Source.CORRECTION]

    def test_all_of_it_can_be_encoded(self) -> None:
        raw = '{"type": "\ud800", "\udfff": 1, "payload": {"\udfff": 1, "\udfff": 2}}'
        for message in correction_request(REQUEST, raw, checked(raw)).messages:
            message.content.encode()

    def test_many_and_long_errors_are_bounded(self) -> None:
        errors = tuple(ReplyError(index=0, message="e" * 10_000) for _ in range(1_000))
        reply = ParsedReply(actions=(None,), errors=errors)
        content = correction_request(REQUEST, "{", reply).messages[-1].content
        assert len(content) < 20_000
        assert "- and 980 more" in content


class TestMerge:
    def merged(self, first: str, correction: str) -> ParsedReply:
        return validate_actions(merge_correction(checked(first), parse_reply(correction)), KNOWN)

    def test_the_invalid_places_are_filled_in_order(self) -> None:
        pwd = act("terminal", command="pwd")
        merged = self.merged(text_of(BAD, HI, WORSE), text_of(LS, pwd))
        assert merged.actions == (LS, HI, pwd)
        assert merged.valid

    def test_a_single_object_will_do_for_one(self) -> None:
        merged = self.merged(text_of(HI, BAD), "```json\n" + json.dumps(LS.as_json()) + "\n```")
        assert merged.actions == (HI, LS)
        assert merged.valid

    def test_what_is_filled_in_is_validated(self) -> None:
        merged = self.merged(text_of(HI, BAD), text_of(WORSE))
        assert merged.actions == (HI, None)
        assert [error.index for error in merged.errors] == [1]
        assert "Did you mean terminal" in merged.errors[0].message

    def test_errors_of_the_correction_move_to_the_place_that_they_are_for(self) -> None:
        correction = json.dumps({"actions": [LS.as_json(), {"type": "terminal", "command": "ls"}]})
        merged = self.merged(text_of(BAD, HI, BAD), correction)
        assert merged.actions == (LS, HI, None)
        assert [error.index for error in merged.errors] == [2]

    @pytest.mark.parametrize(
        ("correction", "came"),
        [
            (text_of(HI, LS), "2 came"),
            (text_of(), "0 came"),
            ("I am sorry, I cannot do that.", "plain text came"),
            ('{"command": "ls"}', "plain text came"),
            ('{"type": "terminal", "payl', "breaks off"),
            ("<think>hm</think>", "only thinking"),
            ("", "The reply is empty"),
        ],
    )
    def test_what_does_not_answer_the_question_changes_nothing(self, correction: str, came: str) -> None:
        first = checked(text_of(HI, BAD))
        merged = self.merged(text_of(HI, BAD), correction)
        assert merged.actions == (HI, None)
        assert {error.index for error in merged.errors} == {1}
        assert merged.errors[0] == first.errors[0]
        assert "exactly 1 action (for actions[1])" in merged.errors[1].message
        assert came in merged.errors[1].message

    def test_a_second_correction_can_still_mend_it(self) -> None:
        once = self.merged(text_of(HI, BAD), "sorry")
        assert "Send exactly 1 action" in correction_request(REQUEST, "sorry", once).messages[-1].content
        twice = validate_actions(merge_correction(once, parse_reply(text_of(LS))), KNOWN)
        assert twice.actions == (HI, LS)
        assert twice.valid

    @pytest.mark.parametrize("correction", [text_of(HI), "Hello.", "{", text_of(BAD, HI)])
    def test_a_whole_reply_is_replaced_whole(self, correction: str) -> None:
        assert self.merged('{"type": "terminal", "payl', correction) == checked(correction)

    def test_a_valid_reply_is_left_alone(self) -> None:
        assert merge_correction(checked(text_of(HI)), parse_reply(text_of(LS))) == checked(text_of(HI))

    def test_repairs_of_both_are_kept(self) -> None:
        merged = self.merged("Hm: " + text_of(HI, BAD), "```\n" + text_of(LS) + "\n```")
        assert [repair.what for repair in merged.repairs] == ["text around the actions left out", "code fence"]
