"""Errors back to the model: the request that asks for what is invalid, and its answer put into its place. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from core.contracts.actions import ActionEnvelope
from core.contracts.engine import EngineRequest, PromptMessage, Source
from core.contracts.steps import ParsedReply, Repair, ReplyError
from core.turn.reading.envelopes import REPLY_FORM, is_plain_text
from core.turn.reading.excerpt import excerpt

_REPLY_SHOWN = 4_000
_ERROR_SHOWN = 600
_ERRORS_SHOWN = 20


def correction_request(
    request: EngineRequest, reply_text: str, checked: ParsedReply, told: Iterable[str] = ()
) -> EngineRequest:
    """Return the request with the invalid reply and what is wrong with it appended.

    told: lines that the model lacked, such as the fields of an action whose name alone it knew.

    reply_text: the raw reply; shown in at most 4,000 characters, cut in the middle. checked: the same reply after
    validation, or what `merge_correction` made of the corrections so far; it must hold errors. Where only single
    actions are invalid, exactly those are asked for, in their order; else the whole reply is.
    """
    content = "\n".join([_complaint(checked), *told])
    complaint = PromptMessage(role="user", content=content, source=Source.CORRECTION)
    messages = (*request.messages, complaint)
    if reply_text.strip():
        shown = PromptMessage(role="assistant", content=excerpt(reply_text, _REPLY_SHOWN), source=Source.ASSISTANT)
        messages = (*request.messages, shown, complaint)
    return replace(request, messages=messages)


def merge_correction(checked: ParsedReply, correction: ParsedReply) -> ParsedReply:
    """Return the reply with the invalid actions replaced by the corrected ones, in order.

    checked: the reply with its errors. correction: the parsed answer to `correction_request`. The answer must hold
    as many actions as were asked for and be no plain text; otherwise the reply stays as it was, its errors say
    besides what was expected and what came. Where the whole reply was asked for, the correction takes its place.
    Validate the result again: what was filled in has not been.
    """
    invalid = _invalid(checked)
    if checked.valid:
        return checked
    if not invalid:
        return correction
    misfit = _misfit(invalid, correction)
    if misfit:
        return replace(checked, errors=_in_order([*checked.errors, ReplyError(index=invalid[0], message=misfit)]))
    actions: list[ActionEnvelope | None] = list(checked.actions)
    for index, envelope in zip(invalid, correction.actions, strict=True):
        actions[index] = envelope
    errors = [replace(error, index=invalid[error.index]) for error in correction.errors if error.index is not None]
    repairs: tuple[Repair, ...] = (*checked.repairs, *correction.repairs)
    return ParsedReply(actions=tuple(actions), errors=tuple(errors), repairs=repairs)


def _invalid(checked: ParsedReply) -> list[int]:
    """Return the places of the invalid actions, or [] where the reply as a whole is invalid (or nothing is)."""
    indexes = {error.index for error in checked.errors}
    return [] if None in indexes else sorted(index for index in indexes if index is not None)


def _misfit(invalid: list[int], correction: ParsedReply) -> str:
    """Why a correction does not answer what was asked, or ""."""
    expected = f"The correction was to hold exactly {_count(len(invalid))} (for {_places(invalid)}), "
    unreadable = [error.message for error in correction.errors if error.index is None]
    if unreadable:
        return f"{expected}but: {' '.join(unreadable)}"
    if is_plain_text(correction):
        return f"{expected}but plain text came; answer with JSON, {REPLY_FORM}."
    if len(correction.actions) != len(invalid):
        return f"{expected}but {len(correction.actions)} came."
    return ""


def _complaint(checked: ParsedReply) -> str:
    invalid = _invalid(checked)
    lines = [_line(error) for error in checked.errors[:_ERRORS_SHOWN]]
    if len(checked.errors) > _ERRORS_SHOWN:
        lines.append(f"- and {len(checked.errors) - _ERRORS_SHOWN} more")
    if not invalid:
        head = "Your reply cannot be used and nothing of it was done:"
        tail = f"Send the whole reply again, corrected, as this JSON and nothing else:\n{REPLY_FORM}"
    else:
        head = f"{len(invalid)} of the {_count(len(checked.actions))} cannot be used, and nothing was done yet:"
        kept = len(checked.actions) - len(invalid)
        keeping = "The valid ones are kept: do not send them again. " if kept else ""
        tail = (
            f"{keeping}Send exactly {_count(len(invalid))}, corrected, in this order: {_places(invalid)}; as this "
            f"JSON and nothing else:\n{REPLY_FORM}"
        )
    return "\n".join((head, *lines, tail))


def _line(error: ReplyError) -> str:
    place = "" if error.index is None else f"actions[{error.index}]: "
    return f"- {place}{excerpt(error.message, _ERROR_SHOWN)}"


def _count(number: int) -> str:
    return "1 action" if number == 1 else f"{number} actions"


def _places(indexes: list[int]) -> str:
    return ", ".join(f"actions[{index}]" for index in indexes)


def _in_order(errors: list[ReplyError]) -> tuple[ReplyError, ...]:
    return tuple(sorted(errors, key=lambda error: -1 if error.index is None else error.index))
