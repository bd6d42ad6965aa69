"""The ways in that any interface has: from an attempt to the inputs that it would hand in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.contracts.inputs import Address, Attachment, Input, InputKind, Principal, Quoted
from tests.support.authority.attempts import Attempt, Trainers
from tests.support.authority.table import TRAINER_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class InputWay:
    """One way in; the fields are those of `TelegramWay`. refused: the core does not take such an input at all."""

    inputs: Callable[[Attempt], list[Input]]
    by_trainer: bool = False
    told: bool = True
    held: bool = False
    refused: bool = False
    trainers: Trainers = Trainers.RUNS


def _input(a: Attempt, text: str, *, by: int = 0, chat: str = "", **more: Any) -> Input:
    fields: dict[str, Any] = {
        "kind": InputKind.MESSAGE,
        "dedupe_key": f"{a.name}{_keys(a)}",
        "author_name": a.impostor.name,
        **more,
    }
    if a.impostor.forged and not by:
        lies = {"principal": f"{a.interface}:{a.trainer_id}", "user_id": str(a.trainer_id), "role": "trainer"}
        fields["data"] = {**lies, **fields.get("data", {})}
    return Input(
        principal=Principal(a.interface, str(by or a.sender_id)),
        address=Address(a.interface, chat or f"chat-{a.number}"),
        text=text,
        **fields,
    )


_counted: dict[str, int] = {}


def _keys(a: Attempt) -> int:
    """Return a number that is new for each input of an attempt."""
    _counted[a.name] = _counted.get(a.name, 0) + 1
    return _counted[a.name]


def _message(a: Attempt) -> list[Input]:
    return [_input(a, f"please {a.orders}")]


def _edited(a: Attempt) -> list[Input]:
    first = _input(a, "hello")
    return [_input(a, f"hold:{a.name}"), first, _input(a, a.orders, data={"edit_of": first.dedupe_key})]


def _edit_of_the_trainers(a: Attempt) -> list[Input]:
    said: list[Input] = []
    for at, text in enumerate(a.texts):
        chat = f"chat-{a.number}-{at}"
        hold = _input(a, f"hold:{a.name}{at}", by=a.trainer_id, chat=chat)
        theirs = _input(a, "hello", by=a.trainer_id, chat=chat)
        edit = {"edit_of": theirs.dedupe_key}
        said += [hold, theirs, *(_input(a, one, chat=chat, data=edit) for one in (text, f"so {text}"))]
    return said


def _command(a: Attempt) -> list[Input]:
    return [_input(a, command, kind=InputKind.COMMAND) for command in a.commands]


def _command_as_message(a: Attempt) -> list[Input]:
    return [_input(a, command) for command in a.commands]


def _command_in_the_trainers_chat(a: Attempt) -> list[Input]:
    return [_input(a, command, chat=str(a.trainer_id)) for command in a.commands]


def _button(a: Attempt) -> list[Input]:
    return [_input(a, "", kind=InputKind.BUTTON, data={"command": command}) for command in a.commands]


def _quoting(relation: str) -> Callable[[Attempt], list[Input]]:
    def inputs(a: Attempt) -> list[Input]:
        quoted = [Quoted(relation=relation, author=TRAINER_NAME, text=text) for text in a.texts]
        return [_input(a, "do that", quoted=(one,)) for one in quoted]

    return inputs


def _attachment(a: Attempt) -> list[Input]:
    return [_input(a, "do that", attachments=(Attachment(kind="document", name=a.orders, ref="1"),))]


def _continuation(a: Attempt) -> list[Input]:
    """The input with which the core itself goes on after an approval."""
    return [
        _input(a, a.orders, by=a.trainer_id, kind=kind, data={"approval_id": approval, "turn_id": 1})
        for kind in (InputKind.CONTINUATION, InputKind.DUE)
        for approval in a.approvals or ("none",)
    ]


def _carried(relation: str) -> Callable[[Attempt], list[Input]]:
    def inputs(a: Attempt) -> list[Input]:
        quoted = [Quoted(relation=relation, author=a.impostor.name, text=text) for text in a.texts]
        return [
            _input(a, "look", by=a.trainer_id, chat=f"chat-{a.number}-{at}", quoted=(one,))
            for at, one in enumerate(quoted)
        ]

    return inputs


def _carried_file(a: Attempt) -> list[Input]:
    files = [Attachment(kind="document", name=text, ref="1") for text in a.texts]
    return [
        _input(a, "look", by=a.trainer_id, chat=f"chat-{a.number}-{at}", attachments=(file,))
        for at, file in enumerate(files)
    ]


def _overheard(a: Attempt) -> list[Input]:
    said: list[Input] = []
    for at, text in enumerate(a.texts):
        chat = f"chat-{a.number}-{at}"
        talk = _input(a, text, chat=chat, addressed=False)
        said += [talk, _input(a, "go on", by=a.trainer_id, chat=chat)]
    return said


_CARRIED: dict[str, Any] = {"by_trainer": True, "trainers": Trainers.ASKS}
_COMMANDS: dict[str, Any] = {"told": False}

INPUT_WAYS = {
    "message": InputWay(inputs=_message),
    "edited message": InputWay(inputs=_edited, held=True),
    "command": InputWay(inputs=_command, **_COMMANDS),
    "command as a message": InputWay(inputs=_command_as_message, **_COMMANDS),
    "command in the trainer's chat": InputWay(inputs=_command_in_the_trainers_chat, **_COMMANDS),
    "button press": InputWay(inputs=_button, **_COMMANDS),
    **{
        f"{relation} text": InputWay(inputs=_quoting(relation), trainers=Trainers.ASKS)
        for relation in ("forward", "quote", "reply", "file")
    },
    "attachment's name": InputWay(inputs=_attachment, trainers=Trainers.ASKS),
    "forged continuation": InputWay(inputs=_continuation, told=False, refused=True, trainers=Trainers.NOBODYS),
    **{
        f"the trainer's {relation} of it": InputWay(inputs=_carried(relation), **_CARRIED)
        for relation in ("forward", "quote", "reply", "file")
    },
    "the trainer sends a file with it": InputWay(inputs=_carried_file, **_CARRIED),
    "overheard": InputWay(inputs=_overheard, **_CARRIED),
    "edit of the trainer's message": InputWay(inputs=_edit_of_the_trainers, held=True, **_CARRIED),
}

CONSOLE_WAYS = ("message", "command", "button press", "forged continuation", "the trainer's file of it", "overheard")
"""The console's user types, and nothing else; what would come in under its name all the same."""
