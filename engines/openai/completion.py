"""From the body of a chat completion to an `EngineReply`; pure."""

from __future__ import annotations

import json

from core.contracts.engine import EngineReply, Usage
from core.contracts.errors import EngineRefused, EngineUnavailable
from core.contracts.json import Json, JsonObject
from engines.openai.failures import CHECK_BASE_URL, Answer, complaint_of, failure


def read_completion(
    answer: Answer, *, model: str, prompt_bytes: int, place: str, key: str, now_ms: int
) -> EngineReply:
    """Return the reply of a successful answer; the arguments after `prompt_bytes` are for error texts.

    Raises EngineUnavailable when it is no completion or an empty one, EngineRefused when the model refuses.
    """
    data = read_object(answer, place=place)
    if "choices" not in data and "error" in data:
        raise _error_inside(data, answer, place=place, key=key, now_ms=now_ms)
    choices = data.get("choices")
    if not isinstance(choices, list):
        raise not_this_api(place)
    if not choices or not isinstance(choices[0], dict):
        raise EngineUnavailable(f"{place} answered without any reply in it.")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise not_this_api(place)
    text = _text(message.get("content"))
    finish_reason = choices[0].get("finish_reason")
    if message.get("refusal"):
        raise EngineRefused("The model refuses to answer this.")
    if finish_reason == "content_filter" and not text:
        raise EngineRefused(f"{place} held the reply back: its filter objects to the content.")
    return EngineReply(
        text=text,
        reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
        usage=_usage(data.get("usage")),
        finish_reason=finish_reason if isinstance(finish_reason, str) else "stop",
        model=data["model"] if isinstance(data.get("model"), str) and data["model"] else model,
        prompt_bytes=prompt_bytes,
    )


def read_object(answer: Answer, *, place: str) -> JsonObject:
    """Return the JSON object of an answer; raises EngineUnavailable when it is something else, a web page say."""
    try:
        data: Json = json.loads(answer.body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise not_this_api(place)
    return data


def not_this_api(place: str) -> EngineUnavailable:
    """Return the error for a server that answers, but not as an OpenAI-compatible one does."""
    return EngineUnavailable(
        f"{place} does not answer as an OpenAI-compatible server does.", cure=CHECK_BASE_URL, retryable=False
    )


def _error_inside(data: JsonObject, answer: Answer, *, place: str, key: str, now_ms: int) -> Exception:
    """Some servers say 200 and put the error, with its status as `code`, into the body."""
    error = data["error"]
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(code, int) and 400 <= code < 600:
        inner = Answer(status=code, headers=answer.headers, body=answer.body)
        return failure(inner, place=place, key=key, now_ms=now_ms)
    if complaint_of(data).too_long:
        return EngineRefused(f"{place} says that the prompt is too long for the model.", cure="Lower context_tokens.")
    return EngineUnavailable(f"{place} answered with an error in place of a reply.")


def _text(content: Json) -> str:
    """The text of a message, which some servers give in parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = (part.get("text") for part in content if isinstance(part, dict))
        return "".join(text for text in texts if isinstance(text, str))
    return ""


def _usage(data: Json) -> Usage:
    if not isinstance(data, dict):
        return Usage()
    details = data.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    return Usage(
        prompt_tokens=_count(data.get("prompt_tokens")),
        cached_tokens=cached if cached is not None else _count(data.get("prompt_cache_hit_tokens")),
        completion_tokens=_count(data.get("completion_tokens")),
    )


def _count(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
